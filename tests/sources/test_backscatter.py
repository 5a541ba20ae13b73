import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pyproj import Transformer
from tests.one_pass import read_pass

from mlssm.config import BackscatterConfig, DatamoduleConfig
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid, Window
from mlssm.sources.backscatter import BackscatterIndex, index_backscatter
from mlssm.sources.dated import compile_pattern
from mlssm.sources.faults import BadFiles
from mlssm.sources.passes import Image, group_passes

ERROR = BadFiles("error")
FLAT = np.full((24, 24), 0.1, np.float32)
CORNER = (240000, 3816000)
NEXT = "T137-292320-IW2"


def index(config: DatamoduleConfig, bad: BadFiles = ERROR) -> BackscatterIndex:
    return index_backscatter(config.root, config.backscatter, config.grid, bad)


def read(found: BackscatterIndex, time: int = 0, pol: str = "VV", bad: BadFiles = ERROR) -> Any:
    return read_pass(found.passes[time], pol, found.grid, found.extents[0], bad)


def decibel(power: Any) -> Any:
    return 10 * np.log10(power)


def test_every_delivered_name_parses(shared: Path, opera_conf: dict[str, Any]) -> None:
    pattern = compile_pattern(opera_conf["backscatter"]["pattern"], "pattern", ("burst", "date", "polarisation"))
    names = [path.name for path in (shared / "santa_barbara" / "sentinel1").iterdir()]
    matches = [pattern.fullmatch(name) for name in names]
    assert len(names) == 220
    assert all(matches)
    groups = [match.groupdict() for match in matches if match]
    assert Counter(group["polarisation"] for group in groups) == {"VV": 110, "VH": 110}
    assert {group["orbit"] for group in groups} == {"137"}
    assert {group["platform"] for group in groups} == {"S1A", "S1B"}
    assert len({group["burst"] for group in groups}) == 5
    # independent of the pattern: the fields between underscores
    for name, group in zip(names, groups, strict=True):
        fields = name.split("_")
        assert [group["burst"], group["date"] + "Z", group["processed"] + "Z"] == fields[3:6]


def test_santa_barbara_is_22_passes_over_five_extents_on_one_grid(shared: Path, area_files: Any) -> None:
    config = area_files.config(root=shared / "santa_barbara")
    found = index(config)
    assert found.grid.crs == "EPSG:32611"
    assert found.grid.pixel == 30
    assert [extent.shape for extent in found.extents] == [(100, 100)] * 5
    assert len(found.passes) == 22
    assert all(len(overpass.images) == 10 for overpass in found.passes)
    assert {overpass.orbit for overpass in found.passes} == {137}
    assert found.polarisations == ("VV", "VH")
    first = found.passes[0].acquired
    assert first.date() == dt.date(2021, 11, 19)
    assert first == min(image.acquired for image in found.passes[0].images)
    for extent in found.extents:
        values = read_pass(found.passes[11], "VV", found.grid, extent, ERROR)
        assert values is not None
        assert np.isfinite(values).mean() > 0.9
        assert -20 < np.nanmedian(values) < -3


def test_the_bursts_of_one_pass_are_one_time_and_orbits_stay_apart() -> None:
    def image(orbit: int, second: int, name: str) -> Image:
        time = dt.datetime(2023, 1, 1, 1, 58, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
        return Image(Path(name), time, "VV", orbit, (0, 0, 1, 1))

    day = 86400
    images = [
        image(137, 3, "b"), image(137, 0, "a"), image(64, 120, "c"),
        image(137, 12 * day, "d"), image(137, 12 * day + 500, "e"), image(137, 12 * day + 1000, "f"),
        image(137, 13 * day, "g"),
    ]  # fmt: skip
    passes = group_passes(images)
    assert [(overpass.orbit, "".join(item.path.name for item in overpass.images)) for overpass in passes] == [
        (137, "ab"),
        (64, "c"),
        (137, "def"),
        (137, "g"),
    ]
    assert group_passes(reversed(images)) == passes


def test_the_newest_processing_wins(area_files: Any, caplog: pytest.LogCaptureFixture) -> None:
    area_files.image(FLAT * 2, processed="20240101T000000")
    area_files.image(FLAT, processed="20230201T000000")
    area_files.image(FLAT * 3, processed="20230601T000000")
    found = index(area_files.config())
    assert [len(overpass.images) for overpass in found.passes] == [1]
    np.testing.assert_allclose(read(found), decibel(0.2), atol=1e-5)
    assert len([message for message in caplog.messages if "processed anew" in message]) == 2


def test_bursts_that_overlap_are_averaged_in_linear_power(area_files: Any) -> None:
    lower = np.full((24, 24), 0.4, np.float32)
    lower[5, 5] = np.nan
    area_files.image(FLAT)
    area_files.image(lower, "20230101T015905", burst=NEXT, corner=(CORNER[0] + 300, CORNER[1] - 300))
    found = index(area_files.config())
    assert found.extents == (Window(0, 0, 34, 34),)
    values = read(found)
    assert values.shape == (34, 34)
    # by hand: (0.1 + 0.4) / 2 = 0.25, which is -6.0206 dB; the mean of the decibels would be -6.9897
    np.testing.assert_allclose(values[10:24, 10:24][0, 0], -6.0206, atol=1e-4)
    np.testing.assert_allclose(values[:10, :24], -10, atol=1e-5)
    np.testing.assert_allclose(values[24:, 10:], decibel(0.4), atol=1e-5)
    assert values[15, 15] == pytest.approx(-10, abs=1e-5)  # missing in one, so the other alone
    assert np.isnan(values[:10, 24:]).all()
    assert np.isnan(values[24:, :10]).all()


def test_power_that_is_not_positive_is_missing(area_files: Any) -> None:
    values = FLAT.copy()
    values[0, :4] = 0, -0.01, np.nan, np.inf
    area_files.image(values)
    found = read(index(area_files.config()))
    assert np.isnan(found[0, :4]).all()
    assert np.isfinite(found).sum() == 24 * 24 - 4


def test_zeros_do_not_bleed_into_their_neighbours_when_warped(area_files: Any) -> None:
    area_files.image(FLAT)
    frame = FLAT.copy()
    frame[:, 12:] = 0
    area_files.image(frame, "20230113T015902", corner=(CORNER[0] + 11, CORNER[1] + 13))
    values = read(index(area_files.config()), 1)
    known = values[np.isfinite(values)]
    assert known.size > 200
    np.testing.assert_allclose(known, -10, atol=1e-4)


def test_decibels_are_taken_to_power_before_they_are_averaged(area_files: Any) -> None:
    fine = np.tile(np.array([[-20, -10]], np.float32), (48, 24))
    area_files.image(fine, pixel=15)
    config = area_files.config(backscatter={"units": "dB"}, grid={"crs": None, "resolution_m": 30})
    np.testing.assert_allclose(read(index(config)), decibel((0.01 + 0.1) / 2), atol=1e-4)


@pytest.mark.parametrize(("units", "value", "other"), [("linear", -12.5, "dB"), ("dB", 0.08, "linear")])
def test_values_of_the_other_unit_are_named(area_files: Any, units: str, value: float, other: str) -> None:
    area_files.image(np.full((24, 24), value, np.float32))
    found = index(area_files.config(backscatter={"units": units}))
    with pytest.raises(DataError, match=rf"_VV\.tif holds {value:g}.*datamodule\.backscatter\.units={other}"):
        read(found)


def test_an_image_of_another_zone_is_warped_onto_the_grid_of_most(area_files: Any) -> None:
    rng = np.random.default_rng(0)
    east, north = Transformer.from_crs(32611, 32610, always_xy=True).transform(CORNER[0] + 360, CORNER[1] - 360)
    # the image of the other zone is the earliest, and yet the grid's pixels are those of the others
    corner = (round(east) - 600, round(north) + 600)
    cols, _ = np.meshgrid(np.arange(40), np.arange(40))
    plane = (0.1 + 0.001 * cols).astype(np.float32)
    area_files.image(plane, "20221220T015902", crs="EPSG:32610", corner=corner)
    same = rng.gamma(4, 0.02, (24, 24)).astype(np.float32)
    area_files.image(same, "20230101T015902")
    area_files.image(same, "20230113T015902")
    found = index(area_files.config())
    assert found.grid.crs == "EPSG:32611"
    (extent,) = found.extents
    inner = found.grid.window_of((CORNER[0], CORNER[1] - 720, CORNER[0] + 720, CORNER[1])).within(extent).slices
    np.testing.assert_allclose(read(found, 1)[inner], decibel(same), atol=1e-4)  # copied, not blurred
    x, y = found.grid.centres(extent)
    back_east, _ = Transformer.from_crs(32611, 32610, always_xy=True).transform(*np.meshgrid(x, y))
    expected = decibel(0.1 + 0.001 * ((back_east - corner[0]) / 30 - 0.5))
    np.testing.assert_allclose(read(found, 0)[inner], expected[inner], atol=0.01)


def test_the_grid_can_be_set(area_files: Any) -> None:
    area_files.image(FLAT)
    found = index(area_files.config(grid={"crs": "epsg:32610", "resolution_m": 60}))
    assert found.grid.crs == "EPSG:32610"
    assert found.grid.pixel == 60
    np.testing.assert_allclose(read(found)[4:8, 4:8], -10, atol=1e-4)
    with pytest.raises(ConfigError, match=r"no image is in datamodule\.grid\.crs=EPSG:32610; set .*resolution_m"):
        index(area_files.config(grid={"crs": "EPSG:32610"}))
    with pytest.raises(ConfigError, match=r"datamodule\.grid\.crs=EPSG:999999 is not known"):
        index(area_files.config(grid={"crs": "EPSG:999999"}))


def test_images_in_degrees_need_a_projected_grid(area_files: Any) -> None:
    area_files.image(FLAT, crs="EPSG:4326", corner=(-119.8, 34.4), pixel=0.0003)
    with pytest.raises(DataError, match=r"not projected.*datamodule\.grid\.crs"):
        index(area_files.config())
    found = index(area_files.config(grid={"crs": "EPSG:32611", "resolution_m": 30}))
    assert 20 < found.grid.width < 30


def test_the_finest_image_gives_the_pixel(area_files: Any) -> None:
    area_files.image(FLAT)
    area_files.image(FLAT, "20230113T015902", pixel=10)
    assert index(area_files.config()).grid.pixel == 10


def test_names_that_do_not_match_are_counted(area_files: Any, caplog: pytest.LogCaptureFixture) -> None:
    area_files.image(FLAT)
    area_files.raster("sentinel1/OPERA_L2_RTC-S1_T137-292319-IW2_mask.tif", FLAT)
    assert len(index(area_files.config()).passes) == 1
    assert any(message.startswith("1 GeoTIFFs in") for message in caplog.messages)


def test_a_folder_without_a_matching_name(area_files: Any) -> None:
    area_files.raster("sentinel1/scene.tif", FLAT)
    with pytest.raises(DataError, match=r"matches datamodule\.backscatter\.pattern .*first file: scene\.tif"):
        index(area_files.config())


@pytest.mark.parametrize(
    ("key", "pattern", "said"),
    [
        ("pattern", "(?P<polarisation>x)", "date"),
        ("pattern", "(", "not a regular"),
        ("incidence_pattern", "(", "not a regular"),
    ],
)
def test_a_pattern_that_cannot_work(area_files: Any, key: str, pattern: str, said: str) -> None:
    area_files.image(FLAT)
    with pytest.raises(ConfigError, match=said) as error:
        index(area_files.config(backscatter={key: pattern}))
    assert str(error.value).startswith(f"datamodule.backscatter.{key}=")


def test_bad_images_stop_the_run_or_are_left_out(area_files: Any, truncate: Any, speckled: Any) -> None:
    area_files.image(speckled)
    truncated = area_files.image(speckled, "20230113T015902")
    truncate(truncated)
    nowhere = area_files.image(speckled, "20230125T015902", crs=None)
    config = area_files.config()
    with pytest.raises(DataError, match=rf"{nowhere.name} has no CRS"):
        index(config)
    skip = BadFiles("skip")
    found = index(config, skip)
    assert [overpass.acquired.day for overpass in found.passes] == [1, 13]
    assert read(found, 1, bad=skip) is None
    assert skip.skipped == [nowhere.name, truncated.name]
    with pytest.raises(DataError, match=rf"{truncated.name} cannot be read"):
        read(found, 1)


def test_nothing_that_can_be_read(area_files: Any) -> None:
    area_files.image(FLAT).write_text("text")
    with pytest.raises(DataError, match=r"none of the 1 images in .* can be read"):
        index(area_files.config(), BadFiles("skip"))


def test_other_producers_names(area_files: Any) -> None:
    conf = yaml.safe_load((Path(__file__).parents[2] / "conf" / "datamodule" / "geotiff.yaml").read_text())
    for name in ("VV_20230101T015902_137", "VH_20230101T015902_137", "VV_20230107T140102_064", "VV_20230109T140102"):
        area_files.raster(f"backscatter/{name}.tif", decibel(FLAT))
    area_files.raster("backscatter/incidence_137.tif", np.full((24, 24), 38, np.float32))
    area_files.raster("backscatter/incidence_064.tif", np.full((24, 24), 42, np.float32))
    backscatter = BackscatterConfig(**area_files.conf["backscatter"] | conf["backscatter"] | {"folder": "backscatter"})
    found = index_backscatter(area_files.root, backscatter, area_files.config().grid, ERROR)
    assert [(overpass.orbit, sorted(overpass.polarisations)) for overpass in found.passes] == [
        (137, ["VH", "VV"]),
        (64, ["VV"]),
        (0, ["VV"]),
    ]
    assert {orbit: [path.name for path in paths] for orbit, paths in found.incidence.items()} == {
        137: ["incidence_137.tif"],
        64: ["incidence_064.tif"],
    }
    np.testing.assert_allclose(read(found), -10, atol=1e-4)


def test_extents_far_apart_share_one_grid(area_files: Any) -> None:
    far = (CORNER[0] + 3000 * 30, CORNER[1] - 2000 * 30)
    area_files.image(FLAT)
    area_files.image(FLAT * 2, "20230101T015920", burst="T137-292325-IW1", corner=far)
    found = index(area_files.config())
    assert found.extents == (Window(0, 0, 24, 24), Window(2000, 3000, 24, 24))
    assert found.grid == Grid("EPSG:32611", CORNER, 30, 2024, 3024)
    second = read_pass(found.passes[0], "VV", found.grid, found.extents[1], ERROR)
    np.testing.assert_allclose(second, decibel(0.2), atol=1e-5)
    assert read(found, pol="VH") is None
