import json
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import geopandas as gpd
import jsonschema
import numpy as np
import pandas as pd
import pystac
import pystac.validation
import pytest
import rasterio
import referencing
import xarray as xr
from matplotlib.colors import to_hex
from pyproj import Transformer
from rasterio.transform import rowcol
from shapely.geometry import LineString, Point, Polygon, box

from mlssm.errors import DataError
from mlssm.evaluation.cartography import SSM_COLOURS
from mlssm.mapping.list import DayMap
from mlssm.mapping.products.lhasa import CELL, cells_over, write_lhasa
from mlssm.mapping.products.netcdf import write_netcdf
from mlssm.mapping.products.stac import write_stac
from mlssm.mapping.products.style import style_tree, write_style
from mlssm.mapping.products.zones import check_place, read_zones, zonal_statistics
from mlssm.mapping.products.zones import write_zones as write_statistics

from ..conftest import DAYS, EXTENTS, GRID, values

SCHEMAS = Path(__file__).parent / "schemas"


def degrees(x: float, y: float) -> tuple[float, float]:
    found: tuple[float, float] = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return found


def pixels(rows: slice, cols: slice) -> Polygon:
    """Whole pixels of the first extent, in degrees."""
    west, north = GRID.origin[0] + 30 * cols.start, GRID.origin[1] - 30 * rows.start
    east, south = GRID.origin[0] + 30 * cols.stop, GRID.origin[1] - 30 * rows.stop
    return Polygon([degrees(x, y) for x, y in ((west, south), (east, south), (east, north), (west, north))])


def write_zones(path: Path, shapes: dict[str, Any]) -> Path:
    gpd.GeoDataFrame({"name": list(shapes)}, geometry=list(shapes.values()), crs="EPSG:4326").to_file(path)
    return path


@pytest.fixture
def catalogue(maps: list[DayMap]) -> dict[str, Any]:
    return dict(json.loads(write_stac(maps, maps[0].path.parent, "Hills").read_text()))


def test_the_catalogue_is_valid(maps: list[DayMap], catalogue: dict[str, Any]) -> None:
    extension = json.loads((SCHEMAS / "projection-2.0.0.json").read_text())
    anything = referencing.Resource(contents={}, specification=referencing.jsonschema.DRAFT7)
    registry = referencing.Registry().with_resources(
        (place, anything)
        for place in ("https://proj.org/schemas/v0.7/projjson.schema.json", "https://geojson.org/schema/Geometry.json")
    )
    assert pystac.validation.validate_dict({**catalogue, "stac_extensions": []})
    for each in maps:
        item = json.loads(each.path.with_suffix(".json").read_text())
        assert item["stac_extensions"] == [extension["$id"]]
        jsonschema.Draft7Validator(extension, registry=registry).validate(item)
        assert pystac.validation.validate_dict({**item, "stac_extensions": []})


def test_the_catalogue_can_be_copied(maps: list[DayMap], catalogue: dict[str, Any]) -> None:
    item = json.loads(maps[0].path.with_suffix(".json").read_text())
    for link in (*catalogue["links"], *item["links"], *item["assets"].values()):
        assert not link["href"].startswith("/")
    assert item["assets"]["map"]["href"] == f"./{maps[0].path.name}"
    read = pystac.Collection.from_file(str(maps[0].path.parent / "collection.json"))
    assert [each.id for each in read.get_items()] == [each.path.stem for each in maps]


def test_the_files_of_a_relative_folder_are_found(maps: list[DayMap], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = maps[0].path.parent
    monkeypatch.chdir(folder.parent)
    here = [replace(each, path=each.path.relative_to(folder.parent)) for each in maps]
    written = write_stac(here, Path(folder.name), "Hills")
    assert written == Path(folder.name) / "collection.json"
    for item in pystac.Collection.from_file(str(written.absolute())).get_items():
        assert item.assets
        for asset in item.assets.values():
            assert asset.href.startswith("./")
            assert Path(str(asset.get_absolute_href())).is_file()


def test_an_item_says_where_and_when(maps: list[DayMap], catalogue: dict[str, Any]) -> None:
    item = json.loads(maps[0].path.with_suffix(".json").read_text())
    west, south, east, north = item["bbox"]
    assert box(west, south, east, north).contains(Point(degrees(GRID.origin[0] + 50, GRID.origin[1] - 50)))
    assert item["properties"]["proj:code"] == "EPSG:32611"
    assert item["properties"]["start_datetime"] == "2023-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2023-01-01T23:59:59Z"
    assert [band["name"] for band in item["assets"]["map"]["bands"]] == ["ssm", "lower", "upper", "labelled"]
    assert catalogue["extent"]["temporal"]["interval"] == [["2023-01-01T00:00:00Z", "2023-01-03T23:59:59Z"]]


def test_a_style_has_fixed_ends_and_the_previews_colours(maps: list[DayMap]) -> None:
    path = write_style(maps[0].path)
    assert path == maps[0].path.with_suffix(".qml")
    assert ElementTree.parse(path).getroot().tag == "qgis"
    stops = style_tree().findall(".//item")
    assert (stops[0].get("value"), stops[-1].get("value")) == ("0", "1")
    assert stops[5].get("color") == to_hex(SSM_COLOURS(0.5))


def test_statistics_of_whole_pixels_are_those_of_numpy(maps: list[DayMap], tmp_path: Path) -> None:
    rows, cols = slice(20, 40), slice(30, 60)
    path = write_zones(tmp_path / "zones.geojson", {"block": pixels(rows, cols)})
    table = zonal_statistics(maps, read_zones(path, 30), (0.6,))
    assert list(table["date"]) == list(DAYS)
    for day, row in enumerate(table.to_dict("records")):
        inside = values(EXTENTS[0], day)[rows, cols]
        assert row["mean"] == pytest.approx(inside.mean(), abs=2e-3)
        assert row["q10"] == pytest.approx(np.quantile(inside, 0.1), abs=0.01)
        assert row["q50"] == pytest.approx(np.median(inside), abs=0.01)
        assert row["share_above_0.6"] == pytest.approx((inside > 0.6).mean(), abs=0.01)
        assert row["pixels"] == pytest.approx(inside.size, rel=0.01)
        assert row["name"] == "block"


def test_a_zone_counts_only_mapped_ground_and_one_outside_has_none(maps: list[DayMap], tmp_path: Path) -> None:
    shapes = {"half masked": pixels(slice(0, 10), slice(0, 20)), "away": box(10, 50, 10.1, 50.1)}
    table = zonal_statistics(maps[:1], read_zones(write_zones(tmp_path / "z.geojson", shapes), 30), ())
    assert table["pixels"][0] == pytest.approx(100, rel=0.05)
    assert table["pixels"][1] == 0
    assert np.isnan(table["mean"][1])


def test_a_road_is_a_zone_of_its_width(maps: list[DayMap], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    x, y = GRID.origin[0] + 900, GRID.origin[1] - 900
    road = LineString([degrees(x, y), degrees(x + 600, y)])
    with caplog.at_level(logging.INFO):
        table = zonal_statistics(maps[:1], read_zones(write_zones(tmp_path / "road.geojson", {"road": road}), 60), ())
    assert "1 lines are zones of 60 m width" in caplog.text
    # 600 m by 60 m, and a half circle at each end
    assert table["pixels"][0] * 900 == pytest.approx(600 * 60 + np.pi * 30**2, rel=0.02)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({"point": Point(-120, 34)}, "give polygons or lines"),
        ({"bow tie": Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])}, "feature 0 crosses itself"),
        ({"away": box(10, 50, 10.1, 50.1)}, "no zone meets a mapped pixel"),
    ],
)
def test_zones_that_are_none_are_refused(maps: list[DayMap], tmp_path: Path, shapes: dict[str, Any], told: str) -> None:
    path = write_zones(tmp_path / "zones.geojson", shapes)
    with pytest.raises(DataError, match=told):
        zonal_statistics(maps[:1], read_zones(path, 30), ())


def test_metres_are_no_longitudes(tmp_path: Path) -> None:
    corners = [[230000, 3820000], [231000, 3820000], [231000, 3821000], [230000, 3820000]]
    zone = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [corners]}}
    path = tmp_path / "metres.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [zone]}))
    with pytest.raises(DataError, match="no longitudes and latitudes"):
        read_zones(path, 30)
    with pytest.raises(DataError, match=r"absent\.geojson cannot be read"):
        read_zones(tmp_path / "absent.geojson", 30)


def test_netcdf_opens_as_it_was_written(maps: list[DayMap], tmp_path: Path) -> None:
    with xr.open_dataset(write_netcdf(maps, tmp_path / "ssm.nc"), decode_coords="all") as found:
        assert [str(day)[:10] for day in found["time"].values] == list(DAYS)
        assert found["spatial_ref"].attrs["grid_mapping_name"] == "transverse_mercator"
        x, y = GRID.centres(EXTENTS[1])
        np.testing.assert_array_equal(found["ssm"].sel(x=x, y=y).values[2], values(EXTENTS[1], 2))
    assert [path.name for path in tmp_path.iterdir()] == ["ssm.nc"]


def test_lhasas_cells_are_the_worlds(maps: list[DayMap], tmp_path: Path) -> None:
    with rasterio.open(write_lhasa(tmp_path, maps[0].path)) as source:
        found, transform = source.read(1), source.transform
        assert source.crs.to_epsg() == 4326
    # counted from 180 W and 90 N
    assert (transform.c + 180) / CELL == pytest.approx(round((transform.c + 180) / CELL), abs=1e-6)
    assert (90 - transform.f) / CELL == pytest.approx(round((90 - transform.f) / CELL), abs=1e-6)
    x, y = GRID.centres(EXTENTS[0])
    row, column = rowcol(transform, *degrees(x[40], y[30]))
    # of the map's pixels those whose middle lies in the cell: moisture grows by .006 a pixel
    expected = values(EXTENTS[0], 0)
    inside = [
        expected[i, j]
        for i in range(60)
        for j in range(80)
        if tuple(rowcol(transform, *degrees(x[j], y[i]))) == (row, column)
    ]
    assert found[row, column] == pytest.approx(np.mean(inside), abs=0.01)
    assert np.isnan(found).any()


@contextmanager
def no_space_beyond(size: int) -> Iterator[None]:
    """Files cannot grow beyond a size, bytes, as if the disk were full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _zones_of(maps: list[DayMap], folder: Path) -> None:
    shapes = write_zones(folder.parent / f"{folder.name}.geojson", {"block": pixels(slice(20, 40), slice(30, 60))})
    table = zonal_statistics(maps, read_zones(shapes, 30), (0.6,))
    with no_space_beyond(100):
        write_statistics(table, folder / "zones.csv")


@pytest.mark.parametrize(
    ("write", "size"),
    [
        (lambda maps, folder: write_lhasa(folder, maps[0].path), 1000),
        (lambda maps, folder: write_netcdf(maps, folder / "ssm.nc"), 2000),
        (lambda maps, folder: write_stac([replace(maps[0], path=folder / maps[0].path.name)], folder, "Hills"), 100),
        (lambda maps, folder: write_style(folder / maps[0].path.name), 100),
        (_zones_of, 100_000),
    ],
    ids=["LHASA", "NetCDF", "STAC", "style", "zones"],
)
def test_a_disk_that_is_full_leaves_no_half_a_product(
    write: Any, size: int, maps: list[DayMap], tmp_path: Path
) -> None:
    (tmp_path / maps[0].path.name).symlink_to(maps[0].path)
    with no_space_beyond(size), pytest.raises(DataError, match=r"cannot be .*free some space"):
        write(maps, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [maps[0].path.name]


def test_attributes_that_are_named_as_statistics_stay(maps: list[DayMap], tmp_path: Path) -> None:
    block = pixels(slice(20, 40), slice(30, 60))
    own = {"zone": ["A"], "mean": [7.0], "date": ["built 1950"]}
    gpd.GeoDataFrame(own, geometry=[block], crs="EPSG:4326").to_file(tmp_path / "zones.geojson")
    table = zonal_statistics(maps[:1], read_zones(tmp_path / "zones.geojson", 30), (0.6,))
    assert list(table.columns[:6]) == ["zone", "own_zone", "own_mean", "own_date", "date", "mean"]
    (row,) = table.to_dict("records")
    assert (row["zone"], row["own_zone"], row["own_mean"], row["own_date"]) == (0, "A", 7.0, "built 1950")
    assert row["date"] == DAYS[0]


def test_zones_that_are_not_on_the_map_are_named(
    maps: list[DayMap], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, west = pixels(slice(20, 40), slice(30, 60)), pixels(slice(20, 40), slice(-300, -270))
    path = write_zones(tmp_path / "zones.geojson", {"here": here, "west": west})
    with caplog.at_level(logging.WARNING):
        zonal_statistics(maps, read_zones(path, 30), (0.6,))
    told = [each.getMessage() for each in caplog.records if each.name.startswith("mlssm")]  # GDAL's readers tell, too
    assert told == ["1 of 2 zones cover no mapped pixel and have no values: zone 1"]


def test_zones_of_another_place_are_refused_before_maps_are_made(tmp_path: Path) -> None:
    here, west = pixels(slice(20, 40), slice(30, 60)), pixels(slice(20, 40), slice(-300, -270))
    bounds = GRID.geographic_bounds()
    check_place(read_zones(write_zones(tmp_path / "both.geojson", {"here": here, "west": west}), 30), bounds)
    zones = read_zones(write_zones(tmp_path / "west.geojson", {"west": west}), 30)
    with pytest.raises(DataError, match=r"no zone meets a mapped pixel.*the maps lie at -119\.9"):
        check_place(zones, bounds)


def test_a_zones_own_words_are_no_formulas(maps: list[DayMap], tmp_path: Path) -> None:
    path = write_zones(tmp_path / "zones.geojson", {"=1+1": pixels(slice(20, 40), slice(30, 60))})
    table = zonal_statistics(maps, read_zones(path, 30), (0.6,))
    as_csv, as_parquet = write_statistics(table, tmp_path / "zones.csv")
    assert set(pd.read_csv(as_csv)["name"]) == {"'=1+1"}
    assert set(gpd.read_parquet(as_parquet)["name"]) == {"=1+1"}
    assert list(pd.read_csv(as_csv, float_precision="round_trip")["mean"]) == list(table["mean"])


def test_a_cell_reaches_what_it_must() -> None:
    transform, shape = cells_over((-119.9, 34.45, -119.89, 34.46))
    assert (transform.c, transform.f) == pytest.approx((-119.9, 34.4666667))
    assert shape == (2, 2)
