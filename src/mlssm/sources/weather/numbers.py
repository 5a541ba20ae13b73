"""Numbers of a station's file: what is missing, whatever it is written as, and what is no number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.errors import DataError

MISSING = -9999.0
"""GHCN-Daily's own code."""
MISSING_TEXT = ("", "NA", "N/A", "NAN", "NULL", "NONE", "-", "--", "M")
"""What pandas, R and data bases write for it, in capital letters."""
CODES = (999, 999.9, 999.99, 9999, 9999.9, 9999.99, 99999, 99999.9, 99.9, 99.99, 8888, 32767, 32768)
"""What other archives write for it, of either sign."""
LEAVE_EMPTY = "correct it or leave it empty"
APART_CODE, APART = 99, 20
"""-99 in tenths of degC is real where other values are near it."""
SURELY = 9999  # as a whole number of tenths of mm, mm, ...: no station has had it
REPEATED = 3


def read_numbers(path: Path, column: str, text: pd.Series[str], cure: str = LEAVE_EMPTY) -> pd.Series[float]:
    """A column's numbers, NaN where it says that there is none.

    Args:
        path: The file, for messages.
        column: The column, for messages.
        text: As written; the index is the line's number.
        cure: What to do about something else.

    Raises:
        DataError: A line holds something else.
    """
    filled = text.mask(text.str.upper().isin(MISSING_TEXT), "")
    numbers = pd.to_numeric(filled, errors="coerce").astype(float)
    wrong = (numbers.isna() | numbers.abs().eq(np.inf)) & (filled != "")
    if wrong.any():
        line = wrong.index[wrong][0]
        raise DataError(f"{path}, line {line}: {column} {text[line]!r} is not a number; {cure}")
    return numbers.mask(numbers == MISSING)


def are_codes(raw: pd.Series[float], low: float, high: float, whole: bool) -> pd.Series[bool]:
    """Which numbers are another archive's codes for a missing value.

    A code is one if it lies outside of what the element can have. Where values are whole numbers, it also is one if it
    is no whole number, is 9999 or more, or is there three times: single values of 999 may be real. So is 99 or -99 that
    is there three times and far from all other values.

    Args:
        raw: In the file's units, NaN = missing.
        low: The lowest value that can be, in the file's units.
        high: The highest one.
        whole: Whether the file's values are whole numbers.
    """
    code = raw.abs().isin(CODES)
    certain = (raw < low) | (raw > high)
    if not whole:
        return code & certain
    often = raw.map(raw.value_counts()) >= REPEATED
    certain |= (raw % 1 != 0) | (raw.abs() >= SURELY) | often
    return (code & certain) | (raw.abs().eq(APART_CODE) & often & ~_has_near(raw))


def _has_near(raw: pd.Series[float]) -> pd.Series[bool]:
    """Which values have another one, unlike them, within `APART`."""
    known = np.unique(raw.dropna())
    gaps = np.diff(known, prepend=-np.inf, append=np.inf)
    near = known[np.minimum(gaps[:-1], gaps[1:]) <= APART]
    return raw.isin(near)
