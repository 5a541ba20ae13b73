"""Flags of a map: what its values rest on, and why there is none; bits of one number a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Booleans = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]
Array = npt.NDArray[np.float32]

FORECAST, WEATHER_GAP, OUTSIDE, NO_IMAGE, WATER, FROZEN, MISSING, WEATHER_AHEAD = 1, 2, 4, 8, 16, 32, 64, 128
MEANING = {
    FORECAST: "later than the last image",
    WEATHER_GAP: "weather missing on a day of the window, or drawn from the days around it",
    OUTSIDE: "inputs unlike those of training (area of applicability)",
    NO_IMAGE: "nowcast without an earlier image of the season",
    WATER: "masked: open water",
    FROZEN: "masked: frozen or snowy",
    MISSING: "an input is missing: masked, or where there is a value, filled with its training mean",
    WEATHER_AHEAD: "weather of the window is forecast",
}
LEGEND = "; ".join(f"{bit} {text}" for bit, text in MEANING.items())


@dataclass(frozen=True)
class DayFlags:
    """What holds for all pixels of a day.

    Attributes:
        forecast: Whether it is later than the last image.
        weather_gap: Whether a day of its window has no weather of some kind, or one that was drawn from those around.
        weather_ahead: Whether the weather of a day of its window is forecast.
    """

    forecast: bool
    weather_gap: bool
    weather_ahead: bool = False

    @property
    def bits(self) -> int:
        """Their sum."""
        return FORECAST * self.forecast + WEATHER_GAP * self.weather_gap + WEATHER_AHEAD * self.weather_ahead


def forecast_days(days: Days, ahead: Booleans, end: np.datetime64, lag: int) -> int:
    """How many days of a window are forecast.

    Args:
        days: Of the weather's record.
        ahead: Which of them are forecast.
        end: Last day of the window.
        lag: Its days.
    """
    return int((ahead & (days <= end) & (days > end - np.timedelta64(lag, "D"))).sum())


def flags(day: DayFlags, masked: dict[int, Booleans], ssm: Array, said: dict[int, Booleans]) -> Array:
    """Sum of the bits that hold for each pixel, float32 [height, width].

    Args:
        day: For all pixels.
        masked: By bit of the mask, where it holds [height, width].
        ssm: The map before it was masked, NaN where an input is missing [height, width].
        said: By bit, where it holds of pixels that have a value [height, width]; of `MISSING`, where one is filled.
    """
    whole = np.full(ssm.shape, day.bits, np.int64)
    missing = np.isnan(ssm) | said.get(MISSING, np.zeros(ssm.shape, bool))
    for bit, where in {**masked, **said, MISSING: missing}.items():
        whole += bit * where
    return whole.astype(np.float32)
