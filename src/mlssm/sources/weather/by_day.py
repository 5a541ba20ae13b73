"""A station's values as the days of its record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlssm.sources.weather.quantities import QUANTITIES
from mlssm.weather.stations import Floats


def by_day(days: pd.DatetimeIndex, values: Mapping[str, Floats]) -> pd.DataFrame:
    """A record's observations: all days from the first to the last, a column a quantity, NaN where it is not known."""
    table = pd.DataFrame({name: values.get(name, np.nan) for name in QUANTITIES}, index=days, dtype=float)
    return table.reindex(pd.date_range(days.min(), days.max(), freq="D"))


def partly(scaled: int) -> list[str]:
    """A line on days whose sums were scaled."""
    return [f"{scaled} days lack an hour or two: their sums are scaled to the whole day"] if scaled else []
