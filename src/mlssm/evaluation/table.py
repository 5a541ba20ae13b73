"""The table of scores: for the terminal, for a report and for a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeAlias

from mlssm.markdown import markdown
from mlssm.spreadsheet import plain

if TYPE_CHECKING:
    from rich.table import Table

    from mlssm.scores.bootstrap import Interval, Intervals
    from mlssm.scores.sums import Scores

Kind: TypeAlias = Literal["network", "control", "baseline", "truth"]
RowDistribution: TypeAlias = Literal["natural", "balanced", "two_pass"]
LABELS = ("model", "split", "distribution")
BOUNDED = ("r2", "rmse", "mae", "corr", "bias")  # have an interval
CSV_HEADER = (
    *("model", "kind", "split", "distribution", "n", "r2", "r2_cap", "r2_cap_speckle", "rmse", "mae", "corr", "bias"),
    *("skill", "skill_low", "skill_high", "best_baseline"),
    *(f"{name}_{end}" for name in BOUNDED for end in ("low", "high")),
    "reason",
)
ABSENT = "-"
LEGEND = "cap: the R2 that no model passes; skill: share of the best baseline's squared error that is gone"


@dataclass(frozen=True)
class ScoreRow:
    """The scores of one model on one split and distribution.

    Attributes:
        model: Its name.
        kind: What it is.
        split: `train`, `val` or `test`.
        distribution: `natural` (pixels as they come), `balanced` (each SSM bin weighs the same), or `two_pass` (pixels
            as they come in the patches of both passes).
        scores: Its scores, SSM units.
        intervals: Of its scores.
        skill: 1 - MSE / MSE of the best baseline; NaN where there is none.
        best: The best baseline there, which has the lowest RMSE; empty where there is none.
        skill_interval: Of the skill, both drawn on the same dates and blocks; None where there is no skill.
        r2_cap_speckle: The cap by speckle alone; that of the scores counts what is a track's own too, where known.
    """

    model: str
    kind: Kind
    split: str
    distribution: RowDistribution
    scores: Scores
    intervals: Intervals
    skill: float = math.nan
    best: str = ""
    skill_interval: Interval | None = None
    r2_cap_speckle: float = math.nan

    @property
    def labels(self) -> tuple[str, str, str]:
        """Model, split and distribution."""
        return self.model, self.split, self.distribution

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text: n with thousands separated, scores to three decimals, and - for one that is not defined."""
        scores, r2 = self.scores, self.intervals.r2
        ends = ABSENT if math.isnan(r2.low) else f"{r2.low:.2f} to {r2.high:.2f}"
        rest = (scores.r2_cap, self.skill, scores.rmse, scores.mae, scores.corr, scores.bias)
        return f"{scores.n:,}", _decimal(scores.r2), ends, *(_decimal(value) for value in rest)

    @property
    def reason(self) -> str:
        """Why a score or an interval is not defined; empty where all are."""
        return self.scores.reason or self.intervals.reason


def as_rich(rows: Sequence[ScoreRow]) -> Table:
    """The table for the terminal, at most 100 columns wide: the test split's natural scores.

    The rest is in the other two forms.

    Args:
        rows: Rows in any order; groups appear in the order of their first row.
    """
    from mlssm.terminal import plain_table

    table = plain_table()
    table.add_column("model", overflow="fold")
    for name in _headings(rows):
        table.add_column(name, justify="right", no_wrap=True)
    for group in _groups(natural_test(rows)):
        table.add_row(f"[bold]{group[0].split}, {group[0].distribution}[/bold]")
        for row in group:
            table.add_row(f" {row.model}", *row.cells)
        table.add_section()
    return table


def as_markdown(rows: Sequence[ScoreRow]) -> str:
    """The table in GitHub's Markdown, ending with a newline."""
    import pandas as pd

    headings = _headings(rows)
    cells = [(*row.labels, *row.cells) for group in _groups(rows) for row in group]
    return markdown(pd.DataFrame(cells, columns=[*LABELS, *headings]), right=headings)


def as_short_markdown(rows: Sequence[ScoreRow]) -> str:
    """The test split's natural scores in GitHub's Markdown, ending with a newline."""
    import pandas as pd

    headings = _headings(rows)
    cells = [(row.model, *row.cells) for row in natural_test(rows)]
    return markdown(pd.DataFrame(cells, columns=["model", *headings]), right=headings)


def as_csv(rows: Sequence[ScoreRow]) -> str:
    """The table as CSV with full precision; a score that is not defined is empty, and the last column says why."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for group in _groups(rows):
        for row in group:
            scores, ends = row.scores, [getattr(row.intervals, name) for name in BOUNDED]
            caps = scores.r2_cap, row.r2_cap_speckle
            values = (scores.r2, *caps, scores.rmse, scores.mae, scores.corr, scores.bias, row.skill)
            gained = [] if row.skill_interval is None else [row.skill_interval.low, row.skill_interval.high]
            bounds = [value for end in ends for value in (end.low, end.high)]
            names = (row.model, row.kind, row.split, row.distribution, scores.n)
            writer.writerow(
                map(
                    plain,
                    (*names, *_known(values), *(_known(gained) or ("", "")), row.best, *_known(bounds), row.reason),
                )
            )
    return text.getvalue()


def natural_test(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows that a run is judged by."""
    return [row for row in rows if row.labels[1:] == ("test", "natural")]


def _headings(rows: Sequence[ScoreRow]) -> tuple[str, ...]:
    level = f"{rows[0].intervals.level:.0%}".replace("%", " %") if rows else "95 %"
    return "n", "R2", level, "cap", "skill", "RMSE", "MAE", "corr", "bias"


def _groups(rows: Sequence[ScoreRow]) -> list[list[ScoreRow]]:
    """Rows by split and distribution, so that baselines stand beside the model."""
    first = {key: place for place, key in reversed(list(enumerate(row.labels[1:] for row in rows)))}
    ordered = sorted(rows, key=lambda row: first[row.labels[1:]])
    return [list(group) for _, group in groupby(ordered, key=lambda row: row.labels[1:])]


def _known(values: Sequence[float]) -> list[float | str]:
    return ["" if math.isnan(value) else value for value in values]


def _decimal(value: float) -> str:
    return ABSENT if math.isnan(value) else f"{value:.3f}"
