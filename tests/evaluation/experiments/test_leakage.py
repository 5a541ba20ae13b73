import math
from collections.abc import Callable

import pandas as pd
import pytest

from mlssm.evaluation.experiments.leakage import leakage, leakage_sentence, leakage_table
from mlssm.evaluation.experiments.runs import Children, FailedRun, TrainedRun
from mlssm.evaluation.page import render

NAN = float("nan")
Scores = Callable[..., pd.DataFrame]


@pytest.fixture
def children(make_scores: Scores) -> Children:
    """Three splits trained, one failed; given in no order."""

    def run(split: str, r2: float, rmse: float, low: float, high: float) -> TrainedRun:
        scores = make_scores(
            ("ConvLSTM", "test", "natural", r2, rmse),
            ("ConvLSTM", "test", "balanced", 0.99, 0.01),
            ("ConvLSTM, no weather", "test", "natural", 0.98, 0.02),
            ("ridge", "test", "natural", r2 - 0.2, 2 * rmse),
            ("rain", "test", "natural", r2 - 0.1, 1.25 * rmse),
            ("lost", "test", "natural", NAN, NAN),
            ("rain", "val", "natural", 0.97, 0.03),
            r2_low=[low] * 7,
            r2_high=[high] * 7,
        )
        return TrainedRun(7, "natural", split, scores.assign(r2_cap=0.9, n=11))

    runs = (
        run("by_season", 0.2, 0.4, 0.1, 0.3),
        run("random_patch", 0.8, 0.1, 0.7, 0.85),
        run("by_date", 0.72, 0.2, 0.6, 0.75),
    )
    return Children(runs, (FailedRun(7, "natural", "by_block", "out of memory"),))


def test_splits_stand_from_the_loosest_to_the_strictest_with_their_scores(children: Children) -> None:
    table = leakage_table(children)
    assert list(table["split"]) == ["random_patch", "by_date", "by_season", "by_block"]
    season = table.iloc[2]
    assert tuple(season[["n", "r2", "r2_low", "r2_high", "r2_cap", "rmse"]]) == (11, 0.2, 0.1, 0.3, 0.9, 0.4)
    assert season["baseline"] == "rain"
    assert season["baseline_r2"] == pytest.approx(0.1)
    assert season["baseline_rmse"] == 0.5
    assert season["skill"] == pytest.approx(1 - 0.4**2 / 0.5**2)
    assert season["reason"] == ""
    block = table.iloc[3]
    assert block[["r2", "baseline_r2", "skill"]].isna().all()
    assert block["reason"] == "model.lag=7 sampler=natural split=by_block: out of memory"


def test_the_sentence_says_how_much_is_lost_and_whether_intervals_are_apart(children: Children) -> None:
    told = leakage_sentence(leakage_table(children))
    assert "Under random_patch the network's test R2 is 0.800 (skill over the best baseline 0.360)." in told
    assert "Under by_date it is 0.720: lower by 0.080, 10% of it; the intervals overlap" in told
    assert "Under by_season it is 0.200: lower by 0.600, 75% of it; the intervals are apart; skill 0.360." in told
    assert told.endswith("by_block has no score: model.lag=7 sampler=natural split=by_block: out of memory.")


def test_a_split_that_scores_higher_is_told_so_and_no_interval_claims_nothing(children: Children) -> None:
    table = leakage_table(children).head(2).assign(r2=[0.5, 0.6], r2_low=[NAN, 0.5])
    told = leakage_sentence(table)
    assert "Under by_date it is 0.600: higher by 0.100; without intervals the two cannot be called different" in told


def test_without_random_patches_nothing_is_claimed(children: Children) -> None:
    table = leakage_table(children)
    assert leakage_sentence(table.iloc[1:]).startswith("Without a score under random_patch there is nothing")


def test_without_baselines_skill_is_not_defined(make_scores: Scores) -> None:
    scores = make_scores(("ConvLSTM", "test", "natural", 0.5, 0.1))
    row = leakage_table(Children((TrainedRun(1, "natural", "random_patch", scores),))).iloc[0]
    assert math.isnan(row["skill"])
    assert row["reason"] == "no baseline has a score"
    assert row["r2"] == 0.5


def test_what_is_left_in_the_parent_run(children: Children) -> None:
    made = leakage(children)
    assert [table.stem for table in made.tables] == ["leakage"]
    assert [figure.stem for figure in made.figures] == ["leakage"]
    assert made.summary == leakage_sentence(leakage_table(children))
    html = render(made.page)
    for word in ("random_patch", "out of memory", "best baseline", "0.360"):
        assert word in html


def test_other_lags_are_told_and_drawn_apart(children: Children) -> None:
    again = tuple(TrainedRun(30, run.sampler, run.split, run.scores) for run in children.runs)
    made = leakage(Children((*again, *children.runs)))
    assert [figure.stem for figure in made.figures] == ["leakage_lag_7_natural", "leakage_lag_30_natural"]
    assert made.summary.count("Under random_patch") == 2


def test_no_training_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one training"):
        leakage(Children(()))
