"""The closed form on any day and in any extent: what a model bundle keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlssm.grid import Floats, Grid, Window
from mlssm.response.bank import Bank, mean_bank
from mlssm.response.base import Response
from mlssm.response.closed_form import ClosedForm
from mlssm.response.driver_maps import Drivers
from mlssm.response.extent_form import ExtentForm
from mlssm.response.leverage import Leverage
from mlssm.response.memory import MEMORY
from mlssm.response.rows import fields_of

Corner = tuple[float, float]
SAME_PLACE_M = 0.01


@dataclass(frozen=True)
class ExtentForecaster:
    """The closed form of one extent.

    Attributes:
        form: Base and correction.
        bank: What drives it; None: the fixed driver.
        station: Whose rain the fixed driver is made of; None: interpolated.
        scale: Difference of the driver over which the weight of an earlier image falls to 1/e.
        memory: What training dates say of its pixels [channel, h, w], in the order of `MEMORY`; NaN without a label.
        corner: Easting and northing of its upper left corner, metres; None for the mean extent.
        leverage: How far drivers lie from those of training dates; None in a bundle of before there was any.
    """

    form: ExtentForm
    bank: Bank | None
    station: str | None
    scale: float
    memory: Floats
    corner: Corner | None
    leverage: Leverage | None = None

    @property
    def is_population(self) -> bool:
        """Whether it is the mean extent, which knows no pixel."""
        return self.corner is None

    def state(self) -> dict[str, Any]:
        """Arrays, strings, numbers, and dictionaries and tuples of these."""
        bank = None if self.bank is None else fields_of(self.bank)
        return {
            "form": self.form.state(),
            "bank": bank,
            "station": self.station,
            "scale": self.scale,
            "memory": self.memory,
            "corner": self.corner,
            "leverage": None if self.leverage is None else self.leverage.state(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> ExtentForecaster:
        """From its state."""
        bank = state["bank"]
        restored = None if bank is None else Bank(**{**bank, "names": tuple(bank["names"])})
        corner = None if state["corner"] is None else tuple(state["corner"])
        form, station, scale = ExtentForm.restored(state["form"]), state["station"], float(state["scale"])
        leverage = None if state.get("leverage") is None else Leverage.restored(state["leverage"])
        return cls(form, restored, station, scale, state["memory"], corner, leverage)

    def spread_over(self, shape: tuple[int, int]) -> ExtentForecaster:
        """The mean extent, as large as an extent that it stands for."""
        parts = (np.broadcast_to(part, shape) for part in fields_of(self.form.response).values())
        memory = np.broadcast_to(self.memory, (len(MEMORY), *shape))
        form = ExtentForm(Response(*parts), None, self.form.weights)
        return ExtentForecaster(form, self.bank, self.station, self.scale, memory, None, self.leverage)


@dataclass(frozen=True)
class Forecaster:
    """The closed form of the extents that it was fitted on, and of all others.

    Attributes:
        extents: Those that it was fitted on.
        population: The mean extent, 1 x 1 pixels.
        phi: Share of what earlier images left that lasts, see `mlssm.response.nowcast`.
        start_month: That seasons begin with.
    """

    extents: tuple[ExtentForecaster, ...]
    population: ExtentForecaster
    phi: float
    start_month: int

    @classmethod
    def of(cls, form: ClosedForm, grid: Grid, windows: Sequence[Window], start_month: int) -> Forecaster:
        """What a closed form comes to for days that it was not fitted on.

        Args:
            form: Fitted.
            grid: The working grid.
            windows: The extents on it.
            start_month: That seasons begin with.
        """
        extents = []
        for number, window in enumerate(windows):
            fitted, memory = form.fitted[number], form.whole_memory(number)
            scale, driven = form.alike * fitted.scale, fitted.extent.driven
            own = form.extents[number], driven.bank, driven.station
            extents.append(ExtentForecaster(*own, scale, memory, corner(grid, window), form.leverage(number)))
        return cls(tuple(extents), _mean_extent(form, extents), form.inner.phi, start_month)

    def state(self) -> dict[str, Any]:
        """Arrays, strings, numbers, and dictionaries, tuples and lists of these."""
        extents = [extent.state() for extent in self.extents]
        own = {"extents": extents, "population": self.population.state()}
        return {**own, "phi": self.phi, "start_month": self.start_month}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Forecaster:
        """From its state."""
        extents = tuple(ExtentForecaster.restored(extent) for extent in state["extents"])
        population = ExtentForecaster.restored(state["population"])
        return cls(extents, population, float(state["phi"]), int(state["start_month"]))

    def on(self, grid: Grid, windows: Sequence[Window]) -> tuple[ExtentForecaster, ...]:
        """The extents of a grid: those that it was fitted on by their corner and size, the mean extent for others."""
        return tuple(self._on(corner(grid, window), window.shape) for window in windows)

    def _on(self, where: Corner, shape: tuple[int, int]) -> ExtentForecaster:
        for extent in self.extents:
            if extent.corner is not None and same_place(extent.corner, where) and extent.memory.shape[1:] == shape:
                return extent
        return self.population.spread_over(shape)


def forecast(extent: ExtentForecaster, drivers: Drivers, number: int, end: np.datetime64) -> tuple[Floats, Floats]:
    """Forecast 0..1 [h, w] and driver [h, w] or [1, 1] of an extent at the end of a day.

    Raises:
        ValueError: The record ends before.
    """
    (driver,) = drivers.driving(extent.bank, extent.station, number, np.array([end], "datetime64[D]"))
    return extent.form.forecast(driver), driver


def corner(grid: Grid, window: Window) -> Corner:
    """Easting and northing of a window's upper left corner, metres."""
    east, north = grid.crop(window).origin
    return float(east), float(north)


def same_place(left: Sequence[float], right: Sequence[float]) -> bool:
    """Whether two corners are one, but for rounding."""
    return bool(np.allclose(left, right, rtol=0, atol=SAME_PLACE_M))


def _mean_extent(form: ClosedForm, extents: Sequence[ExtentForecaster]) -> ExtentForecaster:
    population = form.population
    response = Response(*(np.full((1, 1), part) for part in (population.mean, population.slope, population.centre)))
    banks = [extent.bank for extent in extents if extent.bank is not None]
    bank, scale = mean_bank(banks) if banks else None, float(np.mean([extent.scale for extent in extents]))
    memory = np.full((len(MEMORY), 1, 1), np.nan)
    # the rain of one gauge says nothing of another place
    leverage = Leverage.usual([form.leverage(number) for number in range(len(extents))])
    return ExtentForecaster(ExtentForm(response, None, np.empty(0)), bank, None, scale, memory, None, leverage)
