"""Training seasons that are held out in turn: what they choose, what they may not know, and how they go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mlssm.checkpoint import CHECKPOINTS, LAST
from mlssm.data import assemble as assembling
from mlssm.data.assemble import Experiment, assemble
from mlssm.errors import SplitError
from mlssm.jobs import inner
from mlssm.jobs.continuation import FOLDS, TrainingJob
from mlssm.jobs.inner import Choice, HeldOut, choose, refit_start
from mlssm.jobs.seasonal import on_seasons
from mlssm.patches.dates import seasons
from mlssm.scores.sums import scores
from mlssm.training.history import History
from mlssm.training.start import Start
from mlssm.training.train_network import Trained

SMALL = ("patches.size=20", "retrieval.multilook_m=90", "model.hidden=[2]", "model.lag=1", "trainer=cpu")
SMALL += ("optimiser.batch_size=8", "trainer.max_epochs=2", "evaluation.controls=[]")
INNER = (*SMALL, "split.inner=seasons")


class Run:
    """Keeps what a tracked run would."""

    def __init__(self) -> None:
        self.metrics: dict[str, list[float]] = {}
        self.tables: dict[str, Any] = {}
        self.tags: dict[str, str] = {}

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags

    def log_metrics(self, values: dict[str, float], step: int | None = None) -> None:
        for name, value in values.items():
            self.metrics.setdefault(name, []).append(value)

    def log_table(self, table: Any, name: str) -> None:
        self.tables[name] = table


@pytest.fixture(scope="module")
def make_job(watershed: Any, composed: Callable[..., dict[str, Any]]) -> Callable[..., TrainingJob]:
    """Makes the job of a training in a folder."""

    def make(folder: Path, split: str = "by_season") -> TrainingJob:
        told = (*INNER, f"split={split}")
        return TrainingJob(watershed.config(*told), composed("train", *watershed.overrides, *told), folder)

    return make


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*INNER)
    return found


@pytest.fixture(scope="module")
def chosen(experiment: Experiment, make_job: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What two folds came to, and the parts that were pooled."""
    folder, run, parts = tmp_path_factory.mktemp("inner"), Run(), []
    real = inner.evaluate

    def spied(*told: Any, **more: Any) -> Any:
        parts.append(real(*told, **more))
        return parts[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner, "evaluate", spied)
        return choose(experiment, make_job(folder), run), parts, run, folder


def test_each_training_season_is_held_out_once(chosen: Any, experiment: Experiment, watershed: Any) -> None:
    choice, _, run, folder = chosen
    times = experiment.datasets["train"].times
    known = np.unique(seasons(watershed.cube.local_days[times], 9))
    assert [fold.season for fold in choice.folds] == known.tolist()
    assert len(known) == 2
    assert set(choice.val.splits["val"].times) == set(times.tolist())
    assert run.tables["inner_folds"]["season"].tolist() == known.tolist()
    for fold in choice.folds:
        assert len(run.metrics[f"inner/{fold.season}/val/natural/rmse"]) == 2
        assert fold.rmse == min(run.metrics[f"inner/{fold.season}/val/natural/rmse"])
        assert (folder / FOLDS / f"season={fold.season}" / CHECKPOINTS / LAST).is_file()
    assert run.tables["inner_folds"]["best_epoch"].tolist() == [fold.best_epoch for fold in choice.folds]
    assert run.tags == {"mlssm.inner_best_epochs": ", ".join(f"{one.season}: {one.best_epoch}" for one in choice.folds)}
    assert run.metrics["inner/epochs"] == [choice.epochs]
    assert not [name for name in run.metrics if not name.startswith("inner/")]


def test_the_pooled_sums_are_those_of_the_parts(chosen: Any) -> None:
    choice, parts, _, _ = chosen
    assert len(parts) == 2
    for model, sums in choice.val.splits["val"].sums.items():
        expected = sum(part.splits["val"].sums[model].sum(0) for part in parts)
        torch.testing.assert_close(sums.sum(0), expected, rtol=1e-12, atol=1e-12)
    assert choice.rmse == scores(choice.val.splits["val"].sums["ConvLSTM"]).rmse
    squares = [part.splits["val"].sums["ConvLSTM"].flatten(0, -2).sum(0) for part in parts]
    n, squared = (sum(float(each[place]) for each in squares) for place in (0, 7))
    assert choice.rmse == pytest.approx((squared / n) ** 0.5)


def test_what_each_fold_held_out_is_kept_to_calibrate_intervals_on(chosen: Any, experiment: Experiment) -> None:
    """The same pixels and the same errors as those that were scored."""
    choice, parts, _, _ = chosen
    assert {each.time for each in choice.maps} == set(experiment.datasets["train"].times.tolist())
    squared = sum(float(np.nansum((each.label - each.mean) ** 2.0)) for each in choice.maps)
    n = sum(int(each.known.sum()) for each in choice.maps)
    sums = [part.splits["val"].sums["ConvLSTM"].flatten(0, -2).sum(0) for part in parts]
    assert n == sum(int(each[0]) for each in sums)
    assert squared == pytest.approx(sum(float(each[7]) for each in sums), rel=1e-5)


def test_finished_folds_are_not_trained_again(
    chosen: Any, experiment: Experiment, make_job: Any, caplog: pytest.LogCaptureFixture
) -> None:
    choice, _, _, folder = chosen
    again = Run()
    with caplog.at_level("INFO", "mlssm"):
        found = choose(experiment, make_job(folder), again)
    assert [message for message in caplog.messages if message.startswith("epoch ")] == []
    assert "inner fold 2 of 2: season" in caplog.text
    assert [fold.best_epoch for fold in found.folds] == [fold.best_epoch for fold in choice.folds]
    assert found.rmse == choice.rmse
    assert not [name for name in again.metrics if name.endswith("rmse")]


def test_labels_of_the_held_out_season_change_nothing_that_is_fitted(
    make_job: Any, watershed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    season = int(seasons(watershed.cube.local_days, 9)[0])
    job = on_seasons(make_job(tmp_path), {"val": [season], "inner": "none"})
    plain = assemble(watershed.cube, job.config)
    real, held = assembling.load_stack, seasons(watershed.cube.local_days, 9) == season

    def changed(*told: Any) -> Any:
        stack = real(*told)
        packed = [extent.packed + np.where(held, 300, 0).astype(np.int16)[:, None, None] for extent in stack.extents]
        extents = (dataclasses.replace(extent, packed=more) for extent, more in zip(stack.extents, packed, strict=True))
        return dataclasses.replace(stack, extents=tuple(extents))

    monkeypatch.setattr(assembling, "load_stack", changed)
    other = assemble(watershed.cube, job.config)
    assert other.spec == plain.spec
    one, two = plain.datasets["train"], other.datasets["train"]
    assert one.patches.equals(two.patches)
    for position in range(0, len(one), 7):
        for found, expected in zip(one[position], two[position], strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    there, raised = (each.datasets["val"][0].target.nan_to_num() for each in (plain, other))
    assert raised.sum() > there.sum()  # so much wetter is the season that was changed


def test_a_fold_that_cannot_be_split_is_left_out_and_one_alone_is_too_few(
    experiment: Experiment, make_job: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: Any
) -> None:
    real, first = inner.assemble, int(min(seasons(experiment.cube.local_days, 9)))

    def fails(cube: Any, config: Any) -> Any:
        if config.split.val == (first,):
            raise SplitError("no val patch is left")
        return real(cube, config)

    monkeypatch.setattr(inner, "assemble", fails)
    with pytest.raises(SplitError, match=r"needs 2 of them, and there is 1"):
        choose(experiment, make_job(tmp_path), None)
    assert f"inner fold 1 of 2: season {first} is left out and chooses nothing: no val patch is left" in caplog.text


def fold(best: int) -> HeldOut:
    return HeldOut(2020 + best, best, 0.2, (), Path())


@pytest.mark.parametrize(("best", "epochs"), [((3, 9, 4), 4), ((3, 9), 3), ((0, 0, 7), 0), ((5,), 5)])
def test_the_refit_has_the_median_of_the_best_epochs(best: tuple[int, ...], epochs: int) -> None:
    """The lower one of the middle two; 0 is the untrained network."""
    assert Choice(tuple(map(fold, best)), torch.nn.Identity(), None, 0.2).epochs == epochs


def test_a_refit_that_went_too_far_begins_anew(chosen: Any, make_job: Any, tmp_path: Path) -> None:
    _, _, _, folder = chosen
    job = make_job(tmp_path)
    assert refit_start(job, 2) == Start()
    done = next((folder / FOLDS).glob("*"))
    went = dataclasses.replace(job, folder=done)
    assert refit_start(went, 2) == Start(done / CHECKPOINTS / LAST)
    assert refit_start(went, 1) == Start()


def test_a_season_to_be_tested_on_keeps_what_it_is_chosen_by(make_job: Any, tmp_path: Path) -> None:
    job = make_job(tmp_path, "leave_one_season_out")
    found = on_seasons(job, {"name": "by_season", "test": [2021], "val": None})
    assert (found.config.split.name, found.config.split.test, found.config.split.inner) == (
        "by_season",
        (2021,),
        "seasons",
    )
    assert found.values["split"] == {
        "name": "by_season",
        "start_month": 9,
        "inner": "seasons",
        "test": [2021],
        "val": None,
    }
    assert job.config.split.each_season


def test_a_search_is_told_the_epochs_of_the_first_fold_alone(
    experiment: Experiment, make_job: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = []

    def fit(_: Any, job: TrainingJob, *__: Any, **___: Any) -> Trained:
        told.append(job.watched)
        return Trained(torch.nn.Identity(), History())

    monkeypatch.setattr(inner, "fit", fit)
    choice = choose(experiment, make_job(tmp_path), None)
    assert told == [True, False]
    assert (choice.val, choice.epochs) == (None, 0)
    choose(experiment, dataclasses.replace(make_job(tmp_path), watched=False), None)
    assert told[2:] == [False, False]
