"""The warning layer: a map of levels beside each map of soil moisture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from mlssm.config import WarningConfig
from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import read_values
from mlssm.mapping.list import DayMap
from mlssm.mapping.products.levels import COLOURS, NAMES, Levels, levels
from mlssm.mapping.products.palette import write_classes, write_classes_style
from mlssm.progress import track

Array = npt.NDArray[np.float32]
SIDE = 1024  # pixels along a part that is worked on at once
LIMITS = "relative wetness of the top centimetres, no pore pressure; no forecast of landslides"


@dataclass(frozen=True)
class WarningSource:
    """What levels of warning are told from.

    Attributes:
        grid: Of the maps.
        extents: Windows of it that have values.
        rules: Thresholds.
        band: Name of the maps' band of P(SSM > rules.ssm).
        slope: Degrees in a window of the grid, NaN where not known.
        rain: Of an ISO day, the number of an extent and a window in it: rain of the rules' days, mm, NaN where not
            known.
    """

    grid: Grid
    extents: Sequence[Window]
    rules: WarningConfig
    band: str
    slope: Callable[[Window], Array]
    rain: Callable[[str, int, Window], Array]


def write_warnings(maps: Sequence[DayMap], source: WarningSource) -> list[Path]:
    """Write `warning_<day>.tif` and its style beside each map.

    Args:
        maps: In the order of days.
        source: What their levels are told from.

    Returns:
        The maps of levels.

    Raises:
        DataError: A map has no such band, or a file cannot be written.
    """
    return [_write(each, source) for each in track(maps, "warnings")]


def _write(each: DayMap, told: WarningSource) -> Path:
    number = next((number for number, name, _ in each.bands if name == told.band), None)
    if number is None:
        raise DataError(f"{each.path} has no band {told.band}, which the warnings need; make the map again")
    path = each.path.with_name(f"warning_{each.day.replace('-', '')}.tif")

    def blocks(source: rasterio.DatasetReader) -> Iterator[tuple[Window, Levels]]:
        for extent, window in parts(told.extents):
            probability = read_values(source, number, window)
            yield window, levels(told.rules, probability, told.slope(window), told.rain(each.day, extent, window))

    with rasterio.open(each.path) as source:
        write_classes(path, told.grid, blocks(source), COLOURS, _tags(each, told.rules), f"warning level, {each.day}")
    write_classes_style(path, COLOURS, NAMES)
    return path


def parts(extents: Sequence[Window]) -> Iterator[tuple[int, Window]]:
    """Windows of at most `SIDE` pixels along a side that cover the extents, with the number of the extent."""
    for number, extent in enumerate(extents):
        for row in range(extent.row, extent.row + extent.height, SIDE):
            for col in range(extent.col, extent.col + extent.width, SIDE):
                yield number, Window(row, col, SIDE, SIDE).intersection(extent)


def _tags(each: DayMap, rules: WarningConfig) -> dict[str, str]:
    passed = [
        f"{level} {name}: P(SSM > {rules.ssm:g}) > {probability:g}, slope >= {slope:g} deg, "
        f"{rules.rain_days} days of rain >= {rain:g} mm"
        for level, (name, probability, slope, rain) in enumerate(
            zip(NAMES[1:], rules.probability, rules.slope_deg, rules.rain_mm, strict=True), 1
        )
    ]
    # of the map: its flags, on the same pixels, say what each value rests on
    return {**each.tags, "levels": "; ".join(passed), "limits": LIMITS, "map": each.path.name}
