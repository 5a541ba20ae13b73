"""Every season as the test season in turn: which are tested on, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.errors import ConfigError, SplitError
from mlssm.jobs import each_season
from mlssm.jobs.continuation import TrainingJob
from mlssm.jobs.each_season import Fold, train_each_season
from mlssm.jobs.each_season_report import SeasonRun
from mlssm.patches.dates import seasons


@pytest.fixture
def job(watershed: Any, composed: Any, tmp_path: Path) -> TrainingJob:
    told = ("split=leave_one_season_out", "patches.size=20", "retrieval.multilook_m=90", "model.lag=1")
    return TrainingJob(watershed.config(*told), composed("train", *watershed.overrides, *told), tmp_path)


def test_each_season_is_split_off_by_itself(watershed: Any, job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a search is told the epochs of the first alone."""
    found = []
    monkeypatch.setattr(each_season, "_train", lambda _, told, *__: found.append(told))
    train_each_season(watershed.cube, job, None)
    known = np.unique(seasons(watershed.cube.local_days, 9)).tolist()
    assert [told.config.split.test for told in found] == [(season,) for season in known]
    assert {(told.config.split.name, told.config.split.inner, told.pooled) for told in found} == {
        ("by_season", "seasons", True)
    }
    assert [told.watched for told in found] == [True, *[False] * (len(known) - 1)]


def test_a_season_without_a_patch_is_left_out(
    watershed: Any, job: TrainingJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> None:
        raise SplitError("no test patch is left")

    monkeypatch.setattr(each_season, "assemble", fails)
    assert each_season._train(watershed.cube, job, 2021, None) is None
    assert "season 2021 is left out of the test seasons: no test patch is left" in caplog.text


def test_one_season_alone_is_no_test_of_each(watershed: Any, job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(each_season, "_folds", lambda *_: [None, Fold(SeasonRun(2021, "abc"), ()), None])
    run: Any = object()
    with pytest.raises(SplitError, match="1 season is left to be tested on"):
        train_each_season(watershed.cube, job, run)


def test_several_processes_cannot_go_on(watershed: Any, job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"resume=abc: with split=leave_one_season_out, go on without torchrun"):
        train_each_season(watershed.cube, dataclasses.replace(job, resumed="abc"), None)
