import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.evaluation.experiments.comparison import PAPERS_OWN, before_and_after, compare, held_out, paper_layout
from mlssm.evaluation.experiments.paper import PAPER
from mlssm.evaluation.experiments.paper_table import paper_table
from mlssm.evaluation.experiments.runs import Children, FailedRun, TrainedRun
from mlssm.evaluation.experiments.square import effects, square, square_layout, square_sentence
from mlssm.evaluation.page import render

Scores = Callable[..., pd.DataFrame]
SPLITS, SAMPLERS, LAGS = ("by_season", "random_patch"), ("natural", "two_pass"), (1, 2, 3)
PARTS, DISTRIBUTIONS = ("train", "val", "test"), ("natural", "balanced", "two_pass")


def r2_of(lag: int, sampler: str, split: str, part: str, distribution: str) -> float:
    """A number whose digits say where it belongs: lag, sampler, split, part, distribution."""
    digits = (lag, SAMPLERS.index(sampler), SPLITS.index(split), PARTS.index(part), DISTRIBUTIONS.index(distribution))
    return sum(digit / 10**place for place, digit in enumerate(digits, 1))


@pytest.fixture
def runs(make_scores: Scores) -> list[TrainedRun]:
    """Three lags x two samplers x two splits, scored everywhere."""
    trained = []
    for lag, sampler, split in product(LAGS, SAMPLERS, SPLITS):
        places = [(part, on, r2_of(lag, sampler, split, part, on)) for part, on in product(PARTS, DISTRIBUTIONS)]
        rows = [("ConvLSTM", part, on, r2, r2 / 2) for part, on, r2 in places]
        trained.append(TrainedRun(lag, sampler, split, make_scores(*rows, ("ridge", "test", "natural", 9.0, 9.0))))
    return trained


@pytest.fixture
def broken(runs: list[TrainedRun]) -> Children:
    """The rebalanced training of lag 2 failed under both splits."""
    kept = tuple(run for run in runs if (run.lag, run.sampler) != (2, "two_pass"))
    return Children(kept, tuple(FailedRun(2, "two_pass", split, "out of <memory>") for split in SPLITS))


def test_the_papers_layout_has_its_numbers_and_ours_in_their_cells(runs: list[TrainedRun]) -> None:
    protocol = PAPERS_OWN
    table = paper_layout(compare(Children(tuple(runs)), (protocol,)), protocol).set_index(["lag", "stage", "source"])
    table.index = table.index.to_flat_index()
    assert len(table) == 3 * 2 * 2
    for row in PAPER:
        theirs, ours = (table.loc[[(row.lag, row.stage, source)]].iloc[0] for source in ("paper", "ours"))
        names = ("R2", "RMSE", "MAE", "corr")
        assert [theirs[name, row.part] for name in names] == [row.r2, row.rmse, row.mae, row.corr]
        sampler, on = ("natural", "natural") if row.stage == "before" else ("two_pass", "two_pass")
        assert ours["R2", row.part] == r2_of(row.lag, sampler, "random_patch", row.part, on)
        assert ours["RMSE", row.part] == ours["R2", row.part] / 2


def test_the_held_out_protocol_scores_both_trainings_on_the_same_natural_test(runs: list[TrainedRun]) -> None:
    comparison = compare(Children(tuple(runs)), (PAPERS_OWN, held_out("by_season")))
    found = comparison[(comparison["protocol"] == "held out by_season, natural test") & (comparison["score"] == "r2")]
    assert len(found) == 3 * 2 * 3
    for row in found.itertuples():
        sampler = {"before": "natural", "after": "two_pass"}[str(row.stage)]
        assert row.ours == r2_of(int(str(row.lag)), sampler, "by_season", str(row.split), "natural")


def test_a_lag_that_the_paper_lacks_has_a_reason(make_scores: Scores) -> None:
    rows = [("ConvLSTM", part, "natural", 0.5, 0.1) for part in PARTS]
    children = Children((TrainedRun(10, "natural", "random_patch", make_scores(*rows)),))
    table = paper_layout(compare(children, (PAPERS_OWN,)), PAPERS_OWN)
    last = table[table["lag"] == 10]
    assert list(last["reason"]) == [
        "the paper has no lag of 10 days",
        "",
        "the paper has no lag of 10 days",
        "no run of model.lag=10 sampler=two_pass split=random_patch",
    ]
    assert last.iloc[1]["R2", "test"] == 0.5


def test_the_square_has_each_score_in_its_cell(runs: list[TrainedRun]) -> None:
    table = square(Children(tuple(runs)), SPLITS)
    assert len(table) == 2 * 3 * 2 * 2
    for row in table.to_dict("records"):
        r2 = r2_of(row["lag"], row["training"], row["split"], "test", row["test"])
        assert (row["r2"], row["rmse"]) == (r2, r2 / 2)
        assert row["variance"] == pytest.approx((r2 / 2) ** 2 / (1 - r2))
        assert row["runs"] == 1
    wide = square_layout(table)
    assert len(wide) == 2 * 3 * 2
    for _, line in wide.iterrows():
        sampler = {"plain": "natural", "rebalanced": "two_pass"}[line["training", ""]]
        for on in ("natural", "balanced"):
            assert line[f"{on} test", "R2"] == r2_of(line["lag", ""], sampler, line["split", ""], "test", on)


def cells(*values: float) -> pd.DataFrame:
    """A 2 x 2 a lag: plain natural, plain balanced, rebalanced natural, rebalanced balanced."""
    places = list(product(("natural", "two_pass"), ("natural", "balanced")))
    rows = [("s", 1 + k // 4, *places[k % 4], value, value / 10, 2 * value) for k, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["split", "lag", "training", "test", "r2", "rmse", "variance"])


def test_effects_are_those_of_a_two_by_two_design() -> None:
    found = effects(cells(0.2, 0.7, 0.25, 0.71), "r2")
    assert (found.start, found.end) == (0.2, 0.71)
    assert found.test == pytest.approx((0.5 + 0.46) / 2)
    assert found.training == pytest.approx((0.05 + 0.01) / 2)


@given(st.lists(st.floats(-2, 1), min_size=8, max_size=8))
def test_effects_add_up_to_the_whole_change(values: list[float]) -> None:
    found = effects(cells(*values), "r2")
    assert found.test + found.training == pytest.approx(found.end - found.start, abs=1e-12)
    # of lags that behave alike, the mean is each one's
    alike = effects(cells(*values[:4], *values[:4]), "r2")
    assert alike.test == pytest.approx(effects(cells(*values[:4]), "r2").test, abs=1e-12)


def test_the_sentence_says_what_the_numbers_do() -> None:
    told = square_sentence(cells(0.2, 0.7, 0.25, 0.71))
    assert "R2 goes from 0.200 to 0.710, of which the test set makes +0.480 and the training +0.030" in told
    assert "RMSE goes from 0.020 to 0.071, of which the test set makes +0.048 and the training +0.003" in told
    assert "from 0.400 to 1.420" in told
    other = square_sentence(cells(0.2, 0.1, 0.6, 0.5))
    assert "the test set makes -0.100 and the training +0.400" in other


def test_a_lag_without_all_four_cells_is_left_out_by_name() -> None:
    table = cells(0.2, 0.7, 0.25, 0.71, 0.9, math.nan, 0.9, 0.9)
    assert "mean of lag 1," in square_sentence(table)
    assert "Left out for want of a cell: lag 2." in square_sentence(table)
    assert effects(table, "r2").start == 0.2
    assert "cannot be told apart" in square_sentence(cells(0.2, math.nan, 0.25, 0.71))
    assert math.isnan(effects(cells(0.2, math.nan, 0.25, 0.71), "r2").test)


def test_the_papers_own_move_is_told_beside_ours(broken: Children) -> None:
    told = before_and_after(compare(broken, (PAPERS_OWN,)), PAPERS_OWN)
    theirs, ours = told.split("Here, ")
    assert "(mean of lag 1, 2, 3), test R2 goes from 0.199 to 0.716, RMSE from 0.151 to 0.154" in theirs
    assert theirs.strip().endswith("from 0.028 to 0.083.")
    assert "(mean of lag 1, 3)" in ours  # lag 2 has no 'after'
    mean = np.mean([r2_of(lag, "natural", "random_patch", "test", "natural") for lag in (1, 3)])
    assert f"test R2 goes from {mean:.3f}" in ours


def test_failed_children_leave_gaps_with_reasons_everywhere(broken: Children) -> None:
    made = paper_table(broken, "by_season")
    stems = [table.stem for table in made.tables]
    assert stems == [
        "paper_table",
        "paper_table_own_protocol",
        "paper_table_held_out",
        "two_by_two",
        "two_by_two_shown",
    ]
    tables = {table.stem: table.frame for table in made.tables}
    long = tables["paper_table"]
    gone = long[(long["lag"] == 2) & (long["stage"] == "after")]
    assert gone["ours"].isna().all()
    assert set(gone["reason"]) == {f"model.lag=2 sampler=two_pass split={split}: out of <memory>" for split in SPLITS}
    assert long.drop(gone.index)["ours"].notna().all()
    shown = tables["two_by_two_shown"]
    row = shown[(shown["lag"] == 2) & (shown["training"] == "rebalanced") & (shown["split"] == "by_season")].iloc[0]
    assert math.isnan(row["balanced test R2"])
    assert row["reason"] == "model.lag=2 sampler=two_pass split=by_season: out of <memory>"
    html = render(made.page)
    assert "split=by_season: out of &lt;memory&gt;" in html
    assert [named.stem for named in made.figures] == ["paper_table", "two_by_two_by_season", "two_by_two_random_patch"]
    assert "Left out for want of a cell: lag 2." in made.summary


def test_the_shown_tables_survive_csv(runs: list[TrainedRun]) -> None:
    made = paper_table(Children(tuple(runs)), "by_season")
    frame = next(table.frame for table in made.tables if table.stem == "paper_table_own_protocol")
    assert list(frame.columns[:5]) == ["lag", "stage", "source", "R2 train", "R2 val"]
    assert frame.loc[(frame["lag"] == 1) & (frame["stage"] == "after"), "R2 test"].iloc[0] == 0.7166


def test_an_experiment_in_which_all_failed_still_has_its_tables() -> None:
    made = paper_table(Children((), (FailedRun(1, "natural", "by_season", "no data"),)), "by_season")
    assert all(table.frame["reason"].astype(bool).any() for table in made.tables)
    assert "Here, no lag has both rows." in made.summary
    render(made.page)


def test_no_training_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one training"):
        paper_table(Children(()), "by_season")


def test_random_patches_alone_make_one_square(runs: list[TrainedRun]) -> None:
    made = paper_table(Children(tuple(runs)), "random_patch")
    assert [named.stem for named in made.figures] == ["paper_table", "two_by_two_random_patch"]
