from pathlib import Path

import numpy as np
import pytest

from mlssm.retrieval.fit import fit_retrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.sample import PIXELS, Source, draw_sample, neighbourhoods
from mlssm.retrieval.stack import load_stack


def source(area, training: np.ndarray, *changes: str, masked: bool = False) -> Source:
    config = area.config(*changes).retrieval
    stack = load_stack(area.cube, config)
    shapes = tuple(each.packed.shape[1:] for each in stack.areas)
    masks = DateMasks({(0, 2): np.ones(shapes[0], bool)} if masked else {}, shapes)
    fitted = fit_retrieval(area.cube, stack, config, training, masks)
    return Source(area.cube, stack, fitted.areas, masks, Speckle(10), config, training)


@pytest.fixture(scope="module")
def training(watershed) -> np.ndarray:
    return np.arange(len(watershed.cube.times)) % 3 != 0


def test_neighbourhoods_are_squares_of_pixels_apart() -> None:
    """Of 2 x 2 pixels 3 apart on 12 x 7: two below one another, one across; none shares a pixel or leaves the area."""
    rows, cols = neighbourhoods((12, 7), 2, 3)
    np.testing.assert_array_equal(rows, [[0, 0, 3, 3], [6, 6, 9, 9]])
    np.testing.assert_array_equal(cols, [[0, 3, 0, 3], [0, 3, 0, 3]])
    rows, cols = neighbourhoods((5, 3), 1, 1)
    assert len({*zip(rows.ravel(), cols.ravel(), strict=True)}) == 15


@pytest.mark.parametrize(("mode", "step"), [("block", 1), ("moving", 3)])
def test_sample_is_the_stack_where_it_is_land(watershed, training: np.ndarray, mode: str, step: int) -> None:
    found = source(watershed, training, "retrieval.multilook_m=90", f"retrieval.multilook={mode}", masked=True)
    sample = draw_sample(found)
    assert found.step == step
    assert sample.sigma.size // len(sample.sigma) <= PIXELS
    known = np.isfinite(sample.sigma)
    assert known.any()
    assert not known[2].any()  # masked
    whole = found.stack.areas[0].backscatter(slice(None), slice(None), slice(None))
    assert np.isin(sample.sigma[0][known[0]].astype(np.float32), whole[0]).all()
    assert 0 < sample.looks.min() <= sample.looks.max() <= 90 + 1e-9


def test_uneven_brightness_costs_looks(watershed, training: np.ndarray, tmp_path: Path) -> None:
    """A chequerboard of 10 and 1: (5 x 10 + 4)^2 / (5 x 100 + 4) = 5.8 or (4 x 10 + 5)^2 / (4 x 100 + 5) = 5 of 9."""
    found = source(watershed, training, "retrieval.multilook_m=90", "retrieval.multilook=moving")

    class Chequered:
        """The cube, with other images."""

        orbits, areas = watershed.cube.orbits, watershed.cube.areas

        def backscatter(self, time: int, polarisation: str, area) -> np.ndarray:
            board = np.indices(area.shape).sum(axis=0) % 2
            speckle = np.random.default_rng(time).gamma(10, 0.1, area.shape)
            return (10 * np.log10(speckle) + 10 * board).astype(np.float32)

    looks = draw_sample(Source(Chequered(), *(getattr(found, name) for name in NAMES))).looks / 10
    inner = looks[:, looks.min(axis=(0, 2)) > 0].ravel()
    kinds = np.array([54**2 / 504, 45**2 / 405])
    nearest = kinds[np.abs(inner[:, None] - kinds).argmin(axis=1)]
    assert np.median(np.abs(inner / nearest - 1)) < 0.1
    assert {*nearest} == {*kinds}


NAMES = ("stack", "areas", "masks", "speckle", "config", "training")


def test_small_areas_are_one_neighbourhood(watershed, training: np.ndarray) -> None:
    sample = draw_sample(source(watershed, training, "retrieval.multilook_m=900"))
    assert sample.sigma.shape[1:] == (4, 1)
    assert sample.redundancy == 1
