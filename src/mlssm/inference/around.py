"""An opened area, cut down to what lies around some of its pixels: nothing else of it is read, or predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlssm.cube import Cube
from mlssm.grid import Window
from mlssm.response.forecaster import corner, same_place
from mlssm.retrieval.stack import AreaStack, Stack
from mlssm.retrieval.working_grid import WorkingGrid

OF_PIXELS = ("labelled", "retrieval")  # parts of the state that have an entry for each area


@dataclass(frozen=True)
class Pixel:
    """A pixel of the working grid: which area it is of, and its row and column there."""

    area: int
    row: int
    col: int


def pixel_at(working: WorkingGrid, x: float, y: float) -> Pixel | None:
    """The pixel that a point lies in, easting and northing in metres; None outside of all areas."""
    grid = working.grid
    row, col = int((grid.origin[1] - y) // grid.pixel), int((x - grid.origin[0]) // grid.pixel)
    for number, area in enumerate(working.areas):
        inner = row - area.row, col - area.col
        if 0 <= inner[0] < area.height and 0 <= inner[1] < area.width:
            return Pixel(number, *inner)
    return None


@dataclass(frozen=True)
class Around:
    """Windows around pixels, which stand for the areas of an opened area.

    Attributes:
        cube: With the windows for its areas.
        stack: Likewise.
        fitted: What was fitted beside the network, likewise; None where there was nothing.
        centres: Row and column of each pixel in its window.
    """

    cube: Cube
    stack: Stack
    fitted: Any
    centres: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, cube: Cube, stack: Stack, fitted: Any, pixels: Sequence[Pixel], reach: int) -> Around:
        """Cut out so many pixels on each side, fewer where the area ends.

        Args:
            cube: The opened area.
            stack: Its multilooked backscatter.
            fitted: Of `mlssm.inference.prefit.fitted_state`.
            pixels: The middles, each once.
            reach: Pixels.
        """
        working = stack.working
        cuts = [_cut(pixel, working.areas[pixel.area], reach) for pixel in pixels]
        windows = tuple(_moved(cut, working.areas[pixel.area]) for pixel, cut in zip(pixels, cuts, strict=True))
        fine = [
            window.refine(working.factor).intersection(cube.areas[pixel.area])
            for pixel, window in zip(pixels, windows, strict=True)
        ]
        areas = tuple((each.row, each.col, each.height, each.width) for each in fine)
        there = Cube(cube.path, cube.manifest.model_copy(update={"areas": areas}))
        parts = tuple(_stack(stack.areas[pixel.area], cut) for pixel, cut in zip(pixels, cuts, strict=True))
        small = Stack(replace(working, areas=windows), parts, stack.channel)
        state = None if fitted is None else _state(fitted, working, small.working, pixels, cuts)
        centres = tuple((pixel.row - cut.row, pixel.col - cut.col) for pixel, cut in zip(pixels, cuts, strict=True))
        return cls(there, small, state, centres)


def _cut(pixel: Pixel, area: Window, reach: int) -> Window:
    """The window around a pixel, counted from the area's corner."""
    row, col = max(pixel.row - reach, 0), max(pixel.col - reach, 0)
    bottom, right = min(pixel.row + reach + 1, area.height), min(pixel.col + reach + 1, area.width)
    return Window(row, col, bottom - row, right - col)


def _moved(cut: Window, area: Window) -> Window:
    return Window(cut.row + area.row, cut.col + area.col, cut.height, cut.width)


def _stack(area: AreaStack, cut: Window) -> AreaStack:
    rows, cols = cut.slices
    others = tuple((weight, packed[:, rows, cols]) for weight, packed in area.others)
    return replace(area, packed=area.packed[:, rows, cols], count=area.count[:, rows, cols], others=others)


def _state(
    fitted: Mapping[str, Any], working: WorkingGrid, small: WorkingGrid, pixels: Sequence[Pixel], cuts: Sequence[Window]
) -> dict[str, Any]:
    """The state of the windows that lie in an area that the model was trained on; others know no pixel."""
    known = [_known(fitted, working, pixel.area) for pixel in pixels]
    places = [corner(small.grid, window) for window in small.areas]
    found = [(n, cut, place) for n, cut, place in zip(known, cuts, places, strict=True) if n is not None]
    shapes = [each["pixels"].shape for each in fitted["labelled"]]

    def cropped(parts: Any) -> list[Any]:
        if not parts:
            return []
        made = [(_cropped(parts[n], shapes[n], cut), place) for n, cut, place in found]
        return [{**part, "corner": place} if "corner" in part else part for part, place in made]

    forecaster = fitted["forecaster"]
    return {
        **fitted,
        **{name: cropped(fitted[name]) for name in OF_PIXELS},
        "forecaster": None if forecaster is None else {**forecaster, "areas": cropped(forecaster["areas"])},
    }


def _known(fitted: Mapping[str, Any], working: WorkingGrid, area: int) -> int | None:
    """Which of the areas that the model was trained on an area is."""
    window = working.areas[area]
    here = corner(working.grid, window)
    for number, each in enumerate(fitted["labelled"]):
        if same_place(each["corner"], here) and each["pixels"].shape == window.shape:
            return number
    return None


def _cropped(values: Any, shape: tuple[int, int], cut: Window) -> Any:
    """Nested values, of whose arrays those of the area's shape are cut."""
    if isinstance(values, np.ndarray):
        return values[(..., *cut.slices)] if values.shape[-2:] == shape else values
    if isinstance(values, Mapping):
        return {key: _cropped(each, shape, cut) for key, each in values.items()}
    return [_cropped(each, shape, cut) for each in values] if isinstance(values, list | tuple) else values
