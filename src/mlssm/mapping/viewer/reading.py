"""From a folder's maps to the pictures of the page, at a resolution that keeps the page small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import opened_map
from mlssm.mapping.list import DayMap
from mlssm.mapping.products.levels import NAMES, UNKNOWN
from mlssm.mapping.viewer.content import WARNING, Bytes, Frame, Pictures
from mlssm.mapping.viewer.page import compressed
from mlssm.mapping.viewer.warp import frames_of, packed, read_bands, read_highest
from mlssm.workers import Workers

# of all maps in the page, as text: the page stays below 15 MB with what stands beside them
MOST_BYTES = 11_000_000
# pixels of a date that are tried, to learn how well they compress
TRIED = 500_000
# bands that the page shows, by how their names begin
SHOWN = "ssm", "lower", "upper", "standard_error", "probability"


def pictures_of(
    maps: Sequence[DayMap], grid: Grid, extents: Sequence[Window], workers: Workers, most_bytes: int = MOST_BYTES
) -> tuple[tuple[Frame, ...], tuple[Pictures, ...]]:
    """Read the maps as coarsely as the page asks for.

    Args:
        maps: Of one grid, in the order of days.
        grid: Their grid.
        extents: Windows of it that have values.
        workers: Who reads, a map each.
        most_bytes: That the pictures may take in the page.

    Returns:
        The frames, and the bands that all maps have.
    """
    shared = [
        band for band in maps[0].bands if band[1].startswith(SHOWN) and all(band[1] in _names(each) for each in maps)
    ]
    frames = frames_of(grid, extents, _coarser(maps, grid, extents, len(shared) * len(maps), most_bytes))
    names = [name for _, name, _ in shared]
    stacks = _by_frame(workers.run(partial(_pictures, names, frames), maps, "maps into the viewer"))
    days = tuple(each.day for each in maps)
    bands = [
        Pictures(name, _plain(label, maps[0].day), days, tuple(stack[:, number] for stack in stacks))
        for number, (_, name, label) in enumerate(shared)
    ]
    return frames, tuple(bands)


def _pictures(names: Sequence[str], frames: Sequence[Frame], each: DayMap) -> list[Bytes]:
    """Bands of a day's map in each frame, [band, row, column]."""
    numbers = {name: number for number, name, _ in each.bands}
    with opened_map(each.path) as source:
        read = [read_bands(source, [numbers[name] for name in names], frame) for frame in frames]
    return [np.stack([packed(values) for values in bands]) for bands in read]


def _by_frame(days: Sequence[Sequence[Bytes]]) -> tuple[Bytes, ...]:
    """Pictures of each frame, all days together, of those of each day."""
    return tuple(np.stack(pictures) for pictures in zip(*days, strict=True))


def warnings_of(paths: Sequence[Path], days: Sequence[str], frames: Sequence[Frame], workers: Workers) -> Pictures:
    """Maps of warning levels, the highest of each pixel of the page.

    Args:
        paths: Of the maps of levels.
        days: Their ISO days.
        frames: Of the page.
        workers: Who reads, a map each.
    """
    found = workers.run(partial(_levels, frames), paths, "warnings into the viewer")
    return Pictures(WARNING, "warning level", tuple(days), _by_frame(found))


def _levels(frames: Sequence[Frame], path: Path) -> list[Bytes]:
    """The levels of a day's map in each frame, [row, column]."""
    with opened_map(path) as source:
        return [packed(read_highest(source, frame, UNKNOWN) / np.float32(len(NAMES) - 1)) for frame in frames]


def _names(each: DayMap) -> set[str]:
    return {name for _, name, _ in each.bands}


def _plain(label: str, day: str) -> str:
    """A band's description without the day that it was written for."""
    return label.replace(f", {day}", "")


def _coarser(maps: Sequence[DayMap], grid: Grid, extents: Sequence[Window], pictures: int, most_bytes: int) -> float:
    """How many times a picture's pixel must be as wide as a map's."""
    pixels = sum(extent.height * extent.width for extent in extents)
    tried = max(1.0, math.sqrt(pixels / TRIED))
    frames = frames_of(grid, extents, tried)
    with opened_map(maps[len(maps) // 2].path) as source:
        number = maps[len(maps) // 2].bands[0][0]
        size = sum(len(compressed(packed(read_bands(source, [number], frame)[0]))) for frame in frames)
    return tried * max(1 / tried, math.sqrt(size * pictures / most_bytes))
