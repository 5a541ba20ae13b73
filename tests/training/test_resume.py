"""A training that is killed and goes on comes to the same bits as one that never was."""

import functools
import json
import math
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.loggers.logger import Logger
from torch.optim import AdamW

from mlssm import checkpoint as checkpoint_module
from mlssm.checkpoint import read_checkpoint
from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.training.keepers import Best, Last
from mlssm.training.module import SoilMoistureModule
from mlssm.training.start import Start
from mlssm.training.train_network import Trained, train_network

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of the test's process"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes"),  # on one core
]
SMALL = ("patches.size=20", "retrieval.multilook_m=90", "model.hidden=[2]", "model.lag=1", "trainer=cpu")
SMALL += (
    "model.dropout=0.3",
    "model.input_dropout=0.3",
    "optimiser.batch_size=4",
    "trainer.max_epochs=3",
)  # 10 steps an epoch
NEW = Start()


class Record(Logger):
    """Appends what is logged to a file, which survives the process."""

    name, version = "record", "0"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps([name, step, float(value).hex()]) + "\n" for name, value in metrics.items())

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...


@dataclass(frozen=True)
class Task:
    """A training in a folder, which can be killed there."""

    experiment: Experiment
    config: TrainConfig
    folder: Path

    @property
    def last(self) -> Path:
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.folder / "best.ckpt"

    def train(self, start: Start = NEW) -> Trained:
        self.folder.mkdir(exist_ok=True)
        return train_network(self.experiment, self.config, self.folder, Record(self.folder / "metrics"), start)

    def go_on(self) -> Trained:
        return self.train(Start(self.last))

    def killed(self, kill: Callable[[], None]) -> None:
        """Train, or go on, in another process that is to meet its end there."""
        start = Start(self.last if self.last.is_file() else None)
        process = multiprocessing.get_context("fork").Process(target=lambda: (kill(), self.train(start)))
        process.start()
        process.join()  # with a limit it would wait for the workers of its loaders too, which look after it every 5 s
        assert process.exitcode == -signal.SIGKILL

    def metrics(self) -> dict[tuple[str, int], str]:
        """What was logged; a second time only with the same value."""
        found: dict[tuple[str, int], str] = {}
        for line in (self.folder / "metrics").read_text(encoding="utf-8").splitlines():
            name, step, value = json.loads(line)
            assert found.setdefault((name, step), value) == value, (name, step)
        return found


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*SMALL)
    return found


@pytest.fixture(scope="module")
def task(watershed: Any, experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Task]:
    """Makes trainings with other settings, each in a new folder."""

    def make(*settings: str) -> Task:
        return Task(experiment, watershed.config(*SMALL, *settings), tmp_path_factory.mktemp("checkpoints"))

    return make


@pytest.fixture(scope="module")
def whole(task: Callable[..., Task]) -> Callable[..., Task]:
    """Makes trainings that were never interrupted; each once."""
    made: dict[tuple[str, ...], Task] = {}

    def make(*settings: str) -> Task:
        if settings not in made:
            made[settings] = task(*settings)
            made[settings].train()
        return made[settings]

    return make


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(owner: Any, name: str, call: int = 1, *, after: bool = False) -> Callable[[], None]:
    """Kill at a call (from 1) of a function, before it begins or after it has ended."""

    def arm() -> None:
        real, calls = getattr(owner, name), iter(range(1, 10**9))

        @functools.wraps(real)
        def deadly(*args: Any, **kwargs: Any) -> Any:
            deadline = next(calls) == call
            if deadline and not after:
                kill()
            result = real(*args, **kwargs)
            if deadline:
                kill()
            return result

        setattr(owner, name, deadly)

    return arm


def half_written(call: int) -> Callable[[], None]:
    """Kill where only half of a checkpoint has reached the disk."""

    def arm() -> None:
        real, calls = torch.save, iter(range(1, 10**9))

        def deadly(state: Any, file: Any) -> None:
            real(state, file)
            if next(calls) == call:
                file.truncate(file.tell() // 2)
                file.flush()
                kill()

        torch.save = deadly

    return arm


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Where two checkpoints differ in a bit."""
    if isinstance(left, Mapping) and isinstance(right, Mapping) and list(left) == list(right):
        return [found for key in left for found in differences(left[key], right[key], f"{path}/{key}")]
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return [found for i, (one, other) in pairs for found in differences(one, other, f"{path}/{i}")]
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        same = left.dtype == right.dtype and left.shape == right.shape and torch.equal(left, right)
        return [] if same else [path]
    same = left == right or (isinstance(left, float) and math.isnan(left) and math.isnan(right))
    return [] if same else [f"{path}: {left} {right}"]


def assert_same(found: Task, wanted: Task) -> None:
    assert found.metrics() == wanted.metrics()
    for name in ("best.ckpt", "last.ckpt"):
        assert differences(*(read_checkpoint(one.folder / name) for one in (found, wanted))) == [], name
    assert sorted(path.name for path in found.folder.iterdir()) == ["best.ckpt", "last.ckpt", "metrics"]


SCORES, LOSS = 3, 4  # of the second epoch: calls of the logger
MOMENTS = {
    "before the first step": at(SoilMoistureModule, "training_step", 1),
    "in the second epoch": at(SoilMoistureModule, "training_step", 14, after=True),
    "before an optimiser's step": at(AdamW, "step", 17),
    "in the second validation": at(SoilMoistureModule, "validation_step", 15),
    "as a validation ends": at(SoilMoistureModule, "on_validation_epoch_end", 3),
    "before the scores are logged": at(Record, "log_metrics", SCORES),
    "after the scores are logged": at(Record, "log_metrics", SCORES, after=True),
    "before the training loss is logged": at(Record, "log_metrics", LOSS),
    "after the training loss is logged": at(Record, "log_metrics", LOSS, after=True),
    "before best.ckpt is written": at(Best, "on_train_epoch_end", 2),
    "between best.ckpt and last.ckpt": at(Best, "on_train_epoch_end", 2, after=True),
    "between the epoch and last.ckpt": at(Last, "on_train_epoch_start", 3),
    "as last.ckpt is half written": half_written(3),
    "as best.ckpt is half written": half_written(4),
    "between writing and renaming": at(Path, "replace", 3),
    "after renaming": at(checkpoint_module, "_sync_folder", 3),
    "after the last epoch": at(Last, "on_train_end"),
    "after the last checkpoint": at(Last, "on_train_end", after=True),
}
# one in the midst of each thing that is written, and the ends; CI tries the others too
USUAL = {
    "in the second epoch",
    "as a validation ends",
    "after the scores are logged",
    "between best.ckpt and last.ckpt",
    "as last.ckpt is half written",
    "as best.ckpt is half written",
    "between writing and renaming",
    "after the last checkpoint",
}


@pytest.mark.parametrize(
    "moment", [pytest.param(each, marks=() if each in USUAL else pytest.mark.exhaustive) for each in MOMENTS]
)
def test_a_killed_training_ends_as_one_that_never_was(
    moment: str, task: Callable[..., Task], whole: Callable[..., Task]
) -> None:
    one = task()
    one.killed(MOMENTS[moment])
    one.go_on()
    assert_same(one, whole())


WITHIN = "optimiser.checkpoint_steps=3"


@pytest.mark.parametrize(
    ("step", "kept", "settings"),
    [
        pytest.param(15, 12, (WITHIN,), marks=pytest.mark.exhaustive),  # as with workers, without them
        (15, 12, (WITHIN, "optimiser.workers=2")),
        pytest.param(12, 10, (WITHIN, "optimiser.workers=2"), marks=pytest.mark.exhaustive),
        (16, 6, (WITHIN, "+trainer.accumulate_grad_batches=2")),
        (19, 15, (WITHIN, "+trainer.val_check_interval=0.4")),
        (29, 27, (WITHIN, "+trainer.check_val_every_n_epoch=2")),
    ],
)
def test_within_an_epoch_it_goes_on_with_the_next_batch(
    step: int, kept: int, settings: tuple[str, ...], task: Callable[..., Task], whole: Callable[..., Task]
) -> None:
    one = task(*settings)
    one.killed(at(SoilMoistureModule, "training_step", step))
    assert read_checkpoint(one.last)["global_step"] == kept
    one.go_on()
    assert_same(one, whole(*settings))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (1, 2, 3))])
def test_whatever_the_steps_and_however_often(seed: int, task: Callable[..., Task], whole: Callable[..., Task]) -> None:
    chance, settings = random.Random(seed), ("optimiser.checkpoint_steps=4", "trainer.max_epochs=3")
    one, steps = task(*settings), 0
    for _ in range(chance.choice([1, 2, 3])):
        call = chance.randint(1, 30 - steps)
        one.killed(at(SoilMoistureModule, "training_step", call))
        steps = int(read_checkpoint(one.last)["global_step"])
    one.go_on()
    assert_same(one, whole(*settings))


STOPPING = ("optimiser.patience=1", "optimiser.learning_rate=0.3", "trainer.max_epochs=12")


@pytest.mark.parametrize("moment", ["in the second epoch", "after the last epoch", "after the last checkpoint"])
def test_an_early_stop_is_kept(moment: str, task: Callable[..., Task], whole: Callable[..., Task]) -> None:
    one = task(*STOPPING)
    one.killed(MOMENTS[moment])
    one.go_on()
    assert_same(one, whole(*STOPPING))
    assert read_checkpoint(one.last)["epoch"] < 12


@pytest.mark.parametrize("settings", [(), STOPPING])
def test_a_training_that_had_ended_is_not_trained_further(
    settings: tuple[str, ...], task: Callable[..., Task], whole: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = task(*settings)
    shutil.copytree(whole(*settings).folder, one.folder, dirs_exist_ok=True)
    monkeypatch.delattr(SoilMoistureModule, "validation_step", raising=True)
    monkeypatch.setattr(SoilMoistureModule, "validation_step", lambda self, batch: pytest.fail("it was trained"))
    again = one.go_on()
    assert_same(one, whole(*settings))
    best = read_checkpoint(one.best)["state_dict"]
    assert all(torch.equal(weight, best[f"network.{name}"]) for name, weight in again.network.state_dict().items())
    assert again.history.best == min(point.val_rmse for point in again.history.points)


def test_more_epochs_let_it_go_on(task: Callable[..., Task], whole: Callable[..., Task]) -> None:
    one = task("trainer.max_epochs=2")
    one.train()
    replace(one, config=whole().config).go_on()
    assert_same(one, whole())


def test_more_patience_lets_it_go_on(task: Callable[..., Task], whole: Callable[..., Task]) -> None:
    patient = ("optimiser.patience=12", *STOPPING[1:])
    one = task(*STOPPING)
    shutil.copytree(whole(*STOPPING).folder, one.folder, dirs_exist_ok=True)
    replace(one, config=task(*patient).config).go_on()
    assert_same(one, whole(*patient))


def test_a_run_goes_on_in_another_folder(
    task: Callable[..., Task], whole: Callable[..., Task], recwarn: pytest.WarningsRecorder
) -> None:
    origin, fork = task(), task()
    origin.killed(at(SoilMoistureModule, "training_step", 25))
    for path in origin.folder.iterdir():
        path.rename(fork.folder / path.name)
    fork.go_on()
    assert_same(fork, whole())
    assert not list(recwarn)
