"""The days of a station's file: ways of writing a date that can be told apart with certainty, and no others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlssm.errors import DataError

FIRST_YEAR, LAST_YEAR = 1750, 2100  # GHCN-Daily begins in 1763


@dataclass(frozen=True)
class DateFormat:
    """A way to write a local calendar day: as people write it, what it looks like, and for strptime."""

    written: str
    looks: str
    strptime: str


ISO = DateFormat("YYYY-MM-DD", r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d")
FORMATS = (
    ISO,
    DateFormat("YYYY-MM-DD 00:00:00", r"\d{4}-\d{2}-\d{2}[T ]00:00(?::00(?:\.0+)?)?", "%Y-%m-%d"),
    DateFormat("YYYYMMDD", r"\d{8}", "%Y%m%d"),
    DateFormat("YYYYDDD", r"\d{7}", "%Y%j"),
    DateFormat("YYYY/MM/DD", r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
)
# these two look alike: a file is read by the one that fits all of its days, if the other one does not
ALIKE = (
    DateFormat("DD/MM/YYYY", r"\d{1,2}([/.-])\d{1,2}\1\d{4}", "%d/%m/%Y"),
    DateFormat("MM/DD/YYYY", r"\d{1,2}([/.-])\d{1,2}\1\d{4}", "%m/%d/%Y"),
)


def read_days(path: Path, text: pd.Series[str]) -> tuple[pd.DatetimeIndex, str | None]:
    """The local calendar days of a DATE column.

    Args:
        path: The file, for messages.
        text: As written; the index is the line's number.

    Returns:
        The days, and a line that says how they are written, if that is not YYYY-MM-DD.

    Raises:
        DataError: A line holds no date, or what day it is is not certain.
    """
    chosen = next((wanted for wanted in FORMATS if text.str.fullmatch(wanted.looks).all()), None)
    if chosen is None and text.str.fullmatch(ALIKE[0].looks).all():
        chosen = _told_apart(path, text)
    days = _parsed(text, chosen or ISO)
    if days.isna().any():
        line = days.index[days.isna()][0]
        raise DataError(
            f"{path}, line {line}: DATE {text[line]!r} is not a date; write YYYY-MM-DD, local calendar days"
        )
    beyond = (days.dt.year < FIRST_YEAR) | (days.dt.year > LAST_YEAR)
    if beyond.any():
        line = beyond.index[beyond][0]
        raise DataError(f"{path}, line {line}: DATE {text[line]} is not in {FIRST_YEAR}..{LAST_YEAR}; correct the year")
    note = None if chosen in (None, ISO) else f"DATE is written {chosen.written}"
    return pd.DatetimeIndex(days), note


def _parsed(text: pd.Series[str], wanted: DateFormat) -> pd.Series[pd.Timestamp]:
    """The days; NaT where the text is none."""
    fits = text.str.fullmatch(wanted.looks)
    plain = text.str.replace("[T ]00:00.*$", "", regex=True)
    if wanted in ALIKE:
        plain = plain.str.replace("[.-]", "/", regex=True)
    days = pd.to_datetime(plain.where(fits), format=wanted.strptime, errors="coerce")
    # pandas takes day 366 of a year without one for the next year's first
    return days.where(days.dt.strftime(wanted.strptime) == plain) if wanted.strptime == "%Y%j" else days


def _told_apart(path: Path, text: pd.Series[str]) -> DateFormat | None:
    fitting = [wanted for wanted in ALIKE if _parsed(text, wanted).notna().all()]
    if len(fitting) > 1:
        raise DataError(
            f"{path}: DATE {text.iloc[0]} can be {' or '.join(wanted.written for wanted in ALIKE)}, and no line of the "
            "file says which; write YYYY-MM-DD"
        )
    return fitting[0] if fitting else None
