import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from mlssm.config import ImagesConfig, parse
from mlssm.cube import FILL, Cube
from mlssm.errors import ConfigError, DataError
from mlssm.retrieval.stack import load_stack

MIX = "retrieval.polarisation=null"
EVERYTHING = slice(None)


@pytest.fixture
def lacking(watershed: Any, tmp_path: Path) -> Any:
    """Copies the cube, without VH at some times; each copy has a path of its own."""

    def make(*times: int) -> Cube:
        path = tmp_path / f"{len(times)}.zarr"
        shutil.copytree(watershed.cube.path, path)
        stored = zarr.open_group(path)["backscatter"]
        for time in times:
            stored[time, watershed.cube.manifest.polarisations.index("VH")] = FILL
        return Cube(path, watershed.cube.manifest)

    return make


def images(config: Any, **changes: Any) -> ImagesConfig:
    found: ImagesConfig = config.retrieval.model_copy(update=changes)
    return found


def test_a_channel_is_the_weighted_sum_of_decibels_each_averaged_in_power(watershed: Any) -> None:
    config = watershed.config(MIX, "retrieval.multilook_m=90").retrieval
    found = load_stack(watershed.cube, config)
    alone = {name: load_stack(watershed.cube, config.of_polarisation(name)) for name in ("VV", "VH")}
    one, two = (alone[name].extents[0].backscatter(EVERYTHING, EVERYTHING, EVERYTHING) for name in ("VV", "VH"))
    mixed = found.extents[0].backscatter(EVERYTHING, EVERYTHING, EVERYTHING)
    np.testing.assert_allclose(mixed, 0.7 * one + 0.3 * two, atol=1e-4)
    np.testing.assert_array_equal(found.extents[0].leading(EVERYTHING, EVERYTHING, EVERYTHING), one)
    assert found.channel == {"VV": 0.7, "VH": 0.3}
    assert abs(found.squared_weights - 0.58) < 1e-9
    assert alone["VH"].squared_weights == 1
    rows, cols = np.array([3, 5]), np.array([2, 7])
    np.testing.assert_array_equal(found.extents[0].backscatter(EVERYTHING, rows, cols), mixed[:, rows, cols])


def test_images_without_a_part_are_left_out_and_told(lacking: Any, watershed: Any, caplog: Any) -> None:
    found = load_stack(lacking(2, 5), watershed.config(MIX).retrieval)
    values = found.extents[0].backscatter(EVERYTHING, EVERYTHING, EVERYTHING)
    assert [time for time, image in enumerate(values) if np.isnan(image).all()] == [2, 5]
    assert "images lack VH and have no label" in caplog.text


def test_where_half_of_the_images_lack_a_part_the_leading_one_stands_alone(
    lacking: Any, watershed: Any, caplog: Any
) -> None:
    number = len(watershed.cube.times)
    found = load_stack(lacking(*range(number // 2 + 1)), watershed.config(MIX).retrieval)
    assert found.channel == {"VV": 1.0}
    assert np.isfinite(found.extents[0].backscatter(EVERYTHING, EVERYTHING, EVERYTHING)).any(axis=(1, 2)).all()
    assert "images lack VH: the labels are of VV alone" in caplog.text


def test_a_cube_without_vh_is_of_vv_alone(watershed: Any, tmp_path: Path, caplog: Any) -> None:
    path = tmp_path / "vv.zarr"
    shutil.copytree(watershed.cube.path, path)
    cube = Cube(path, watershed.cube.manifest.model_copy(update={"polarisations": ("VV",)}))
    assert load_stack(cube, watershed.config(MIX).retrieval).channel == {"VV": 1.0}
    assert "the images lack VH: the labels are of VV alone" in caplog.text


def test_a_platforms_offset_is_taken_off_its_images(watershed: Any, tmp_path: Path) -> None:
    config = watershed.config().retrieval
    plain = load_stack(watershed.cube, config)
    assert set(watershed.cube.platforms) == {"S1A"}
    moved = load_stack(watershed.cube, config.model_copy(update={"platform_offsets_db": {"S1A": 0.5}}))
    one, two = (each.extents[0].backscatter(EVERYTHING, EVERYTHING, EVERYTHING) for each in (plain, moved))
    np.testing.assert_allclose(two, one - 0.5, atol=1e-5)
    with pytest.raises(DataError, match=r"platform_offsets_db names S1C, and the images are of S1A"):
        load_stack(watershed.cube, config.model_copy(update={"platform_offsets_db": {"S1C": 0.1}}))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"polarisation": "VV"}, {"VV": 1.0}),  # as runs and bundles of before have it
        ({"polarisation": "VH", "channel": {"VV": 0.7, "VH": 0.3}}, {"VH": 1.0}),
        ({"polarisation": None, "channel": {"VV": 0.7, "VH": 0.3}}, {"VV": 0.7, "VH": 0.3}),
        ({"channel": {"VV": 1, "VH": 0}}, {"VV": 1.0}),
    ],
)
def test_one_polarisation_is_short_for_a_channel_of_one(watershed: Any, given: Any, wanted: Any) -> None:
    values = watershed.config().retrieval.model_dump()
    del values["channel"]
    known = {key: value for key, value in values.items() if key in ImagesConfig.model_fields}
    assert parse(ImagesConfig, known | given).channel == wanted


@pytest.mark.parametrize("channel", [{"VV": 1, "VH": 0.3}, {"VV": 1.2, "VH": -0.2}, {}])
def test_weights_that_do_not_share_one_are_refused(watershed: Any, channel: Any) -> None:
    values = watershed.config().retrieval.model_dump() | {"channel": channel}
    known = {key: value for key, value in values.items() if key in ImagesConfig.model_fields}
    with pytest.raises(ConfigError, match="sum to 1"):
        parse(ImagesConfig, known)


def test_the_leading_polarisation_is_the_heaviest(watershed: Any) -> None:
    assert images(watershed.config(), channel={"VH": 0.3, "VV": 0.7}).polarisation == "VV"
