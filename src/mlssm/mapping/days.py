"""Which days are asked for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlssm.errors import ConfigError

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_days(dates: Sequence[str] | str) -> npt.NDArray[np.datetime64]:
    """The days of a list, or of an ISO 8601 interval `first/last` with both ends, sorted and each once.

    Raises:
        ConfigError: A day is not written as YYYY-MM-DD, an interval ends before it begins, or there is no day.
    """
    parts = [dates] if isinstance(dates, str) else list(dates)
    if not parts:
        raise ConfigError("dates is empty; give e.g. 'dates=[2023-01-01]' or dates=2023-01-01/2023-01-31")
    return np.unique(np.concatenate([_days(part) for part in parts]))


def _days(text: str) -> npt.NDArray[np.datetime64]:
    first, slash, last = text.partition("/")
    start = _day(first, text)
    end = _day(last, text) if slash else start
    if end < start:
        raise ConfigError(f"dates={text} ends before it begins; write first/last")
    return np.arange(np.datetime64(start), np.datetime64(end) + 1)


def _day(part: str, whole: str) -> dt.date:
    try:
        if DAY.fullmatch(part.strip()):
            return dt.date.fromisoformat(part.strip())
    except ValueError:
        pass  # such as the 30th of February
    raise ConfigError(
        f"dates={whole} is not a date such as 2023-01-01, nor two with a slash between such as 2023-01-01/2023-01-31"
    )
