"""A STAC collection of a folder's maps, static and with relative links: it can be copied, and served by any web server.

SpatioTemporal Asset Catalog 1.1, with the projection extension (https://github.com/stac-extensions/projection).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pystac
import rasterio
from pystac.extensions.projection import ProjectionExtension
from rasterio.warp import transform_bounds

from mlssm.errors import DataError
from mlssm.files import whole_file
from mlssm.mapping.list import DayMap

COLLECTION = "collection.json"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
KEPT_TAGS = (
    *("run_id", "model", "lag_days", "support_m", "software", "state_at", "kind", "pixel_memory"),
    *("forecast_weather_days", "image_age_days", "ndvi_age_days", "observed_weather_age_days"),
)


def write_stac(maps: Sequence[DayMap], folder: Path, title: str) -> Path:
    """Write `collection.json` and an item beside each map.

    Args:
        maps: The maps, all in `folder`.
        folder: Theirs.
        title: The collection's.

    Returns:
        The collection's file.

    Raises:
        DataError: A map cannot be read, or a file not be written.
    """
    place = folder.absolute()  # from relative paths pystac would make links that begin with the folder's own name
    items = [_item(each, place) for each in maps]
    collection = pystac.Collection(
        id="soil-moisture",
        title=title,
        description="Relative surface soil moisture by day: 0 is the driest and 1 the wettest that the satellite has "
        "seen of a place.",
        license="other",
        extent=_extent(items),
        keywords=["soil moisture", "Sentinel-1", "daily"],
        catalog_type=pystac.CatalogType.SELF_CONTAINED,  # links are relative
    )
    collection.add_items(items)
    collection.set_self_href(str(place / COLLECTION))
    for item, each in zip(items, maps, strict=True):
        item.set_self_href(str(place / each.path.with_suffix(".json").name))
    collection.make_all_asset_hrefs_relative()
    try:
        for file in (*items, collection):
            with whole_file(Path(file.get_self_href() or "")) as finished:
                finished.write_text(json.dumps(file.to_dict(include_self_link=False), indent=2), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: the catalogue cannot be written ({error}); free some space") from error
    return folder / COLLECTION


def _item(each: DayMap, folder: Path) -> pystac.Item:
    with rasterio.open(each.path) as source:
        bounds = [round(edge, 6) for edge in transform_bounds(source.crs, "EPSG:4326", *source.bounds)]
        epsg, transform, shape = source.crs.to_epsg(), list(source.transform)[:6], list(source.shape)
        bands = [_band(source, number) for number in source.indexes]
    start, end = _span(each)
    kept = {f"mlssm:{tag}": each.tags[tag] for tag in KEPT_TAGS if tag in each.tags}
    item = pystac.Item(
        id=each.path.stem,
        geometry=_rectangle(*bounds),
        bbox=bounds,
        datetime=None,
        start_datetime=start,
        end_datetime=end,
        properties={"title": f"Soil moisture, {each.day}", **kept},
    )
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    projection.apply(epsg=epsg, transform=transform, shape=shape)
    path = folder / each.path.name
    asset = pystac.Asset(str(path), title="map", media_type=COG, roles=["data"], extra_fields={"bands": bands})
    item.add_asset("map", asset)
    preview = path.with_suffix(".png")
    if preview.is_file():
        item.add_asset(
            "preview", pystac.Asset(str(preview), title="preview", media_type="image/png", roles=["thumbnail"])
        )
    return item


def _rectangle(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [corners]}


def _band(source: Any, number: int) -> dict[str, Any]:
    """A band in the words of STAC 1.1: its name, description, type and missing value."""
    name = source.tags(number).get("name", f"band {number}")
    nodata = source.nodata
    missing: Any = "nan" if nodata is not None and nodata != nodata else nodata
    return {
        "name": name,
        "description": source.descriptions[number - 1] or name,
        "data_type": source.dtypes[number - 1],
        "nodata": missing,
        "unit": source.units[number - 1] or "1",
    }


def _span(each: DayMap) -> tuple[dt.datetime, dt.datetime]:
    """The local day that the map is of, UTC."""
    zone = ZoneInfo(each.tags.get("time_zone", "UTC"))
    day = dt.date.fromisoformat(each.day)
    start = dt.datetime.combine(day, dt.time(), zone)
    end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone) - dt.timedelta(seconds=1)
    return start.astimezone(dt.UTC), end.astimezone(dt.UTC)


def _extent(items: Sequence[pystac.Item]) -> pystac.Extent:
    boxes = [item.bbox for item in items if item.bbox]
    around = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    starts = [item.common_metadata.start_datetime for item in items if item.common_metadata.start_datetime]
    ends = [item.common_metadata.end_datetime for item in items if item.common_metadata.end_datetime]
    return pystac.Extent(pystac.SpatialExtent([around]), pystac.TemporalExtent([[min(starts), max(ends)]]))
