"""Leverage: how far a day's driver lies from those that a response was fitted on.

h = 1 / n + (g - mean g)^2 / sum (g_i - mean g)^2, the weight of an observation at g in its own fit by simple regression
(Hoaglin & Welsch 1978, The American Statistician 32). Between 1 / n and 1 at dates that were fitted on; larger beyond.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import LEAST_SPREAD, Booleans
from mlssm.response.rows import Maps, Times, few_rows, fields_of, rows_of
from mlssm.scratch import scratch


@dataclass(frozen=True)
class Leverage:
    """The drivers that a response was fitted on.

    Attributes:
        count: Number of dates.
        centre: Their mean [h, w] or [1, 1].
        spread: Their sum of squares around it, likewise.
    """

    count: int
    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, driver: Maps, training: Booleans, shape: tuple[int, ...] = ()) -> Leverage:
        """From a driver at all times, and which of them are training dates [T], one at least.

        Args:
            driver: [T, 1, 1], or maps of an extent.
            training: Which times are training dates [T].
            shape: Of the extent [h, w]; not asked for where the driver is an array.
        """
        shape = driver.shape[1:] if isinstance(driver, np.ndarray) else shape
        centre, spread = scratch(shape, np.float64), scratch(shape, np.float64)
        for rows in few_rows(shape, int(training.sum())):
            known = rows_of(driver, training, rows)
            centre[rows] = known.mean(axis=0)
            spread[rows] = ((known - centre[rows]) ** 2).sum(axis=0)
        return cls(int(training.sum()), centre, spread)

    def part(self, rows: slice) -> Leverage:
        """That of some rows."""
        if self.centre.shape == (1, 1):
            return self
        return Leverage(self.count, self.centre[rows], self.spread[rows])

    @classmethod
    def usual(cls, parts: list[Leverage]) -> Leverage:
        """Of the mean extent [1, 1]."""
        count = round(float(np.mean([part.count for part in parts])))
        centre, spread = (
            np.full((1, 1), np.mean([getattr(part, name).mean() for part in parts])) for name in ("centre", "spread")
        )
        return cls(count, centre, spread)

    def at(self, driver: Floats) -> Floats:
        """Leverage of a driver [..., h, w] or [..., 1, 1]; of one that never varied only 1 / n is known."""
        square = (driver - self.centre) ** 2
        varies = np.broadcast_to(self.spread > LEAST_SPREAD, square.shape)
        return 1 / self.count + np.divide(square, self.spread, out=np.zeros_like(square), where=varies)

    def state(self) -> dict[str, Any]:
        """Arrays and numbers."""
        return fields_of(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Leverage:
        """From its state."""
        return cls(int(state["count"]), state["centre"], state["spread"])


@dataclass(frozen=True)
class LeverageRows:
    """Leverage of a driver at all times, made some rows at a time.

    Attributes:
        leverage: Of the dates that are known.
        driver: At all times.
    """

    leverage: Leverage
    driver: Maps

    def rows(self, times: Times, rows: slice) -> Floats:
        """[time, rows, w], or [time, 1, 1] where all pixels have one driver."""
        return self.leverage.part(rows).at(rows_of(self.driver, times, rows))
