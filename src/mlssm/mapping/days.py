"""Which days are asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlssm.errors import ConfigError


def parse_days(dates: Sequence[str] | str) -> npt.NDArray[np.datetime64]:
    """The days of a list, or of an ISO 8601 interval `first/last` with both ends, sorted and each once.

    Raises:
        ConfigError: A day is not written as YYYY-MM-DD, an interval ends before it begins, or there is no day.
    """
    parts = [dates] if isinstance(dates, str) else list(dates)
    days = [day for part in parts for day in _days(part)]
    if not days:
        raise ConfigError("dates is empty; give e.g. 'dates=[2023-01-01]' or dates=2023-01-01/2023-01-31")
    return np.unique(np.array(days, "datetime64[D]"))


def _days(text: str) -> list[dt.date]:
    first, slash, last = text.partition("/")
    start = _day(first)
    end = _day(last) if slash else start
    if end < start:
        raise ConfigError(f"dates={text} ends before it begins")
    return [start + dt.timedelta(days) for days in range((end - start).days + 1)]


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"dates={text} is not a date such as 2023-01-01, nor two with a slash between") from None
