"""The group of processes that a job starts for one training."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf
from torch.nn.parallel import DistributedDataParallel

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.distributed import ranks
from mlssm.distributed.group import check_processes, process_group
from mlssm.distributed.rank_job import RankTask
from mlssm.distributed.tasks import COUNTS, check_sweep
from mlssm.errors import ConfigError
from mlssm.training.train_network import Trained, train_network

pytestmark = pytest.mark.slow

SMALL = (
    *("trainer.accelerator=cpu", "trainer.max_epochs=2", "model.hidden=[4]", "model.dropout=0"),
    *("model.input_dropout=0", "patches.size=10", "patches.dense_stride=5", "patches.min_high_fraction=0.3"),
)
TWO = ("trainer=ddp", "trainer.devices=2", "optimiser.batch_size=4")
Make = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has started this process among others."""
    for name in (*COUNTS, "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ranks.LocalRank]:
    """The processes that the group starts, as it starts them."""
    found: list[ranks.LocalRank] = []
    start = ranks._start

    def note(number: int, task: Path) -> ranks.LocalRank:
        found.append(start(number, task))
        return found[-1]

    monkeypatch.setattr(ranks, "_start", note)
    return found


def resolved(watershed: Any, conf_folder: str, *overrides: str) -> dict[str, Any]:
    with initialize_config_dir(conf_folder, version_base="1.3"):
        config = compose("train", [*watershed.overrides, *SMALL, *overrides])
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


@pytest.fixture
def train_two(watershed: Any, conf_folder: str, tmp_path: Path) -> Callable[..., Trained]:
    """Trains the watershed's network in two processes."""
    experiment: Experiment = watershed.experiment(*SMALL, *TWO)

    def train(*overrides: str, name: str = "job") -> Trained:
        config = watershed.config(*SMALL, *TWO, *overrides)
        task = RankTask(resolved(watershed, conf_folder, *TWO, *overrides), tmp_path / name / "checkpoints")
        with process_group(config, task) as checkpoints:
            return train_network(experiment, config, checkpoints, None)

    return train


def _assert_nothing_left(started: list[ranks.LocalRank], before: dict[str, str]) -> None:
    assert all(rank.process.returncode is not None for rank in started)
    assert not dist.is_initialized()
    left = {name: value for name, value in os.environ.items() if before.get(name) != value}
    assert set(left) <= {"PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG", "PYTEST_CURRENT_TEST"}
    assert before.keys() <= os.environ.keys()


@pytest.mark.exhaustive
def test_two_trainings_in_a_row_equal_that_of_one_process(
    train_two: Callable[..., Trained], started: list[ranks.LocalRank], watershed: Any, tmp_path: Path
) -> None:
    one = ("trainer.devices=1", "optimiser.batch_size=8")
    config = watershed.config(*SMALL, *one)
    with process_group(config, RankTask({}, tmp_path / "one")) as checkpoints:
        expected = train_network(watershed.experiment(*SMALL, *one), config, checkpoints, None)
    before, peaks = dict(os.environ), []
    for trial in range(2):
        found = train_two(name=str(trial))
        gc.collect()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        assert len(started) == trial + 1
        _assert_nothing_left(started, before)
        assert not any(type(item) is DistributedDataParallel for item in gc.get_objects())
        assert len(found.history.points) == 2
        for one_epoch, wanted in zip(found.history.points, expected.history.points, strict=True):
            assert one_epoch.train_loss == pytest.approx(wanted.train_loss, rel=1e-5)
            assert one_epoch.val_rmse == pytest.approx(wanted.val_rmse, rel=1e-5)
        torch.testing.assert_close(found.network.state_dict(), expected.network.state_dict(), rtol=1e-3, atol=1e-5)
    kilobytes = 1 if sys.platform != "darwin" else 1024
    assert peaks[1] - peaks[0] < 50_000 * kilobytes


@pytest.mark.exhaustive
def test_a_killed_process_ends_the_training_and_is_named(
    train_two: Callable[..., Trained], started: list[ranks.LocalRank], tmp_path: Path
) -> None:
    def kill() -> None:
        last = tmp_path / "job" / "checkpoints" / "last.ckpt"
        while not last.is_file():  # it is written as training begins
            time.sleep(0.05)
        started[0].process.kill()

    before = dict(os.environ)
    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(ranks.RankError, match=r"rank 1 ended with exit code -9 \(SIGKILL\).*rank_1.log ends with"):
        train_two("trainer.max_epochs=100000", "optimiser.patience=100000")
    _assert_nothing_left(started, before)


def test_a_process_that_fails_before_it_trains_says_why(
    watershed: Any, started: list[ranks.LocalRank], tmp_path: Path
) -> None:
    before = dict(os.environ)
    with (
        pytest.raises(ranks.RankError, match=r"exit code 1;.*error: configuration key 'datamodule' is missing"),
        process_group(watershed.config(*SMALL, *TWO), RankTask({}, tmp_path / "checkpoints")),
    ):
        pytest.fail("it was not waited for")
    _assert_nothing_left(started, before)


def test_an_error_of_the_first_process_is_its_own(
    watershed: Any, started: list[ranks.LocalRank], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ranks, "GRACE_S", 0.2)
    monkeypatch.setattr(ranks.LocalRanks, "wait_until_ready", lambda self: None)
    with (
        pytest.raises(RuntimeError, match="of the first"),
        process_group(watershed.config(*SMALL, *TWO), RankTask({}, tmp_path / "checkpoints")),
    ):
        raise RuntimeError("of the first")
    assert started[0].process.returncode == -signal.SIGKILL


def test_the_others_do_not_outlive_the_first(tmp_path: Path) -> None:
    task = tmp_path / "task"
    os.mkfifo(task)  # reading it waits for ever
    rank = [sys.executable, "-m", "mlssm.jobs.rank", str(task), "1"]
    first = (
        f"import os, subprocess; p = subprocess.Popen({rank} + [str(os.getpid())], start_new_session=True); p.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", first], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        time.sleep(1)
        process.kill()
        ended = threading.Thread(target=process.stdout.read)  # to its end: the other has it open as well
        ended.start()
        ended.join(30)
        assert not ended.is_alive()


def test_a_task_is_read_as_written(tmp_path: Path) -> None:
    for start, epochs in ((None, None), (tmp_path / "last.ckpt", 7), (None, 0)):
        task = RankTask({"model": {"lag": 3}, "trial": None}, tmp_path / "checkpoints", start, epochs)
        task.write(tmp_path / "deep" / "ranks.json")
        assert RankTask.read(tmp_path / "deep" / "ranks.json") == task


@pytest.mark.parametrize(
    ("overrides", "environment", "message"),
    [
        ((), {"WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "in 2 processes, but trainer.devices x trainer.num_nodes is 1"),
        (TWO, {"SLURM_STEP_NUM_TASKS": "4"}, "in 4 processes, but trainer.devices x trainer.num_nodes is 2"),
        ((*TWO, "trainer.strategy=ddp_spawn"), {}, "trainer.strategy=ddp_spawn is not supported"),
        ((*TWO, "trainer.strategy=ddp_fork"), {}, "trainer.strategy=ddp_fork is not supported"),
        ((*TWO, "+trainer.num_nodes=2"), {}, "trainer.num_nodes=2: start the command by torchrun or srun"),
    ],
)
def test_what_cannot_work_is_refused(
    train_config: Make,
    monkeypatch: pytest.MonkeyPatch,
    overrides: tuple[str, ...],
    environment: dict[str, str],
    message: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        check_processes(train_config(*SMALL, *overrides))


@pytest.mark.parametrize(
    ("overrides", "environment"),
    [
        ((), {}),
        (TWO, {}),
        (TWO, {"WORLD_SIZE": "2", "LOCAL_RANK": "1"}),
        ((*TWO, "+trainer.num_nodes=2"), {"SLURM_STEP_NUM_TASKS": "4"}),
        (TWO, {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}),
    ],
)
def test_what_can_work_passes(
    train_config: Make, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...], environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    check_processes(train_config(*SMALL, *overrides))


def test_a_sweep_in_several_processes_is_refused(train_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    check_sweep()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"a sweep \(-m\) was started in 2 processes"):
        check_sweep()
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: SimpleNamespace(mode=RunMode.MULTIRUN))
    with pytest.raises(ConfigError, match=r"a sweep \(-m\) was started in 2 processes"):
        check_processes(train_config(*SMALL, *TWO))
