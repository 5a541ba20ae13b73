import pytest

from mlssm.evaluation.experiments.paper import PAPER, implied_variance, paper_row


def test_the_paper_has_every_lag_stage_and_split_once() -> None:
    keys = [(row.lag, row.stage, row.part) for row in PAPER]
    assert len(set(keys)) == len(keys) == 3 * 2 * 3


def test_the_papers_labels_vary_three_times_as_much_after_rebalancing() -> None:
    before = [row.variance for row in PAPER if row.stage == "before"]
    after = [row.variance for row in PAPER if row.stage == "after"]
    assert {round(value, 3) for value in before} == {0.028}
    assert all(0.081 <= round(value, 3) <= 0.084 for value in after)
    assert min(after) / max(before) > 2.8
    # a flat distribution over 0..1 has 1/12
    assert sum(after) / len(after) == pytest.approx(1 / 12, rel=0.02)


def test_the_papers_error_does_not_move() -> None:
    before = [row.rmse for row in PAPER if row.stage == "before"]
    after = [row.rmse for row in PAPER if row.stage == "after"]
    assert abs(sum(after) - sum(before)) / len(before) < 0.004


def test_training_validation_and_test_agree_in_the_paper() -> None:
    for lag in (1, 2, 3):
        for stage in ("before", "after"):
            r2 = [row.r2 for row in PAPER if (row.lag, row.stage) == (lag, stage)]
            assert max(r2) - min(r2) <= 0.0103


def test_a_row_is_found_by_its_place() -> None:
    row = paper_row(2, "after", "val")
    assert row is not None
    assert (row.r2, row.rmse, row.mae, row.corr) == (0.7173, 0.1537, 0.1029, 0.8477)
    assert paper_row(7, "after", "val") is None


def test_implied_variance_inverts_the_definition_of_r2() -> None:
    assert implied_variance(0.3, 1 - 0.09 / 0.25) == pytest.approx(0.25)
    assert implied_variance(0.0, 1.0) != implied_variance(0.0, 1.0)  # NaN
