"""The viewer of a folder of maps: what it shows beside them comes from the area's cube."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LightSource

from mlssm.inference.opened import Opened
from mlssm.inference.retrieved import retrieved_days
from mlssm.mapping.list import DayMap
from mlssm.mapping.viewer.content import Bytes, Content, Frame, Pictures, Rain, Station
from mlssm.mapping.viewer.page import write_page
from mlssm.mapping.viewer.reading import pictures_of, warnings_of
from mlssm.mapping.viewer.warp import onto_frame, packed
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.weather.field import WeatherField
from mlssm.weather.stations import VARIABLES

log = logging.getLogger(__name__)

PAGE = "index.html"
FORECAST = "after the last image"
BEFORE = np.timedelta64(30, "D")  # that rain and images are shown before the first map: what soil remembers
POINTS = 4  # of rain along an extent's side
SUN_AZIMUTH, SUN_HEIGHT = 315, 45
RAIN = VARIABLES.index("precipitation")
TOLD = {"run_id": "run", "model": "model", "lag_days": "weather of, days", "support_m": "support, m"}
MEGABYTE = 1_000_000


def write_viewer(
    opened: Opened,
    maps: Sequence[DayMap],
    folder: Path,
    title: str,
    polygons: Mapping[str, Any] | None = None,
    warnings: Sequence[Path] = (),
) -> Path:
    """Write the page that shows maps day by day.

    Args:
        opened: What made the maps.
        maps: In the order of days.
        folder: Where the page goes.
        title: Its title.
        polygons: GeoJSON features to draw on the map, longitude and latitude.
        warnings: The maps' levels of warning; empty without.

    Returns:
        The page.

    Raises:
        DataError: A file cannot be read, or the page not be written.
    """
    cube = opened.cube
    frames, bands = pictures_of(maps, cube.grid, cube.extents)
    if warnings:
        bands = (*bands, warnings_of(warnings, [each.day for each in maps], frames))
    days = np.array([each.day for each in maps], "datetime64[D]")
    content = Content(
        title=title,
        about=_about(maps[-1], len(maps)),
        notes={each.day: FORECAST for each in maps if each.day > each.tags.get("last_image", each.day)},
        frames=frames,
        bands=bands,
        retrieved=_retrieved(opened, frames, days),
        hillshade=_hillshade(opened, frames),
        rain=_rain(opened.field, cube.grid.geographic, days),
        stations=[
            Station(name, float(latitude), float(longitude))
            for name, longitude, latitude in zip(
                cube.weather.ids, cube.weather.longitude, cube.weather.latitude, strict=True
            )
        ],
        polygons=polygons,
    )
    page = folder / PAGE
    size = write_page(page, content)
    log.info("open %s in a browser to look at the maps (%.1f MB, works offline)", page, size / MEGABYTE)
    return page


def _about(last: DayMap, number: int) -> dict[str, str]:
    told = {words: last.tags[tag] for tag, words in TOLD.items() if tag in last.tags}
    return {"days": str(number), **told, "made with": last.tags.get("software", "")}


def _retrieved(opened: Opened, frames: Sequence[Frame], days: Any) -> Pictures | None:
    """What was retrieved from the images of the maps' days, and of those before them."""
    if all(each is None for each in opened.retrievals):
        log.info("the viewer shows no retrieved images: the model knows no references of this area")
        return None
    cube, working = opened.cube, opened.stack.working
    masks = frozen_or_snowy(opened.field, cube.local_days, opened.bundle.images, cube.morning)
    found = retrieved_days(cube, opened.stack, opened.retrievals, masks, days[0] - BEFORE, days[-1])
    pictures: list[list[Bytes]] = [[] for _ in frames]
    seen = []
    for day, extents in found:
        seen.append(str(day))
        for frame, window, values, stack in zip(frames, working.extents, extents, pictures, strict=True):
            stack.append(packed(onto_frame(values, working.grid.crop(window), frame)))
    if not seen:
        log.info("the viewer shows no retrieved images: there is none from %s to %s", days[0] - BEFORE, days[-1])
        return None
    stacks = tuple(np.stack(stack) for stack in pictures)
    return Pictures("retrieved", "Retrieved from radar", tuple(seen), stacks)


def _hillshade(opened: Opened, frames: Sequence[Frame]) -> tuple[Any, ...] | None:
    cube = opened.cube
    if "elevation" not in cube.manifest.features:
        return None
    light, shades = LightSource(SUN_AZIMUTH, SUN_HEIGHT), []
    for frame, extent in zip(frames, cube.extents, strict=True):
        elevation = cube.static("elevation", extent)
        known = np.isfinite(elevation)
        filled = np.where(known, elevation, elevation[known].mean() if known.any() else 0)
        shade = light.hillshade(filled, vert_exag=2, dx=cube.grid.pixel, dy=cube.grid.pixel)
        light_grey = np.where(known, 0.45 + 0.5 * shade, np.nan).astype(np.float32)
        shades.append(packed(onto_frame(light_grey, cube.grid.crop(extent), frame), 1 / 254))
    return tuple(shades)


def _rain(field: WeatherField, geographic: Any, days: Any) -> Rain | None:
    """Rain at some pixels of each extent, from before the first map to the last."""
    first, last = days[0] - BEFORE, days[-1]
    asked = np.arange(max(first, field.weather.days[0]), min(last, field.weather.days[-1]) + 1)
    if not len(asked):
        return None
    start = int((asked[0] - field.weather.days[0]).astype(int))
    window = field.weather.values[start : start + len(asked)]
    places, mm = [], []
    for number, place in enumerate(field.places):
        for row in np.unique(np.linspace(0, place.shape[0] - 1, POINTS).astype(int)):
            for col in np.unique(np.linspace(0, place.shape[1] - 1, POINTS).astype(int)):
                pixel = slice(row, row + 1), slice(col, col + 1)
                mm.append(field.at_pixels(window, number, *pixel, ("precipitation",))[:, 0, 0, 0])
                longitude, latitude = geographic(place.x[col], place.y[row])
                places.append((float(latitude), float(longitude)))
    return Rain(tuple(str(day) for day in asked), tuple(places), np.array(mm, float))
