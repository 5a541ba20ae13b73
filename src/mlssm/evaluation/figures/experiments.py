"""What the experiments show: the 2 x 2 of training and test set, the paper's table, and the leakage of splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import (
    BLUE,
    BROWN,
    GREY,
    TITLE_SIZE,
    column,
    first_seen,
    interval_arms,
    legend_below,
    require,
    room,
    say,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

TRAININGS: Final = (("natural", "plain training", BLUE, "o"), ("two_pass", "rebalanced training", BROWN, "s"))
TESTS: Final = ("natural", "balanced")
STAGES: Final = (("before", BLUE, -0.12, "o"), ("after", BROWN, 0.12, "s"))
SCORES: Final = (("r2", "R² (-)"), ("rmse", "RMSE (SSM)"), ("mae", "MAE (SSM)"), ("corr", "correlation (-)"))


def two_by_two(table: pd.DataFrame, title: str) -> Figure:
    """R2 and RMSE side by side, a row a lag: {plain, rebalanced} training on the {natural, balanced} test set.

    A slope is what the test set changes, a gap between the lines what the training changes. RMSE starts at zero.

    Args:
        table: A row a lag, training and test: `lag` (days), `training` (`natural` or `two_pass`), `test` (`natural` or
            `balanced`), `r2` and `rmse` (SSM units); `r2_low`, `r2_high` where known. NaN = not scored.
        title: Title, e.g. `split by_season`.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(table, ("lag", "training", "test", "r2", "rmse"), "two_by_two")
    lags = sorted(set(table["lag"]))
    figure = Figure(figsize=(7.2, 2.1 * len(lags) + 1.2), layout="constrained")
    grid = figure.subplots(len(lags), 2, squeeze=False, sharex=True, sharey="col")
    for row, lag in zip(grid, lags, strict=True):
        for axes, (score, label) in zip(row, SCORES[:2], strict=True):
            _draw_square(axes, table[table["lag"] == lag], score)
            axes.set_ylabel(f"{label}\nlag {lag}")
    for axes, (score, _) in zip(grid[0], SCORES[:2], strict=True):
        axes.set_ylim(*room([column(table, name) for name in (score, f"{score}_low", f"{score}_high")]))
    handles = [line for line in grid[0, 0].lines if not str(line.get_label()).startswith("_")]
    legend_below(figure, 2, handles=handles)
    figure.suptitle(f"Training set or test set: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def paper_figure(frame: pd.DataFrame) -> Figure:
    """The paper's test scores beside ours, before and after rebalancing; a row a protocol.

    Args:
        frame: A row a protocol, lag, stage, split and score: `protocol`, `lag` (days), `stage` (`before`, `after`),
            `split`, `score` (`r2`, `rmse`, `mae`, `corr`), `paper`, `ours`; rows of other splits than `test` are not
            drawn. NaN = no number.

    Raises:
        ValueError: No row of the test split, or a column is missing.
    """
    columns = ("protocol", "lag", "stage", "split", "score", "paper", "ours")
    require(frame, columns, "paper_figure")
    test = frame[frame["split"] == "test"]
    require(test, columns, "paper_figure")
    protocols = first_seen(test["protocol"])
    figure = Figure(figsize=(9.6, 2.5 * len(protocols) + 0.9), layout="constrained")
    parts = figure.subfigures(len(protocols), 1, squeeze=False)
    for part, protocol in zip(parts[:, 0], protocols, strict=True):
        rows = test[test["protocol"] == protocol]
        row = part.subplots(1, len(SCORES))
        for axes, (score, label) in zip(row, SCORES, strict=True):
            _draw_paper(axes, rows[rows["score"] == score])
            axes.set_ylim(*room(test.loc[test["score"] == score, ["paper", "ours"]]))
            axes.set_title(label, fontsize=9, color=INK)
        part.suptitle(protocol, fontsize=TITLE_SIZE, color=INK)
    handles, labels = row[0].get_legend_handles_labels()
    legend_below(figure, 4, handles=handles, labels=labels)
    return figure


def leakage_figure(frame: pd.DataFrame, title: str = "test, natural") -> Figure:
    """R2 and RMSE under each split: the network with its interval, the best baseline, and the cap.

    A dotted line continues the first row's R2: what lies left of it is missing under a stricter split.

    Args:
        frame: A row a split, drawn from the top: `split`, `r2`, `r2_cap`, `rmse`, `baseline_r2`, `baseline_rmse`
            (RMSE in SSM units); `r2_low`, `r2_high` where known. NaN = not scored.
        title: Title.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("split", "r2", "r2_cap", "rmse", "baseline_r2", "baseline_rmse"), "leakage_figure")
    figure = Figure(figsize=(8.4, 0.5 * len(frame) + 2.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    places = np.arange(len(frame))
    r2, arms = column(frame, "r2"), interval_arms(frame, "r2")
    left.errorbar(r2, places - 0.1, xerr=arms, fmt="o", color=BLUE, capsize=3, label="network, with its interval")
    left.plot(column(frame, "baseline_r2"), places + 0.15, "s", color=BROWN, label="best baseline")
    left.plot(column(frame, "r2_cap"), places, "|", color=INK, markersize=16, label="cap")
    left.axvline(r2[0], color=BLUE, linewidth=1.0, linestyle=":")
    right.plot(column(frame, "rmse"), places - 0.1, "o", color=BLUE)
    right.plot(column(frame, "baseline_rmse"), places + 0.15, "s", color=BROWN)
    _name_splits(left, frame)
    left.set_xlabel("R² (-)")
    right.set_xlabel("RMSE (SSM)")
    right.set_xlim(*room([column(frame, "rmse"), column(frame, "baseline_rmse")]))
    for axes in (left, right):
        tidy(axes, "both")
    legend_below(figure, 3)
    figure.suptitle(f"The same model under stricter splits: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw_square(axes: Axes, rows: pd.DataFrame, score: str) -> None:
    """One lag and score: a line a training, from the natural to the balanced test set."""
    places = np.arange(len(TESTS))
    for shift, (training, label, colour, marker) in zip((-0.03, 0.03), TRAININGS, strict=True):
        found = rows[rows["training"] == training].set_index("test").reindex(TESTS)
        values, arms = column(found, score), interval_arms(found, score)
        axes.plot(places + shift, values, color=colour, marker=marker, linewidth=1.4, label=label)
        axes.errorbar(places + shift, values, yerr=arms, fmt="none", ecolor=colour, elinewidth=1.0, capsize=3)
    if not np.isfinite(column(rows, score)).any():
        say(axes, "no scored run")
    axes.set_xticks(places, [f"{test} test" for test in TESTS])
    axes.set_xlim(-0.35, 1.35)
    tidy(axes)


def _draw_paper(axes: Axes, rows: pd.DataFrame) -> None:
    lags = sorted(set(rows["lag"]))
    for stage, colour, shift, marker in STAGES:
        found = rows[rows["stage"] == stage].set_index("lag").reindex(lags)
        places = np.arange(len(lags)) + shift
        hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": colour, "markersize": 8}
        axes.plot(places - 0.05, column(found, "paper"), marker, label=f"paper, {stage}", **hollow)
        axes.plot(places + 0.05, column(found, "ours"), marker, color=colour, markersize=6, label=f"ours, {stage}")
    axes.set_xticks(np.arange(len(lags)), [str(lag) for lag in lags])
    axes.set(xlabel="lag (days)", xlim=(-0.5, len(lags) - 0.5))
    tidy(axes)


def _name_splits(axes: Axes, frame: pd.DataFrame) -> None:
    places: Sequence[int] = range(len(frame))
    axes.set_yticks(places, [str(split) for split in frame["split"]])
    axes.set_ylim(len(frame) - 0.5, -0.5)
    for place in np.flatnonzero(np.isnan(column(frame, "r2"))).tolist():
        axes.text(0.02, place, "not scored", transform=axes.get_yaxis_transform(), va="center", color=GREY, fontsize=9)
