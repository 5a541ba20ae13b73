"""Places as users give them: boxes and GeoJSON, right, odd and wrong."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pyproj import Geod, Transformer
from shapely.geometry import box as rectangle
from shapely.geometry import mapping, shape

from mlssm.errors import DataError
from mlssm.origins.place import place_digest, read_place

BOX = (-77.0, 38.5, -76.7, 38.9)
SQUARE = [[-77.0, 38.5], [-76.7, 38.5], [-76.7, 38.9], [-77.0, 38.9], [-77.0, 38.5]]


def geojson(folder: Path, document: Any) -> str:
    path = folder / "aoi.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def polygon(ring: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": geometry}


@pytest.mark.parametrize("area", [BOX, "-77.0,38.5,-76.7,38.9", "[-77, 38.5, -76.7, 38.9]"])
def test_a_box_is_a_place(area: Any) -> None:
    assert read_place(area).bounds == BOX


@pytest.mark.parametrize(
    "document",
    [
        polygon(SQUARE),
        feature(polygon(SQUARE)),
        {"type": "FeatureCollection", "features": [feature(None), feature(polygon(SQUARE))]},
        {"type": "GeometryCollection", "geometries": [polygon(SQUARE)]},
        polygon([[*point, 12.0] for point in SQUARE]),  # with heights
        {"type": "MultiPolygon", "coordinates": [[SQUARE]]},
    ],
    ids=["polygon", "feature", "collection", "geometries", "heights", "multi"],
)
def test_one_polygon_has_many_forms(tmp_path: Path, document: Any) -> None:
    place = read_place(geojson(tmp_path, document))
    assert place.bounds == BOX
    assert place_digest(place) == place_digest(read_place(BOX))


def test_several_polygons_are_one_place(tmp_path: Path) -> None:
    far = [[x - 1, y] for x, y in SQUARE]
    document = {"type": "FeatureCollection", "features": [feature(polygon(SQUARE)), feature(polygon(far))]}
    place = read_place(geojson(tmp_path, document))
    assert place.geometry["type"] == "MultiPolygon"
    assert place.bounds == (-78.0, 38.5, -76.7, 38.9)


def test_a_crs_that_is_named_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    move = Transformer.from_crs("EPSG:4326", "EPSG:32618", always_xy=True).transform
    ring = [list(move(*point)) for point in SQUARE]
    for name in ("urn:ogc:def:crs:EPSG::32618", "EPSG:32618"):
        crs = {"type": "name", "properties": {"name": name}}
        place = read_place(geojson(tmp_path, {**polygon(ring), "crs": crs}))
        assert place.bounds == pytest.approx(BOX, abs=2e-3)
    assert "is in WGS 84 / UTM zone 18N: taken to WGS 84" in caplog.text
    crs84 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert read_place(geojson(tmp_path, {**polygon(SQUARE), "crs": crs84})).bounds == BOX


def test_an_outline_that_crosses_itself_is_taken_with_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bow = [[-77.0, 38.5], [-76.7, 38.9], [-76.7, 38.5], [-77.0, 38.9], [-77.0, 38.5]]
    place = read_place(geojson(tmp_path, polygon(bow)))
    assert "is no clean polygon (Self-intersection" in caplog.text
    # two triangles of a quarter of the box each
    assert shape(place.geometry).area == pytest.approx(0.3 * 0.4 / 2)


def test_longitudes_of_a_whole_turn_are_brought_back(tmp_path: Path) -> None:
    place = read_place(geojson(tmp_path, polygon([[x + 360, y] for x, y in SQUARE])))
    assert place.bounds == pytest.approx(BOX)


@pytest.mark.parametrize(
    ("document", "match"),
    [
        ("no json", "is no GeoJSON"),
        ({"type": "FeatureCollection", "features": []}, "holds no polygon"),
        ({"type": "Point", "coordinates": [0, 0]}, "holds a Point; give polygons alone"),
        ({"type": "Circle"}, "type 'Circle', which GeoJSON does not have"),
        (polygon([[330000, 4e6], [340000, 4e6], [340000, 4.1e6], [330000, 4e6]]), "is not in degrees"),
        (polygon([[38.5, 100], [38.9, 100], [38.9, 110], [38.5, 100]]), "longitude comes first in GeoJSON: swap them"),
        (polygon([[-77, 38], [-76, 38], [-77, 38]]), "polygon that is none|encloses no area|no clean polygon"),
        (polygon([[-77, 38], [-76, float("nan")], [-76, 39], [-77, 38]]), "is no GeoJSON .NaN is no number"),
        ({**polygon(SQUARE), "crs": {"properties": {"name": "EPSG:999999"}}}, "names the CRS EPSG:999999"),
        (polygon([[179, 1], [181, 1], [181, 2], [179, 1]]), "crosses the antimeridian"),
        (polygon([[10, 80], [12, 80], [12, 86], [10, 80]]), "UTM ends at -80 and 84"),
        (
            {
                "type": "MultiPolygon",
                "coordinates": [
                    [[[179, 1], [180, 1], [180, 2], [179, 1]]],
                    [[[-180, 1], [-179, 1], [-179, 2], [-180, 1]]],
                ],
            },
            "crosses the antimeridian; give each side",
        ),
    ],
)
def test_what_is_no_place_is_refused(tmp_path: Path, document: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_place(geojson(tmp_path, document))


@pytest.mark.parametrize(
    ("area", "match"),
    [
        ("missing.geojson", "cannot be read"),
        ((179.0, 1.0, -179.0, 2.0), "crosses the antimeridian"),
        ((-76.0, 39.0, -77.0, 38.0), "west -76 is east of east -77|is no box"),
        ((-77.0, 39.0, -76.0, 38.0), "is no box"),
    ],
)
def test_what_is_no_box_is_refused(area: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_place(area)


def test_the_county_is_about_as_large_as_the_census_has_it() -> None:
    place = read_place("prince_georges")
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shape(place.geometry))
    assert abs(area) / 1e6 == pytest.approx(1292, rel=0.03)  # km2 with its water, 2020
    assert shape(place.geometry).contains(shape(mapping(rectangle(-76.85, 38.8, -76.8, 38.85))))  # Upper Marlboro


def test_another_place_has_another_digest() -> None:
    moved = (BOX[0] + 0.001, *BOX[1:])
    assert place_digest(read_place(moved)) != place_digest(read_place(BOX))
