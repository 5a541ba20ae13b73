import logging
from types import SimpleNamespace

import pytest

from mlssm.jobs.announcement import announce
from mlssm.tracking.find import Run
from mlssm.tracking.tags import VERDICT, WARNINGS

MODEL = SimpleNamespace(
    window=SimpleNamespace(lag=10, mode="sequence"), knows_the_day=True, model=SimpleNamespace(title="Response")
)


def test_it_says_which_run_how_good_and_what_to_beware_of(caplog: pytest.LogCaptureFixture) -> None:
    tags = {
        VERDICT: "Response is worse than antecedent rain by 0.020 RMSE: do not use it",
        WARNINGS: "only 2 test dates",
    }
    metrics = {"test/natural/r2": 0.5, "test/natural/rmse": 0.1234, "val/natural/r2": 0.9}
    with caplog.at_level(logging.INFO):
        announce(Run("3f2a91", "quick-fox", "FINISHED", {}, metrics, tags), MODEL)
    assert "maps of run 3f2a91 (quick-fox): Response, 10 days of weather that end with the day itself" in caplog.text
    assert "on its test dates: R2 0.500, RMSE 0.123; Response is worse than antecedent rain" in caplog.text
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == [
        "beware: only 2 test dates"
    ]


def test_a_run_without_scores_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        announce(Run("3f2a91", "quick-fox", "FINISHED", {}, {}, {}), MODEL)
    assert "on its test dates: it has no score" in caplog.text
    assert not [each for each in caplog.records if each.levelno == logging.WARNING]
