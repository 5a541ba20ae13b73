"""The place that a user names: a GeoJSON file or a box, checked, as one polygon or multipolygon in degrees."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlssm.errors import DataError
from mlssm.grid import Bounds
from mlssm.origins.contract import Place

log = logging.getLogger(__name__)

BOX = re.compile(r"\s*\[?\s*(-?[\d.]+(?:[eE][-+]?\d+)?(?:\s*,\s*-?[\d.]+(?:[eE][-+]?\d+)?){3})\s*\]?\s*")
BROUGHT = Path(__file__).with_name("areas")
DEGREES = ("EPSG:4326", "OGC:CRS84", "CRS84")
POLES = (-80.0, 84.0)  # where UTM ends
HALF_WAY = 180.0
ANTIMERIDIAN = "crosses the antimeridian; give each side as an area of its own"


def read_place(area: str | tuple[float, float, float, float]) -> Place:
    """Read a place and check it.

    Args:
        area: A GeoJSON file, the name of an area in `areas`, or west, south, east, north in degrees, also as text with
            commas.

    Returns:
        The place; geometries of several features are joined.

    Raises:
        DataError: It is no polygon on Earth, crosses the antimeridian, or lies beyond UTM.
    """
    if isinstance(area, str) and (match := BOX.fullmatch(area)):
        area = tuple(float(part) for part in match[1].split(","))  # type: ignore[assignment]
    named = f"area={area if isinstance(area, str) else list(area)}"
    geometry = _from_file(_path(area), named) if isinstance(area, str) else _from_box(area, named)
    bounds: Bounds = tuple(float(side) for side in geometry.bounds)  # type: ignore[assignment]
    _check_bounds(bounds, named)
    from shapely.geometry import mapping

    return Place(mapping(geometry), bounds)


def place_digest(place: Place) -> str:
    """What tells a place from others: of its coordinates to a tenth of a metre."""
    from shapely import normalize, set_precision
    from shapely.geometry import shape

    rounded = normalize(set_precision(shape(place.geometry), 1e-6))
    return hashlib.sha256(rounded.wkb).hexdigest()[:16]


def _path(area: str) -> Path:
    """The file that is named; else the one of an area that the package brings."""
    path, brought = Path(area), BROUGHT / f"{area}.geojson"
    return brought if not path.exists() and brought.is_file() else path


def _from_box(box: tuple[float, ...], named: str) -> Any:
    from shapely.geometry import box as rectangle

    west, south, east, north = box
    if west > east and -HALF_WAY <= east and west <= HALF_WAY:
        raise DataError(f"{named}: west {west:g} is east of east {east:g}: it {ANTIMERIDIAN}")
    if not (west < east and south < north):
        raise DataError(f"{named} is no box; give west,south,east,north in degrees")
    return rectangle(*box)


def _from_file(path: Path, named: str) -> Any:
    from shapely import unary_union

    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_no_number)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{named} cannot be read ({error}); give a GeoJSON file or [west,south,east,north]") from None
    except ValueError as error:
        raise DataError(f"{named} is no GeoJSON ({error}); save the polygon as GeoJSON in WGS 84") from None
    parts = [_repaired(_in_degrees(polygon, document, named), named) for polygon in _polygons(document, named)]
    if not parts:
        raise DataError(f"{named} holds no polygon; save the area's outline as a polygon")
    return unary_union(parts)


def _no_number(text: str) -> float:
    """Refuse NaN and Infinity, which Python takes and JSON does not have."""
    raise ValueError(f"{text} is no number")


def _polygons(node: Any, named: str) -> Iterator[Any]:
    from shapely import force_2d
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    kind = node.get("type") if isinstance(node, Mapping) else None
    if kind == "FeatureCollection":
        for feature in node.get("features") or ():
            yield from _polygons(feature, named)
    elif kind == "Feature":
        if node.get("geometry") is not None:
            yield from _polygons(node["geometry"], named)
    elif kind == "GeometryCollection":
        for part in node.get("geometries") or ():
            yield from _polygons(part, named)
    elif kind in ("Polygon", "MultiPolygon"):
        try:
            polygon = force_2d(shape(node))
        except (ShapelyError, ValueError, TypeError, IndexError, KeyError) as error:
            raise DataError(f"{named} has a polygon that is none ({error}); draw it anew") from None
        if not polygon.is_empty:
            yield polygon
    elif kind in ("Point", "MultiPoint", "LineString", "MultiLineString"):
        raise DataError(f"{named} holds a {kind}; give polygons alone, e.g. buffer it in QGIS")
    else:
        raise DataError(f"{named} holds type {kind!r}, which GeoJSON does not have; save the polygon as GeoJSON")


def _in_degrees(polygon: Any, document: Any, named: str) -> Any:
    """A polygon in longitude and latitude; a CRS that the file names counts, as older GeoJSON has it."""
    stated = _stated_crs(document)
    if stated is not None and not any(stated.upper().endswith(code.replace(":", "::")) for code in DEGREES):
        polygon = _from_crs(polygon, stated, named)
    west, south, east, north = polygon.bounds
    if not all(map(math.isfinite, (west, south, east, north))):
        raise DataError(f"{named} has a coordinate that is no number; draw the polygon anew")
    if max(abs(south), abs(north)) > 90 and max(abs(west), abs(east)) <= 90:
        raise DataError(f"{named}: latitudes of {south:g} to {north:g}; longitude comes first in GeoJSON: swap them")
    if max(abs(south), abs(north)) > 90 or max(abs(west), abs(east)) > 2 * HALF_WAY:
        raise DataError(f"{named} is not in degrees ({west:g}, {south:g}, ...); save it in WGS 84 (EPSG:4326)")
    if east > HALF_WAY and west >= HALF_WAY:
        from shapely.affinity import translate

        log.info("%s has longitudes of 0 to 360: 360 were taken off", named)
        return translate(polygon, xoff=-2 * HALF_WAY)
    return polygon


def _stated_crs(document: Any) -> str | None:
    crs = document.get("crs") if isinstance(document, Mapping) else None
    if not isinstance(crs, Mapping):
        return None
    name = (crs.get("properties") or {}).get("name")
    return str(name) if name else None


def _from_crs(polygon: Any, crs: str, named: str) -> Any:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError
    from shapely import segmentize
    from shapely.ops import transform

    try:
        known = CRS.from_user_input(crs.replace("urn:ogc:def:crs:", "").replace("::", ":") if "::" in crs else crs)
    except CRSError:
        raise DataError(f"{named} names the CRS {crs}, which is not known; save it in WGS 84 (EPSG:4326)") from None
    if not known.equals(CRS.from_epsg(4326), ignore_axis_order=True):
        log.info("%s is in %s: taken to WGS 84", named, known.name)
        if known.is_projected:  # a long straight edge is none in degrees
            polygon = segmentize(polygon, max(polygon.length / 400, 1.0))
    return transform(Transformer.from_crs(known, "EPSG:4326", always_xy=True).transform, polygon)


def _repaired(polygon: Any, named: str) -> Any:
    """A polygon whose outline does not cross itself."""
    if polygon.is_valid:
        return polygon
    from shapely import make_valid
    from shapely.ops import unary_union
    from shapely.validation import explain_validity

    why = explain_validity(polygon)
    parts = make_valid(polygon)
    areas = [part for part in getattr(parts, "geoms", [parts]) if part.geom_type in ("Polygon", "MultiPolygon")]
    if not areas:
        raise DataError(f"{named} encloses no area ({why}); draw the polygon anew")
    log.warning("%s is no clean polygon (%s): what its outline encloses was taken", named, why)
    return unary_union(areas)


def _check_bounds(bounds: Bounds, named: str) -> None:
    west, south, east, north = bounds
    if west < -HALF_WAY or east > HALF_WAY or east - west > HALF_WAY:
        raise DataError(f"{named} reaches from {west:g} to {east:g} degrees east: it {ANTIMERIDIAN}")
    if not (west < east and south < north):
        raise DataError(f"{named} encloses no area; draw the polygon anew")
    if south < POLES[0] or north > POLES[1]:
        raise DataError(f"{named} reaches from {south:g} to {north:g} degrees north; UTM ends at -80 and 84")
