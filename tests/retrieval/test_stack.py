import shutil
from pathlib import Path

import numpy as np
import pytest

from mlssm.cube import Cube
from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.retrieval import looks, stack_making
from mlssm.retrieval.looks import cube_speckle
from mlssm.retrieval.multilook import multilook_db
from mlssm.retrieval.stack import load_stack, whole_blocks
from mlssm.retrieval.working_grid import working_grid


def test_blocks_reach_past_an_extent_and_cut_it() -> None:
    """An extent of rows 3..8 on blocks of rows 2..6: a row of NaN above, three rows cut below."""
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    found = whole_blocks(values, Window(3, 4, 6, 2), Window(2, 4, 4, 3))
    np.testing.assert_array_equal(found, [[np.nan] * 3, [0, 1, np.nan], [2, 3, np.nan], [4, 5, np.nan]])


def test_extents_side_by_side_share_no_block(watershed) -> None:
    """Two extents that meet in the middle of a block of 6 pixels: neither has more than half of it."""
    manifest = watershed.cube.manifest.model_copy(
        update={"extents": ((0, 0, 9, 12), (9, 0, 9, 12)), "shape": (18, 12), "pixel": 30.0}
    )
    config = watershed.config("retrieval.multilook_m=180").retrieval
    upper, lower = working_grid(Cube(watershed.cube.path, manifest), config).extents
    assert not upper.intersects(lower)


def test_stack_is_the_multilooked_cube_to_its_rounding(watershed) -> None:
    config = watershed.config("retrieval.multilook_m=150").retrieval
    found = load_stack(watershed.cube, config)
    fine = watershed.cube.backscatter(4, "VV", watershed.cube.extents[0])
    wanted, count = multilook_db(fine, 5, "block", 0.5)
    np.testing.assert_allclose(
        found.extents[0].backscatter(np.array([4]), slice(None), slice(None))[0], wanted, atol=0.00501
    )
    np.testing.assert_array_equal(found.extents[0].count[4], count)
    assert found.working.grid == Grid(watershed.cube.grid.crs, watershed.cube.grid.origin, 150, 12, 12)


def test_stack_is_found_again_and_a_killed_one_is_not(watershed, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "cube.zarr"
    shutil.copytree(watershed.cube.path, path)
    cube, config = Cube(path, watershed.cube.manifest), watershed.config().retrieval

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stack_making, "finish_stack", killed)
        with pytest.raises(KeyboardInterrupt):
            load_stack(cube, config)
    assert not list(path.with_suffix(".multilook").glob("VV*"))
    first = load_stack(cube, config)
    with monkeypatch.context() as patched:
        patched.setattr(stack_making, "finish_stack", killed)
        again = load_stack(cube, config)
    np.testing.assert_array_equal(first.extents[0].packed, again.extents[0].packed)


def test_window_wider_than_the_extent_is_refused(watershed) -> None:
    with pytest.raises(DataError, match=r"retrieval.multilook_m=6000 is wider than an extent of 1800 m"):
        load_stack(watershed.cube, watershed.config("retrieval.multilook_m=6000").retrieval)


class FakeCube:
    """A large extent with nothing but NaN in its upper left, as the slanted swath of a real image has."""

    extents = (Window(0, 0, 640, 600),)
    orbits = np.array([71, 137, 137, 71, 137, 137])

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.values = 10 * np.log10(rng.gamma(12, 1 / 12, (6, 640, 600)))
        self.values[self.orbits == 71] += rng.normal(0, 5, (640, 600))  # its own slopes, seen otherwise
        self.values[:, :400, :400] = np.nan
        self.values[0] = 0  # not a training date

    def backscatter(self, time: int, _: str, extent: Window) -> np.ndarray:
        return self.values[time][extent.slices]


def test_looks_of_a_large_extent_come_from_where_it_has_values_and_from_one_orbit() -> None:
    training = np.array([False, True, True, True, True, True])
    found = cube_speckle(FakeCube(), "VV", training)
    assert found.looks == pytest.approx(12, rel=0.1)


def test_parts_of_an_extent_lie_within_it() -> None:
    for extent in (Window(7, 9, 100, 100), Window(7, 9, 300, 1000), Window(0, 0, 256, 257)):
        for part in looks._parts(extent):
            assert part.union(extent) == extent
            assert part.shape == (min(extent.height, looks.SIDE), min(extent.width, looks.SIDE))


def test_an_extent_without_values_has_no_looks() -> None:
    cube = FakeCube()
    cube.values[:] = np.nan
    with pytest.raises(DataError, match=r"show no speckle to estimate looks from; set datamodule.backscatter.looks"):
        cube_speckle(cube, "VV", np.ones(6, bool))
