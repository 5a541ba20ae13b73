"""The experiment `ablation`: the same model trained without a group of its inputs, and what that costs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mlssm.errors import RunError
from mlssm.evaluation.experiments.artifacts import Artifacts, NamedTable
from mlssm.evaluation.experiments.differences import Scored, differences
from mlssm.evaluation.figures.why import ablation_bars
from mlssm.evaluation.page import FigureBlock, Page, Section, TableBlock, Text
from mlssm.evaluation.picture import NamedFigure

if TYPE_CHECKING:
    import pandas as pd

WHOLE: Final = "all inputs"
READ_TABLE = (
    "Test split, natural distribution; rmse_difference is the RMSE of the training without these inputs less that of "
    "the training with all, with the interval of the paired difference over dates and blocks, SSM units. Above 0: the "
    "inputs are worth something that no other input can stand in for. What is around 0 may still matter: its "
    "neighbours know the same."
)
READ_FIGURE = "How much RMSE rises when the model is trained without a group of inputs. Around 0: it is not missed."


@dataclass(frozen=True)
class Ablated:
    """A training of the experiment.

    Attributes:
        without: The inputs that it was trained without, in words; empty for none.
        scored: Its test sums.
    """

    without: str
    scored: Scored


def ablation(runs: Sequence[Ablated], failed: Sequence[str] = ()) -> Artifacts:
    """The table, the figure, and what they say.

    Args:
        runs: The trainings that have scores, one of them with all inputs.
        failed: What is to be said of the others.

    Raises:
        RunError: None has all inputs: there is nothing to compare with.
    """
    table = ablation_table(runs)
    summary = "\n\n".join([ablation_sentence(table), *failed])
    figure = NamedFigure("ablation", ablation_bars(table[table["without"] != WHOLE]))
    blocks = FigureBlock("Rise of RMSE", figure.png, READ_FIGURE), TableBlock("Scores", table, READ_TABLE, 4)
    page = Page(
        "Ablation: the same model without a group of its inputs",
        "What a group of inputs is worth that the others do not know",
        (Section("What the numbers say", (Text(summary),)), Section("Scores", blocks)),
    )
    return Artifacts((NamedTable("ablation", table),), (figure,), page, summary)


def ablation_table(runs: Sequence[Ablated]) -> pd.DataFrame:
    """A row a training: that with all inputs first, then by what its inputs are worth.

    Returns:
        `without`, and the columns of `differences` but for the run's name.

    Raises:
        RunError: No training has all inputs.
    """
    whole = [run for run in runs if not run.without]
    if not whole:
        raise RunError("the training with all inputs (features.without=[]) has no scores that others could be held to")
    named = [replace(run.scored, name=run.without or WHOLE) for run in runs]
    reference = next(run for run in named if run.run_id == whole[0].scored.run_id)
    table = differences(named, reference).rename(columns={"run": "without"})
    keys = table.assign(first=table["without"] != WHOLE, worth=-table["rmse_difference"])
    ordered = table.loc[keys.sort_values(["first", "worth"], kind="stable").index]
    return ordered.reset_index(drop=True)


def ablation_sentence(table: pd.DataFrame) -> str:
    """Which inputs are missed, which harm, and which nobody misses."""
    rows = table[table["without"] != WHOLE].dropna(subset=["rmse_difference"])
    missed, harmful = rows[rows["difference_low"] > 0], rows[rows["difference_high"] < 0]
    rest = rows.drop(index=[*missed.index, *harmful.index])
    parts = [
        f"{text}: " + ", ".join(map(_with_ends, part.to_dict("records"))) + "."
        for text, part in (("Missed when left out", missed), ("Better without", harmful), ("Not shown to matter", rest))
        if len(part)
    ]
    return " ".join(parts) or "No training without some of its inputs can be compared with the one that has all."


def _with_ends(row: Mapping[Hashable, Any]) -> str:
    ends = f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}"
    return f"{row['without']} (RMSE {row['rmse_difference']:+.3f}, {ends})"
