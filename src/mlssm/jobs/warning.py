"""The warning layer of a run's maps: slope and rain come from the area's cube."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlssm.config import PredictConfig, WarningConfig
from mlssm.errors import DataError, RunError
from mlssm.grid import Window
from mlssm.inference.certainty import NO_INTERVALS
from mlssm.inference.mapper import window_end
from mlssm.inference.opened import Opened
from mlssm.jobs.day_map import threshold_name
from mlssm.mapping.list import DayMap
from mlssm.mapping.products.warning import WarningSource, write_warnings
from mlssm.weather.windows import antecedent

Array = npt.NDArray[np.float32]
SLOPE = "slope"


def check_warning(opened: Opened, config: PredictConfig) -> None:
    """Refuse a warning layer that the model or the extent has not what it takes for, before anything is mapped.

    Raises:
        RunError: The model has no probabilities.
        DataError: The extent has no slope.
    """
    if config.products.warning is None:
        return
    if opened.certainty is None or opened.certainty.calibration is None:
        raise RunError(f"products.warning needs probabilities: {NO_INTERVALS}")
    if SLOPE not in opened.cube.manifest.features:
        raise DataError(
            "products.warning needs the slope, and the extent has no elevation; add a DEM in its folder dem"
        )


def write_warning_layer(opened: Opened, maps: Sequence[DayMap], rules: WarningConfig) -> list[Path]:
    """Write the levels of each map beside it; returns their files."""
    cube, of_day = opened.cube, RainOfDay(opened, rules.rain_days)
    source = WarningSource(
        cube.grid,
        cube.extents,
        rules,
        threshold_name(rules.ssm),
        slope=lambda window: cube.static(SLOPE, window),
        rain=of_day.on,
    )
    return write_warnings(maps, source)


class RainOfDay:
    """Rain of the days that end with a map's own, as the map knows it.

    A station counts that has rain on each of the days; where none has, the rain is not known.
    """

    def __init__(self, opened: Opened, days: int) -> None:
        """For sums over so many days."""
        self._opened, self._days = opened, days

    def on(self, day: str, extent: int, window: Window) -> Array:
        """Rain, mm, float32 of the window's shape.

        Args:
            day: ISO day of the map.
            extent: Number of the part of the grid that the window lies in.
            window: Of the extent's own grid.
        """
        opened, working = self._opened, self._opened.stack.working
        end = window_end(opened.bundle, np.datetime64(day, "D"))
        (total,) = antecedent(opened.cube.weather, np.array([end]), self._days, "aggregate", min_coverage=1.0)
        factor, corner = working.factor, working.extents[extent]
        coarse = window.coarsen(factor)
        within = coarse.within(corner)
        rows = slice(within.row, within.row + within.height)
        cols = slice(within.col, within.col + within.width)
        rain = opened.field.at_pixels(total, extent, rows, cols, ("precipitation",))[0, 0]
        fine = np.repeat(np.repeat(rain, factor, axis=0), factor, axis=1)
        return np.ascontiguousarray(fine[window.within(coarse.refine(factor)).slices])
