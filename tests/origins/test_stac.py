"""Whole areas from a STAC API on loopback: into the folder, and read from there as any other."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds
from tests.one_pass import read_pass

from mlssm.config import DatamoduleConfig, parse
from mlssm.config.area_file import read_area_file
from mlssm.errors import ConfigError, DataError
from mlssm.jobs.area import open_area
from mlssm.origins.fill import fill
from mlssm.origins.stac.backscatter import relative_orbit
from mlssm.origins.stac.catalogue import Item
from mlssm.origins.stac.ndvi import ndvi, packed, reflectance_offset
from mlssm.prepare.settle import settle
from mlssm.sources.backscatter import index_backscatter
from mlssm.sources.faults import BadFiles

SHAPE = (200, 200)
# of 200 x 200 pixels of 10 m from 330000 east, 4300000 north in UTM zone 18
BOUNDS = transform_bounds("EPSG:32618", "EPSG:4326", 330000, 4298000, 332000, 4300000)
POWER = np.random.default_rng(1).gamma(4, 0.025, SHAPE).astype(np.float32)
# inside the scene: a hundred metres from its edges
INSIDE = [BOUNDS[0] + 0.003, BOUNDS[1] + 0.003, BOUNDS[2] - 0.003, BOUNDS[3] - 0.003]
DAYS = ("2022-01-01", "2022-01-13", "2022-01-25")


def scene(made: Any, server: Any, day: str, **properties: Any) -> dict[str, Any]:
    name = f"S1A_IW_GRDH_1SDV_{day.replace('-', '')}T230000"
    for polarisation, factor in (("vv", 1.0), ("vh", 0.25)):
        server.files[f"/{name}-{polarisation}.tif"] = made.cog(POWER * np.float32(factor), 10, -32768)
    assets = {pol: f"{server.url}/{name}-{pol}.tif" for pol in ("vv", "vh")}
    stated = {"sat:relative_orbit": 4, "sat:orbit_state": "ascending", "platform": "SENTINEL-1A"}
    return made.item(f"{name}_rtc", f"{day}T23:00:00.5Z", BOUNDS, assets, **{**stated, **properties})


@pytest.fixture
def api(server: Any, made: Any) -> Any:
    made.serve(server, "sentinel-1-rtc", [scene(made, server, day) for day in DAYS])
    server.files["/dem.tif"] = made.cog(np.full((90, 90), 42, np.float32), 30, None)
    made.serve(
        server,
        "cop-dem-glo-30",
        [made.item("Copernicus_DSM", "2021-04-22T00:00:00Z", BOUNDS, {"data": f"{server.url}/dem.tif"})],
    )
    digits = {"B04": np.full(SHAPE, 1500, np.uint16), "B08": np.full(SHAPE, 4000, np.uint16)}
    classes = np.full((100, 100), 4, np.uint8)
    classes[:50] = 9  # cloud over the northern half
    for name, values in digits.items():
        server.files[f"/{name}.tif"] = made.cog(values, 10, 0)
    server.files["/SCL.tif"] = made.cog(classes, 20, 0)
    assets = {name: f"{server.url}/{name}.tif" for name in ("B04", "B08", "SCL")}
    facts = {"s2:processing_baseline": "04.00", "eo:cloud_cover": 50, "s2:mgrs_tile": "18SUJ"}
    made.serve(
        server, "sentinel-2-l2a", [made.item("S2A_MSIL2A_20220105", "2022-01-05T16:00:00Z", BOUNDS, assets, **facts)]
    )
    return server


@pytest.fixture
def area(composed: Any, api: Any, tmp_path: Path) -> Any:
    """Makes an area's settings: its folder's name, then overrides."""

    def build(name: str = "area", *overrides: str, place: list[float] = INSIDE) -> DatamoduleConfig:
        values = composed(
            "train",
            "datamodule=stac",
            f"datamodule.root={tmp_path / name}",
            f"area={place}",
            "dates=2022-01-01/2022-01-31",
            *(f"++datamodule.origin.{source}.api={api.url}" for source in ("backscatter", "dem", "ndvi")),
            *(f"datamodule.origin.{source}.sign=null" for source in ("backscatter", "dem", "ndvi")),
            "datamodule.origin.weather=null",
            f"datamodule.origin.download.cache={tmp_path / 'cache'}",
            "datamodule.origin.download.backoff_s=0.001",
            "datamodule.origin.download.timeout_s=0.3",
            *overrides,
        )
        return parse(DatamoduleConfig, values["datamodule"])

    return build


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.tif"))


def test_an_area_is_filled_and_read(api: Any, tmp_path: Path, area: Any) -> None:
    config = area("area")
    fill(config)
    names = [
        f"backscatter/S1A_{day.replace('-', '')}T230000_004_ascending_{pol}.tif" for day in DAYS for pol in ("VH", "VV")
    ]
    assert files(config.root) == [*names, "dem/Copernicus_DSM.tif", "ndvi/ndvi_20220105.tif"]
    found = read_area_file(config.root)
    assert found is not None
    assert {source.name for source in found.provenance} == set(files(config.root))
    assert {source.licence for source in found.provenance} == {"CC-BY-4.0"}
    # what the ordinary readers make of it
    (config.root / "weather").mkdir()  # the user's own
    settled, _ = settle(config)
    bad = BadFiles("error")
    index = index_backscatter(config.root, settled.backscatter, settled.grid, bad)
    assert [overpass.orbit for overpass in index.passes] == [4, 4, 4]
    assert index.polarisations == ("VV", "VH")
    assert index.grid.crs == "EPSG:32618"  # stated, not 32601 as the catalogue says
    assert index.grid.pixel == 20
    decibels = read_pass(index.passes[0], "VV", index.grid, index.extents[0], bad)
    assert decibels is not None
    assert float(np.nanmean(10 ** (decibels / 10))) == pytest.approx(float(POWER.mean()), rel=0.02)


def test_ndvi_knows_the_baseline_and_clouds(api: Any, tmp_path: Path, area: Any) -> None:
    config = area("area", "datamodule.origin.backscatter=null", "datamodule.origin.dem=null")
    fill(config)
    with rasterio.open(config.root / "ndvi" / "ndvi_20220105.tif") as dataset:
        stored, scale = dataset.read(1, masked=True), dataset.scales[0]
        assert dataset.dtypes == ("int16",)
    assert stored.mask[: stored.shape[0] // 4].all()
    # 1500 - 1000 and 4000 - 1000: without the offset it would be 0.45
    assert stored.compressed() * scale == pytest.approx((3000 - 500) / 3500, abs=1e-4)


def test_a_second_run_asks_nothing_and_another_request_is_refused(api: Any, tmp_path: Path, area: Any) -> None:
    config = area("area")
    fill(config)
    asked = len(api.seen)
    fill(config)
    assert len(api.seen) == asked
    with pytest.raises(DataError, match=r"filled for another request \(last 2022-01-31, now 2022-02-28\)"):
        fill(config.model_copy(update={"dates": "2022-01-01/2022-02-28"}))
    with pytest.raises(DataError, match=r"another request \(bounds"):
        fill(area("area", place=[INSIDE[0] + 0.001, *INSIDE[1:]]))
    with pytest.raises(DataError, match=r"ndvi\.most_cloud 60\.0, now 90\.0"):
        fill(area("area", "datamodule.origin.ndvi.most_cloud=90"))


def test_a_killed_fill_goes_on_file_by_file(api: Any, tmp_path: Path, area: Any) -> None:
    config = area("area", "datamodule.origin.download.threads=1")
    last = f"/S1A_IW_GRDH_1SDV_{DAYS[-1].replace('-', '')}T230000-vh.tif"
    api.faults[last] = [404]
    with pytest.raises(DataError, match="status 404"):
        fill(config)
    assert len(files(config.root)) == 5  # all whole
    before, searches = len(api.seen), api.count("POST", "/search")
    fill(config)
    again = {path for _, path, _ in api.seen[before:] if path.endswith(("vv.tif", "vh.tif"))}
    assert again == {last}
    # the items are kept: only those of elevation and NDVI were asked for
    assert api.count("POST", "/search") == searches + 2


def test_a_file_that_is_gone_or_cut_is_fetched_again(
    api: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, area: Any
) -> None:
    config = area("area", "datamodule.origin.ndvi=null", "datamodule.origin.dem=null")
    fill(config)
    path = config.root / files(config.root)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    fill(config)
    assert path.read_bytes() == whole
    assert "1 files are gone or cut: fetched again" in caplog.text


def test_an_area_fills_while_everything_fails_now_and_then(api: Any, tmp_path: Path, area: Any) -> None:
    config = area("area")
    api.faults["*"] = [500, 429, "cut", "hang", 503, "cut", 500, 502, "cut"]
    fill(config)
    assert len(files(config.root)) == 8
    assert api.faults["*"] == []


def test_a_folder_of_ones_own_is_left_alone(api: Any, tmp_path: Path, area: Any) -> None:
    config = area("area")
    config.root.mkdir()
    (config.root / "mine.tif").touch()
    with pytest.raises(DataError, match=r"has files \(mine\.tif\) and no area\.yaml"):
        fill(config)
    (config.root / "area.yaml").write_text("format: 1\n")
    with pytest.raises(DataError, match=r"was written by hand; use datamodule=geotiff"):
        fill(config)


def test_nothing_there_is_said(api: Any, tmp_path: Path, area: Any) -> None:
    with pytest.raises(DataError, match="has nothing of sentinel-1-rtc for area"):
        fill(area("area", "dates=2015-01-01/2015-01-31"))
    with pytest.raises(DataError, match=r"elsewhere is not there \(status 404\)"):
        fill(area("other", f"datamodule.origin.backscatter.api={api.url}/elsewhere"))


def test_what_is_not_terrain_corrected_is_refused(api: Any, tmp_path: Path, area: Any, made: Any) -> None:
    with pytest.raises(ConfigError, match="GRD is not terrain-corrected"):
        area("area", "datamodule.origin.backscatter.collection=sentinel-1-grd")
    made.serve(api, "named-otherwise", [scene(made, api, DAYS[0], **{"sar:product_type": "GRD"})])
    with pytest.raises(DataError, match="is GRD, which is not terrain-corrected"):
        fill(area("area", "datamodule.origin.backscatter.collection=named-otherwise"))


def test_a_scene_that_was_made_twice_is_taken_once(
    api: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, area: Any, made: Any
) -> None:
    caplog.set_level(logging.INFO)
    old, new = scene(made, api, DAYS[0], created="2022-01-02"), scene(made, api, DAYS[0], created="2023-01-02")
    new = {**new, "id": f"{new['id']}_again"}
    made.serve(api, "sentinel-1-rtc", [new, old])
    config = area("area", "datamodule.origin.ndvi=null", "datamodule.origin.dem=null")
    fill(config)
    assert len(files(config.root)) == 2
    assert "are one scene: the one made later is taken" in caplog.text


def stated(**properties: Any) -> Item:
    return Item(str(properties.pop("id", "scene")), dt.datetime(2022, 1, 1, tzinfo=dt.UTC), properties, {}, ())


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:processing_baseline": "03.01"}, 0),
        ({"s2:processing_baseline": "04.00"}, -1000),
        ({"s2:processing_baseline": "05.09"}, -1000),
        ({"processing:version": "02.14"}, 0),
        ({"processing:version": "N0301"}, 0),
        ({"id": "S2A_MSIL2A_20220601T154911_N0400_R054_T18SUJ"}, -1000),
        ({"id": "S2A_MSIL2A_20190601T154911_N0212_R054_T18SUJ"}, 0),
        ({"s2:processing_baseline": "04.00", "earthsearch:boa_offset_applied": True}, 0),
        ({"s2:processing_baseline": "04.00", "earthsearch:boa_offset_applied": False}, -1000),
    ],
    ids=str,
)
def test_the_offset_follows_from_the_processing_baseline(properties: dict[str, Any], offset: float) -> None:
    assert reflectance_offset(stated(**properties)) == offset


def test_without_a_baseline_nothing_is_guessed() -> None:
    with pytest.raises(DataError, match="says not its processing baseline"):
        reflectance_offset(stated(id="S2A_18SUJ_20220105_0_L2A"))


def test_ndvi_of_darkness_is_missing_and_packs_exactly() -> None:
    red, nir = np.array([500, 0, -3, 2000], np.float32), np.array([3000, 100, 50, 2000], np.float32)
    values = ndvi(red, nir)
    np.testing.assert_allclose(values, [2500 / 3500, np.nan, np.nan, 0], rtol=1e-6)
    assert packed(values).tolist() == [7143, -32768, -32768, 0]


@pytest.mark.parametrize(
    ("properties", "orbit"),
    [
        ({"sat:relative_orbit": 4}, 4),
        ({"platform": "sentinel-1a", "sat:absolute_orbit": 46598}, 151),
        ({"platform": "sentinel-1c", "sat:absolute_orbit": 3000}, (3000 - 172) % 175 + 1),
        ({"platform": "sentinel-1c"}, None),
    ],
)
def test_the_relative_orbit_is_stated_or_follows(properties: dict[str, Any], orbit: int | None) -> None:
    assert relative_orbit(stated(**properties)) == orbit


def test_a_filled_area_becomes_a_cube_that_knows_where_its_files_come_from(area: Any, api: Any, tmp_path: Path) -> None:
    config = area("area", "datamodule.time_zone=America/New_York", f"datamodule.cubes={tmp_path / 'cubes'}")
    (config.root / "weather").mkdir(parents=True)
    random = np.random.default_rng(3)
    lines = ["STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP,TMAX,TMIN"]
    for day in range(120):
        date, warm = dt.date(2021, 10, 15) + dt.timedelta(days=day), 80 + random.integers(-60, 60)
        rain = random.integers(0, 200) if random.random() < 0.3 else 0
        lines.append(f"USC00180001,{date},38.82,-76.95,42.0,{rain},{warm + 55},{warm - 38}")
    (config.root / "weather" / "USC00180001.csv").write_text("\n".join(lines) + "\n")
    cube = open_area(config, "error")
    assert [str(day) for day in cube.local_days] == ["2022-01-01", "2022-01-13", "2022-01-25"]
    assert cube.grid.crs == "EPSG:32618"
    assert {item.licence for item in cube.manifest.provenance} == {"CC-BY-4.0"}
    # nothing is asked the second time, and the same cube is found
    asked = len(api.seen)
    assert open_area(config, "error").manifest.digest == cube.manifest.digest
    assert len(api.seen) == asked
