"""From a folder's maps to the pictures of the page, at a resolution that keeps the page small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import NAME_TAG
from mlssm.mapping.viewer.content import Bytes, Frame, Pictures
from mlssm.mapping.viewer.page import compressed
from mlssm.mapping.viewer.warp import frames_of, packed, read_band
from mlssm.progress import track

# of all maps in the page, as text: the page stays below 15 MB with what stands beside them
MOST_BYTES = 11_000_000
# pixels of a date that are tried, to learn how well they compress
TRIED = 500_000
SHOWN = "ssm", "lower", "upper", "standard_error", "probability"


@dataclass(frozen=True)
class DayMap:
    """One day's file.

    Attributes:
        path: The GeoTIFF.
        day: ISO day.
        tags: What it says of itself.
        bands: Number, name and description of each band that the page shows.
    """

    path: Path
    day: str
    tags: dict[str, str]
    bands: tuple[tuple[int, str, str], ...]


def list_maps(paths: Sequence[Path]) -> list[DayMap]:
    """The maps in the order of their days.

    Raises:
        DataError: A file is none of our maps.
    """
    return sorted((_described(path) for path in paths), key=lambda found: found.day)


def _described(path: Path) -> DayMap:
    try:
        with rasterio.open(path) as source:
            tags = source.tags()
            names = {number: source.tags(number).get(NAME_TAG, "") for number in source.indexes}
            shown = [
                (number, name, source.descriptions[number - 1]) for number, name in names.items() if _is_shown(name)
            ]
    except RasterioError as error:
        raise DataError(f"{path} cannot be read ({error}); make the map again") from error
    if "date" not in tags or not shown:
        raise DataError(f"{path} is no map of soil moisture: it lacks the tag 'date' or the band 'ssm'")
    return DayMap(path, tags["date"], tags, tuple(shown))


def _is_shown(name: str) -> bool:
    return name.startswith(SHOWN)


def pictures_of(
    maps: Sequence[DayMap], grid: Grid, areas: Sequence[Window], most_bytes: int = MOST_BYTES
) -> tuple[tuple[Frame, ...], tuple[Pictures, ...]]:
    """Read the maps as coarsely as the page asks for.

    Args:
        maps: Of one grid, in the order of days.
        grid: Their grid.
        areas: Windows of it that have values.
        most_bytes: That the pictures may take in the page.

    Returns:
        The frames, and the bands that all maps have.
    """
    shared = [band for band in maps[0].bands if all(band[1] in {name for _, name, _ in each.bands} for each in maps)]
    frames = frames_of(grid, areas, _coarser(maps, grid, areas, len(shared) * len(maps), most_bytes))
    stacks: dict[str, list[list[Bytes]]] = {name: [[] for _ in frames] for _, name, _ in shared}
    for each in track(maps, "maps into the viewer"):
        numbers = {name: number for number, name, _ in each.bands}
        with rasterio.open(each.path) as source:
            for name, stack in stacks.items():
                for frame, values in zip(frames, stack, strict=True):
                    values.append(packed(read_band(source, numbers[name], frame)))
    days = tuple(each.day for each in maps)
    bands = [
        Pictures(name, _plain(label, maps[0].day), days, tuple(np.stack(values) for values in stacks[name]))
        for _, name, label in shared
    ]
    return frames, tuple(bands)


def _plain(label: str, day: str) -> str:
    """A band's description without the day that it was written for."""
    return label.replace(f", {day}", "")


def _coarser(maps: Sequence[DayMap], grid: Grid, areas: Sequence[Window], pictures: int, most_bytes: int) -> float:
    """How many times a picture's pixel must be as wide as a map's."""
    pixels = sum(area.height * area.width for area in areas)
    tried = max(1.0, math.sqrt(pixels / TRIED))
    frames = frames_of(grid, areas, tried)
    with rasterio.open(maps[len(maps) // 2].path) as source:
        number = maps[len(maps) // 2].bands[0][0]
        size = sum(len(compressed(packed(read_band(source, number, frame)))) for frame in frames)
    return tried * max(1 / tried, math.sqrt(size * pictures / most_bytes))
