"""The table of scores: for the terminal, for a report and for a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from mlssm.training.metrics import Scores

LABELS = ("model", "split", "distribution")
SCORES = ("n", "R2", "ceiling", "RMSE", "MAE", "corr", "bias")
CSV_HEADER = (*LABELS, "n", "r2", "r2_ceiling", "rmse", "mae", "corr", "bias")
ABSENT = "-"


@dataclass(frozen=True)
class ScoreRow:
    """The scores of one model on one split and distribution.

    Attributes:
        model: Name of the network or baseline.
        split: `train`, `val` or `test`.
        distribution: `natural` (pixels as they come) or `balanced` (each SSM bin weighs the same).
        scores: Its scores, SSM units.
    """

    model: str
    split: str
    distribution: str
    scores: Scores

    @property
    def labels(self) -> tuple[str, str, str]:
        """Model, split and distribution."""
        return self.model, self.split, self.distribution

    @property
    def values(self) -> tuple[float, float, float, float, float, float]:
        """R2, its ceiling, RMSE, MAE, correlation and bias."""
        scores = self.scores
        return scores.r2, scores.r2_ceiling, scores.rmse, scores.mae, scores.corr, scores.bias

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text: n with thousands separated, scores to three decimals, and - for one that is not defined."""
        return (*self.labels, f"{self.scores.n:,}", *(_decimal(value) for value in self.values))


def as_rich(rows: Sequence[ScoreRow]) -> Table:
    """The table for the terminal, at most 100 columns wide; the models of a split and distribution stand together.

    Args:
        rows: Rows in any order; groups appear in the order of their first row.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name in LABELS:
        table.add_column(name, overflow="fold")
    for name in SCORES:
        table.add_column(name, justify="right", no_wrap=True)
    for group in _groups(rows):
        for row in group:
            table.add_row(*row.cells)
        table.add_section()
    return table


def as_markdown(rows: Sequence[ScoreRow]) -> str:
    """The table in GitHub's Markdown, ending with a newline."""
    header = (*LABELS, *SCORES)
    rule = ["---"] * len(LABELS) + ["---:"] * len(SCORES)
    body = [[cell.replace("|", "\\|") for cell in row.cells] for group in _groups(rows) for row in group]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *body))


def as_csv(rows: Sequence[ScoreRow]) -> str:
    """The table as CSV with full precision; a score that is not defined is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for group in _groups(rows):
        for row in group:
            writer.writerow([*row.labels, row.scores.n, *("" if math.isnan(v) else v for v in row.values)])
    return text.getvalue()


def _groups(rows: Sequence[ScoreRow]) -> list[list[ScoreRow]]:
    """Rows by split and distribution, so that baselines stand beside the model."""
    first = {key: place for place, key in reversed(list(enumerate(row.labels[1:] for row in rows)))}
    ordered = sorted(rows, key=lambda row: first[row.labels[1:]])
    return [list(group) for _, group in groupby(ordered, key=lambda row: row.labels[1:])]


def _decimal(value: float) -> str:
    return ABSENT if math.isnan(value) else f"{value:.3f}"
