"""What the viewer shows beside the maps, read in bands of rows and kept at the page's resolution."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LightSource

from mlssm.data.layers import part_place
from mlssm.grid import Window
from mlssm.inference.around import field_at
from mlssm.inference.opened import Opened
from mlssm.inference.retrieved import retrieved_rows, retrieved_times
from mlssm.jobs.block_means import block_means
from mlssm.mapping.viewer.content import Bytes, Frame, Pictures, Rain
from mlssm.mapping.viewer.warp import onto_frame, packed
from mlssm.retrieval.masks import frozen_or_snowy

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]

BEFORE = np.timedelta64(30, "D")  # that rain and images are shown before the first map: what soil remembers
POINTS = 4  # of rain along an extent's side
SUN_AZIMUTH, SUN_HEIGHT = 315, 45
AT_ONCE = 1_000_000  # pixels of a band


def factor_of(shape: tuple[int, int], frame: Frame) -> int:
    """How many pixels along a block whose mean the page can still show."""
    return max(1, min(side // shown for side, shown in zip(shape, frame.shape, strict=True)))


def block_bands(shape: tuple[int, int], factor: int) -> list[slice]:
    """Rows of whole blocks; the last one may be cut."""
    rows = max(1, AT_ONCE // (shape[1] * factor)) * factor
    return [slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)]


def hillshades(opened: Opened, frames: Sequence[Frame]) -> tuple[Bytes, ...] | None:
    """Shaded terrain of each extent; None without elevation."""
    cube = opened.cube
    if "elevation" not in cube.manifest.features:
        return None
    light, shades = LightSource(SUN_AZIMUTH, SUN_HEIGHT), []
    for frame, extent in zip(frames, cube.extents, strict=True):
        factor = factor_of(extent.shape, frame)
        elevation = _in_bands(extent, factor, lambda band: cube.static("elevation", band))
        known, wide = np.isfinite(elevation), cube.grid.pixel * factor
        filled = np.where(known, elevation, elevation[known].mean() if known.any() else 0)
        shade = light.hillshade(filled, vert_exag=2, dx=wide, dy=wide)
        light_grey = np.where(known, 0.45 + 0.5 * shade, np.nan).astype(np.float32)
        shades.append(packed(onto_frame(light_grey, cube.grid.crop(extent).coarsen(factor), frame), 1 / 254))
    return tuple(shades)


def _in_bands(extent: Window, factor: int, read: Callable[[Window], Array]) -> Array:
    """Means of blocks of an extent, of which a window of the grid is read at a time."""
    bands = block_bands(extent.shape, factor)
    windows = [Window(extent.row + rows.start, extent.col, rows.stop - rows.start, extent.width) for rows in bands]
    return np.concatenate([block_means(read(window), factor) for window in windows])


def retrieved_pictures(opened: Opened, frames: Sequence[Frame], days: Any) -> Pictures | None:
    """What was retrieved from the images of the maps' days, and of those before them."""
    if all(each is None for each in opened.retrievals):
        log.info("the viewer shows no retrieved images: the model knows no references of this area")
        return None
    times = retrieved_times(opened.cube, days[0] - BEFORE, days[-1])
    if not len(times):
        log.info("the viewer shows no retrieved images: there is none from %s to %s", days[0] - BEFORE, days[-1])
        return None
    stacks = tuple(_of_extent(opened, number, frame, times) for number, frame in enumerate(frames))
    seen = tuple(str(day) for day in opened.cube.local_days[times])
    return Pictures("retrieved", "Retrieved from radar", seen, stacks)


def _of_extent(opened: Opened, extent: int, frame: Frame, times: npt.NDArray[np.int64]) -> Bytes:
    """An extent's pictures [time, row, column]."""
    cube, working = opened.cube, opened.stack.working
    window, retrieval = working.extents[extent], opened.retrievals[extent]
    if retrieval is None:
        nothing = packed(np.full(frame.shape, np.nan, np.float32))
        return np.broadcast_to(nothing, (len(times), *frame.shape))
    factor, coarse = factor_of(window.shape, frame), []
    for rows in block_bands(window.shape, factor):
        placed = Window(window.row + rows.start, window.col, rows.stop - rows.start, window.width)
        field = field_at(opened, part_place(cube, working, extent, placed))
        masks = frozen_or_snowy(field, cube.local_days[times], opened.bundle.images, cube.morning[times])
        found = (
            retrieved_rows(cube, opened.stack.extents[extent], retrieval, masks, (number, int(time)), rows)
            for number, time in enumerate(times)
        )
        coarse.append([block_means(values, factor) for values in found])
    grid = working.grid.crop(window).coarsen(factor)
    return np.stack([packed(onto_frame(np.concatenate(parts), grid, frame)) for parts in zip(*coarse, strict=True)])


def rain_of(opened: Opened, days: Any) -> Rain | None:
    """Rain at some pixels of each extent, from before the first map to the last."""
    weather, working = opened.weather, opened.stack.working
    asked = np.arange(max(days[0] - BEFORE, weather.days[0]), min(days[-1], weather.days[-1]) + 1)
    if not len(asked):
        return None
    start = int((asked[0] - weather.days[0]).astype(int))
    window, places, mm = weather.values[start : start + len(asked)], [], []
    for number, extent in enumerate(working.extents):
        for row in np.unique(np.linspace(0, extent.height - 1, POINTS).astype(int)):
            for col in np.unique(np.linspace(0, extent.width - 1, POINTS).astype(int)):
                pixel = Window(extent.row + int(row), extent.col + int(col), 1, 1)
                place = part_place(opened.cube, working, number, pixel)
                only = slice(0, 1)
                field = field_at(opened, place)
                mm.append(field.at_pixels(window, 0, only, only, ("precipitation",))[:, 0, 0, 0])
                longitude, latitude = opened.cube.grid.geographic(place.x[0], place.y[0])
                places.append((float(latitude), float(longitude)))
    return Rain(tuple(str(day) for day in asked), tuple(places), np.array(mm, float))
