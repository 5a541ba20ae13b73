"""A pandas table laid out for HTML: decimals, spanning headings, and notes on what is missing.

pandas' own `Styler` spans no heading over both rows, gives headings no scope for screen readers, and puts the reason of
a missing cell into its text (a title of its own from pandas 3 on); `DataFrame.to_html` leaves columns no class to align
them by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

REASON = "reason"  # the column that says why a row's cells are missing
ABSENT = "–"
MOST_DECIMALS = 6
DIGITS = 3  # significant ones of a column's typical value


@dataclass(frozen=True)
class Heading:
    """A cell of the header that spans `columns` and `rows`."""

    text: str
    numeric: bool
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True)
class Cell:
    """One cell as it is shown.

    Attributes:
        text: What it says; a dash where there is no value.
        numeric: Whether it stands to the right.
        reason: Why there is no value; empty where there is one, or where none was given.
        note: The reason's number below the table, from 1; 0 = none.
    """

    text: str
    numeric: bool
    reason: str = ""
    note: int = 0


@dataclass(frozen=True)
class TableLayout:
    """A table as it is shown.

    Attributes:
        header: One or two rows of headings.
        rows: Rows of cells.
        notes: The reasons that cells refer to, the first of which is number 1.
    """

    header: tuple[tuple[Heading, ...], ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """A column's path in the header, its cells as text (None = missing), and whether they are numbers."""

    path: tuple[str, ...]
    texts: tuple[str | None, ...]
    numeric: bool


def lay_out(frame: pd.DataFrame, decimals: int | None = None) -> TableLayout:
    """Lay out a table, without its index and without its column `reason`, which becomes notes.

    Args:
        frame: Columns of one or two levels; where the second level is empty, the heading spans both. Missing values are
            shown as a dash, with the row's `reason` as a note.
        decimals: Of all floats; None = each column has three significant digits of its typical value.
    """
    paths = [_path(label) for label in frame.columns]
    shown = [place for place, path in enumerate(paths) if path[0] != REASON]
    columns = [_column(paths[place], frame.iloc[:, place], decimals) for place in shown]
    reasons = _reasons(frame, paths)
    missing = [any(column.texts[row] is None for column in columns) for row in range(len(frame))]
    told = (reason for reason, lacks in zip(reasons, missing, strict=True) if reason and lacks)
    notes = tuple(dict.fromkeys(told))
    rows = tuple(tuple(_cell(column, row, reason, notes) for column in columns) for row, reason in enumerate(reasons))
    return TableLayout(_header(columns), rows, notes)


def _path(label: object) -> tuple[str, ...]:
    """A column's label as one text a level, without the empty ones."""
    levels = label if isinstance(label, tuple) else (label,)
    return tuple(str(level) for level in levels if str(level)) or ("",)


def _column(path: tuple[str, ...], values: pd.Series[Any], decimals: int | None) -> _Column:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    missing = values.isna()
    if not is_numeric_dtype(values) or is_bool_dtype(values):
        texts = (None if absent else str(value) for value, absent in zip(values, missing, strict=True))
        return _Column(path, tuple(texts), numeric=False)
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    places = _decimals(numbers, decimals)
    shown = (None if math.isnan(value) else f"{value:z,.{places}f}" for value in numbers)
    return _Column(path, tuple(shown), numeric=True)


def _decimals(numbers: np.ndarray[Any, np.dtype[np.float64]], wanted: int | None) -> int:
    """Whole numbers have none; others what is wanted, or as many as show the median size to `DIGITS` digits."""
    known = numbers[np.isfinite(numbers)]
    if np.array_equal(known, np.round(known)):
        return 0
    if wanted is not None:
        return wanted
    size = math.floor(math.log10(np.median(np.abs(known[known != 0]))))
    # scores of 1 and more stand beside those below 1: the same number of decimals up to 10
    return min(max(DIGITS - 1 - size, 0), MOST_DECIMALS) if size != 0 else DIGITS


def _reasons(frame: pd.DataFrame, paths: Sequence[tuple[str, ...]]) -> list[str]:
    places = [place for place, path in enumerate(paths) if path[0] == REASON]
    if not places:
        return [""] * len(frame)
    values = frame.iloc[:, places[0]]
    return ["" if absent else str(value) for value, absent in zip(values, values.isna(), strict=True)]


def _cell(column: _Column, row: int, reason: str, notes: tuple[str, ...]) -> Cell:
    text = column.texts[row]
    if text is not None:
        return Cell(text, column.numeric)
    return Cell(ABSENT, column.numeric, reason, notes.index(reason) + 1 if reason else 0)


def _header(columns: Sequence[_Column]) -> tuple[tuple[Heading, ...], ...]:
    depth = max((len(column.path) for column in columns), default=1)
    if depth == 1:
        return (tuple(Heading(column.path[0], column.numeric) for column in columns),)
    # a heading of its own for each column that has no second level, one for all neighbours of the same first level
    groups = [list(group) for _, group in groupby(columns, key=lambda column: (column.path[0], len(column.path)))]
    upper = [
        Heading(group[0].path[0], group[0].numeric, columns=len(group), rows=depth - len(group[0].path) + 1)
        for group in groups
    ]
    lower = [Heading(column.path[1], column.numeric) for column in columns if len(column.path) > 1]
    return tuple(upper), tuple(lower)
