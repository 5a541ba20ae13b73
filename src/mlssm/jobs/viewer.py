"""The viewer of a folder of maps: what it shows beside them comes from the area's cube."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlssm.inference.opened import Opened
from mlssm.jobs.viewer_layers import hillshades, rain_of, retrieved_pictures
from mlssm.mapping.list import DayMap
from mlssm.mapping.viewer.content import Content, Station
from mlssm.mapping.viewer.page import write_page
from mlssm.mapping.viewer.reading import pictures_of, warnings_of
from mlssm.workers import Workers

log = logging.getLogger(__name__)

PAGE = "index.html"
TOLD = {"run_id": "run", "model": "model", "lag_days": "weather of, days", "support_m": "support, m"}
MEGABYTE = 1_000_000


def write_viewer(
    opened: Opened,
    maps: Sequence[DayMap],
    folder: Path,
    title: str,
    workers: Workers,
    polygons: Mapping[str, Any] | None = None,
    warnings: Sequence[Path] = (),
) -> Path:
    """Write the page that shows maps day by day.

    Args:
        opened: What made the maps.
        maps: In the order of days.
        folder: Where the page goes.
        title: Its title.
        workers: Who reads the maps.
        polygons: GeoJSON features to draw on the map, longitude and latitude.
        warnings: The maps' levels of warning; empty without.

    Returns:
        The page.

    Raises:
        DataError: A file cannot be read, or the page not be written.
    """
    cube = opened.cube
    frames, bands = pictures_of(maps, cube.grid, cube.extents, workers)
    if warnings:
        bands = (*bands, warnings_of(warnings, [each.day for each in maps], frames, workers))
    days = np.array([each.day for each in maps], "datetime64[D]")
    content = Content(
        title=title,
        about=_about(maps[-1], len(maps)),
        notes={each.day: note for each in maps if (note := note_of(each))},
        frames=frames,
        bands=bands,
        retrieved=retrieved_pictures(opened, frames, days),
        hillshade=hillshades(opened, frames),
        rain=rain_of(opened, days),
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


def note_of(each: DayMap) -> str:
    """What is shown beside a day: that it rests on forecast weather, or that no image is later; else empty."""
    ahead = int(each.tags.get("forecast_weather_days", 0))
    if ahead:
        return f"forecast: {ahead} {'day' if ahead == 1 else 'days'} of forecast weather"
    return "after the last image" if each.day > each.tags.get("last_image", each.day) else ""


def _about(last: DayMap, number: int) -> dict[str, str]:
    told = {words: last.tags[tag] for tag, words in TOLD.items() if tag in last.tags}
    return {"days": str(number), **told, "made with": last.tags.get("software", "")}
