import math
from collections.abc import Callable

import pandas as pd
import pytest

from mlssm.evaluation.experiments.runs import UNDEFINED, Children, FailedRun, Setting, TrainedRun

NAN = float("nan")
Scores = Callable[..., pd.DataFrame]
HERE = Setting(1, "natural", "by_season")


def run(scores: pd.DataFrame) -> TrainedRun:
    return TrainedRun(1, "natural", "by_season", scores)


def test_a_score_is_found_by_model_split_and_distribution(make_scores: Scores) -> None:
    rows = [
        (model, split, distribution, number, number + 0.5)
        for number, (model, split, distribution) in enumerate(
            (model, split, distribution)
            for model in ("ConvLSTM", "ridge")
            for split in ("test", "val")
            for distribution in ("natural", "balanced")
        )
    ]
    children = Children((run(make_scores(*rows, r2_low=list(range(8)), r2_high=list(range(8, 16)))),))
    found = children.find(HERE, "val", "balanced", "ridge")
    assert (found.r2, found.rmse, found.r2_low, found.r2_high, found.reason) == (7, 7.5, 7, 15, "")
    assert children.find(HERE, "test", "balanced").r2 == 1
    assert children.baselines(HERE) == ["ridge"]


def test_runs_that_differ_in_their_seed_are_averaged_and_have_no_interval(make_scores: Scores) -> None:
    parts = [make_scores(("ConvLSTM", "test", "natural", r2, 0.1), r2_low=[0.0], r2_high=[1.0]) for r2 in (0.2, 0.5)]
    children = Children(tuple(run(part) for part in parts))
    found = children.find(HERE, "test", "natural")
    assert found.r2 == pytest.approx(0.35)
    assert math.isnan(found.r2_low)
    assert math.isnan(found.r2_high)
    assert children.count(HERE) == 2
    assert children.settings == [HERE]


def test_what_is_missing_has_its_reason(make_scores: Scores) -> None:
    scores = make_scores(("ConvLSTM", "test", "natural", NAN, NAN), ("ridge", "test", "natural", NAN, 0.1))
    children = Children(
        (run(scores.assign(reason=["one date only", None])),), (FailedRun(2, "two_pass", "by_date", "out of memory"),)
    )
    assert children.find(HERE, "test", "natural").reason == "one date only"
    assert children.find(HERE, "test", "natural", "ridge").reason == UNDEFINED
    failed = children.find(Setting(2, "two_pass", "by_date"), "test", "natural")
    assert failed.reason == "model.lag=2 sampler=two_pass split=by_date: out of memory"
    assert math.isnan(failed.rmse)
    never = children.find(Setting(3, "two_pass", "by_date"), "test", "natural")
    assert never.reason == "no run of model.lag=3 sampler=two_pass split=by_date"
    unscored = children.find(HERE, "train", "two_pass").reason
    assert unscored.startswith("the network was not scored on train, two_pass")
    assert unscored.endswith("evaluation.two_pass=true does it")
    assert children.settings == [HERE, Setting(2, "two_pass", "by_date")]


def test_scores_without_a_column_are_refused(make_scores: Scores) -> None:
    with pytest.raises(ValueError, match=r"lack the columns \['mae'\]"):
        run(make_scores(("ConvLSTM", "test", "natural", 0.0, 0.0)).drop(columns="mae"))


def test_a_correlation_that_is_not_defined_has_its_reason(make_scores: Scores) -> None:
    scores = make_scores(("ConvLSTM", "test", "natural", 0.0, 0.1)).assign(corr=NAN, reason="predictions do not vary")
    found = Children((run(scores),)).find(HERE, "test", "natural")
    assert (found.r2, found.reason) == (0.0, "predictions do not vary")


def test_an_interval_that_is_not_defined_is_no_reason(make_scores: Scores) -> None:
    scores = make_scores(("ConvLSTM", "test", "natural", 0.3, 0.1)).assign(r2_low=NAN, reason="one block only")
    assert Children((run(scores),)).find(HERE, "test", "natural").reason == ""
