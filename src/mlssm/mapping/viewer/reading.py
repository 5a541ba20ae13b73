"""From a folder's maps to the pictures of the page, at a resolution that keeps the page small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio

from mlssm.grid import Grid, Window
from mlssm.mapping.list import DayMap
from mlssm.mapping.products.levels import NAMES, UNKNOWN
from mlssm.mapping.viewer.content import WARNING, Bytes, Frame, Pictures
from mlssm.mapping.viewer.page import compressed
from mlssm.mapping.viewer.warp import frames_of, packed, read_band, read_highest
from mlssm.progress import track

# of all maps in the page, as text: the page stays below 15 MB with what stands beside them
MOST_BYTES = 11_000_000
# pixels of a date that are tried, to learn how well they compress
TRIED = 500_000
# bands that the page shows, by how their names begin
SHOWN = "ssm", "lower", "upper", "standard_error", "probability"


def pictures_of(
    maps: Sequence[DayMap], grid: Grid, extents: Sequence[Window], most_bytes: int = MOST_BYTES
) -> tuple[tuple[Frame, ...], tuple[Pictures, ...]]:
    """Read the maps as coarsely as the page asks for.

    Args:
        maps: Of one grid, in the order of days.
        grid: Their grid.
        extents: Windows of it that have values.
        most_bytes: That the pictures may take in the page.

    Returns:
        The frames, and the bands that all maps have.
    """
    shared = [
        band for band in maps[0].bands if band[1].startswith(SHOWN) and all(band[1] in _names(each) for each in maps)
    ]
    frames = frames_of(grid, extents, _coarser(maps, grid, extents, len(shared) * len(maps), most_bytes))
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


def warnings_of(paths: Sequence[Path], days: Sequence[str], frames: Sequence[Frame]) -> Pictures:
    """Maps of warning levels, the highest of each pixel of the page.

    Args:
        paths: Of the maps of levels.
        days: Their ISO days.
        frames: Of the page.
    """
    stacks: list[list[Bytes]] = [[] for _ in frames]
    for path in track(paths, "warnings into the viewer"):
        with rasterio.open(path) as source:
            for frame, stack in zip(frames, stacks, strict=True):
                stack.append(packed(read_highest(source, frame, UNKNOWN) / np.float32(len(NAMES) - 1)))
    return Pictures(WARNING, "warning level", tuple(days), tuple(np.stack(stack) for stack in stacks))


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
    with rasterio.open(maps[len(maps) // 2].path) as source:
        number = maps[len(maps) // 2].bands[0][0]
        size = sum(len(compressed(packed(read_band(source, number, frame)))) for frame in frames)
    return tried * max(1 / tried, math.sqrt(size * pictures / most_bytes))
