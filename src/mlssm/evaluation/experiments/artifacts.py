"""What an experiment leaves in its parent run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlssm.evaluation.page import Page
from mlssm.evaluation.picture import NamedFigure

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NamedTable:
    """A table with one level of columns and without an index, for `<stem>.csv` and `<stem>.md`."""

    stem: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Artifacts:
    """What an experiment leaves in its parent run.

    Attributes:
        tables: Its tables.
        figures: Its figures, which are in the page as well.
        page: The report.
        summary: What the numbers say, in sentences made from them.
    """

    tables: tuple[NamedTable, ...]
    figures: tuple[NamedFigure, ...]
    page: Page
    summary: str


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table with its two levels of columns joined to one: `R2` over `train` becomes `R2 train`."""
    joined = frame.copy()
    joined.columns = [" ".join(str(level) for level in path if str(level)) for path in frame.columns]
    return joined
