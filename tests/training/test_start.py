"""What a training may start from, what it refuses, and who may stop it."""

import logging
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from mlssm.checkpoint import read_checkpoint, write_checkpoint
from mlssm.config import TrainConfig
from mlssm.data import datamodule
from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.errors import ConfigError, Pruned, RunError
from mlssm.training.random_stream import KEY, RandomStream
from mlssm.training.start import Start
from mlssm.training.train_network import train_network

SMALL = ("patches.size=20", "retrieval.multilook_m=90", "model.hidden=[2]", "model.lag=1", "trainer=cpu")
SMALL += ("model.dropout=0.3", "optimiser.batch_size=4", "trainer.max_epochs=2", "optimiser.checkpoint_steps=3")
Configs = Callable[..., TrainConfig]


@dataclass
class Watcher:
    """Notes what it is told and stops a training after an epoch."""

    last: int = 10**6
    told: list[tuple[int, float]] = field(default_factory=list)

    def report(self, epoch: int, rmse: float) -> bool:
        self.told.append((epoch, rmse))
        return epoch >= self.last


class Stopped(Exception):
    """Ends a training in the middle."""


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*SMALL)
    return found


@pytest.fixture(scope="module")
def config(watershed: Any) -> Configs:
    """The configuration of the trainings here, with changes."""
    return lambda *changes: watershed.config(*SMALL, *changes)


@pytest.fixture(scope="module")
def origin(experiment: Experiment, config: Configs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a training of two epochs."""
    folder = tmp_path_factory.mktemp("origin")
    train_network(experiment, config(), folder, None)
    return folder


@pytest.fixture
def copy(origin: Path, tmp_path: Path) -> Path:
    """The same in a folder of the test's own."""
    return Path(shutil.copytree(origin, tmp_path / "copy"))


@pytest.fixture
def within(experiment: Experiment, config: Configs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoints of a training that ended in its second epoch, after six of ten batches."""
    calls = iter(range(100))

    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(calls) == 17:
            raise Stopped
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        real = torch.optim.AdamW.step
        patch.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(Stopped):
            train_network(experiment, config(), tmp_path / "within", None)
    return tmp_path / "within"


def rates(path: Path) -> list[tuple[float, float]]:
    groups = read_checkpoint(path)["optimizer_states"][0]["param_groups"]
    return [(group["lr"], group["weight_decay"]) for group in groups]


def test_random_numbers_are_those_of_torchs_own_loaders(
    experiment: Experiment, config: Configs, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which draw from the global generator by themselves; published numbers were made with them."""

    def plain(dataset: Any, batch_size: int, sampler: Any, workers: int) -> DataLoader[Batch]:
        return DataLoader(dataset, batch_size, sampler=sampler, num_workers=workers)

    monkeypatch.setattr(datamodule, "PatchLoader", plain)
    monkeypatch.setattr(RandomStream, "_draw", lambda self, loader: None)
    train_network(experiment, config(), tmp_path, None)
    theirs, ours = (read_checkpoint(folder / "last.ckpt") for folder in (tmp_path, origin))
    assert torch.equal(theirs[KEY]["processes"][0]["cpu"], ours[KEY]["processes"][0]["cpu"])
    assert all(torch.equal(weight, ours["state_dict"][name]) for name, weight in theirs["state_dict"].items())


def test_a_fork_goes_on_with_the_configured_rates(
    experiment: Experiment, config: Configs, copy: Path, origin: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = ("optimiser.learning_rate=0.002", "optimiser.weight_decay=0.1", "trainer.max_epochs=3")
    with caplog.at_level(logging.INFO, "mlssm.training"):
        trained = train_network(experiment, config(*changes), copy, None, Start(copy / "last.ckpt"))
    assert rates(copy / "last.ckpt") == [(0.002, 0.1), (0.002, 0)]
    assert "lr 0.002 as configured, not 0.001 as in the checkpoint" in caplog.text
    assert "2 epochs and 20 steps are done" in caplog.text
    assert "weight_decay 0.1 as configured, not 0.3 as in the checkpoint" in caplog.text
    assert [record.getMessage()[:8] for record in caplog.records if "rmse" in record.getMessage()] == ["epoch 3:"]
    before = read_checkpoint(origin / "last.ckpt")["callbacks"]["History"]["points"]
    assert [[point.epoch, point.train_loss, point.val_rmse] for point in trained.history.points[:2]] == before
    assert len(trained.history.points) == 3


def test_unchanged_rates_are_not_mentioned(
    experiment: Experiment, config: Configs, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "mlssm.training"):
        train_network(experiment, config("trainer.max_epochs=3"), copy, None, Start(copy / "last.ckpt"))
    assert "as configured" not in caplog.text


def test_the_best_epoch_of_the_origin_stays_the_best(experiment: Experiment, config: Configs, copy: Path) -> None:
    best = read_checkpoint(copy / "best.ckpt")["state_dict"]
    ruin = config("optimiser.learning_rate=100", "trainer.max_epochs=3")
    trained = train_network(experiment, ruin, copy, None, Start(copy / "last.ckpt"))
    assert trained.history.points[-1].val_rmse > trained.history.best
    assert all(torch.equal(weight, best[f"network.{name}"]) for name, weight in trained.network.state_dict().items())


def test_a_warm_start_takes_the_weights_and_nothing_else(
    experiment: Experiment, config: Configs, origin: Path, tmp_path: Path
) -> None:
    state = read_checkpoint(origin / "best.ckpt")["state_dict"]
    weights = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    still = config("optimiser.learning_rate=1e-30", "trainer.max_epochs=1")
    trained = train_network(experiment, still, tmp_path, None, Start(weights=weights))
    assert all(torch.allclose(weights[name], value) for name, value in trained.network.state_dict().items())
    last = read_checkpoint(tmp_path / "last.ckpt")
    assert last["global_step"] == 10
    assert [point.epoch for point in trained.history.points] == [1]


def test_another_architecture_is_named_before_training(
    experiment: Experiment, config: Configs, copy: Path, tmp_path: Path
) -> None:
    other = config("model.hidden=[3]", "model.peepholes=true")
    message = (
        r"another architecture .*missing: network\.cells\.0\.peep.*of another shape: .* \[8.*\] instead of \[12.*\]"
    )
    with pytest.raises(RunError, match=message):
        train_network(experiment, other, copy, None, Start(copy / "last.ckpt"))
    weights = other.model.build(experiment.spec, spread=False).state_dict()
    with pytest.raises(RunError, match=r"warm_start.*unexpected: cells\.0\.peep"):
        train_network(experiment, config(), tmp_path / "new", None, Start(weights=weights))
    assert not (tmp_path / "new").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_a_byte(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        weights = max((archive.read(name) for name in archive.namelist()), key=len)
    content = bytearray(path.read_bytes())
    content[content.index(weights) + len(weights) // 2] ^= 1
    path.write_bytes(content)


def hide_code(path: Path) -> None:
    state = read_checkpoint(path)
    torch.save({**state, "path": Path()}, path)


def forget_random_numbers(path: Path) -> None:
    write_checkpoint({key: value for key, value in read_checkpoint(path).items() if key != KEY}, path)


def add_a_process(path: Path) -> None:
    state = read_checkpoint(path)
    state[KEY]["processes"] *= 2
    write_checkpoint(state, path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "last.ckpt: there is no such checkpoint"),
        (cut, "last.ckpt: the checkpoint is damaged"),
        (change_a_byte, "last.ckpt: the checkpoint is damaged"),
        (hide_code, "last.ckpt: the checkpoint is damaged"),
        (forget_random_numbers, "last.ckpt: not the whole state of a training of this version; use warm_start"),
        (add_a_process, "the checkpoint is of 2 processes, this training has 1; set trainer.devices"),
        (lambda path: (path.parent / "best.ckpt").unlink(), "best.ckpt is missing, which .*last.ckpt counts on"),
    ],
)
def test_a_checkpoint_that_cannot_be_used(
    spoil: Callable[[Path], Any], message: str, experiment: Experiment, config: Configs, copy: Path
) -> None:
    spoil(copy / "last.ckpt")
    with pytest.raises(RunError, match=message) as caught:
        train_network(experiment, config(), copy, None, Start(copy / "last.ckpt"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trainer.max_epochs=1", "trainer.max_epochs=1 is less than the 2 that .*last.ckpt has trained"),
        ("+trainer.max_steps=50", "trainer.max_steps=50 is not kept exactly"),
    ],
)
def test_a_length_that_does_not_fit(
    change: str, message: str, experiment: Experiment, config: Configs, copy: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        train_network(experiment, config(change), copy, None, Start(copy / "last.ckpt"))


@pytest.mark.parametrize(
    ("change", "message"),
    [("optimiser.batch_size=5", "batch_size 4, now it is 5"), ("seed=1", "seed 0, now it is 1")],
)
def test_a_place_within_an_epoch_that_is_no_more(
    change: str, message: str, experiment: Experiment, config: Configs, within: Path
) -> None:
    assert read_checkpoint(within / "last.ckpt")["global_step"] == 15
    with pytest.raises(RunError, match=message):
        train_network(experiment, config(change), within, None, Start(within / "last.ckpt"))


def test_a_watch_is_told_each_epoch(experiment: Experiment, config: Configs, tmp_path: Path) -> None:
    watch = Watcher()
    trained = train_network(experiment, config(), tmp_path, None, watch=watch)
    assert watch.told == [(point.epoch, point.val_rmse) for point in trained.history.points]
    assert len(watch.told) == 2


def test_an_epoch_that_was_not_validated_is_not_reported(
    experiment: Experiment, config: Configs, tmp_path: Path
) -> None:
    watch = Watcher()
    train_network(experiment, config("+trainer.check_val_every_n_epoch=2"), tmp_path, None, watch=watch)
    assert [epoch for epoch, _ in watch.told] == [2]


def test_a_watch_stops_the_training_for_good(experiment: Experiment, config: Configs, tmp_path: Path) -> None:
    with pytest.raises(Pruned) as caught:
        train_network(experiment, config("trainer.max_epochs=5"), tmp_path, None, watch=Watcher(last=1))
    assert caught.value.epoch == 1
    assert read_checkpoint(tmp_path / "last.ckpt")["epoch"] == 1
    watch = Watcher()
    with pytest.raises(Pruned):
        train_network(experiment, config("trainer.max_epochs=5"), tmp_path, None, Start(tmp_path / "last.ckpt"), watch)
    assert watch.told == []
    trained = train_network(experiment, config(), tmp_path, None, Start(tmp_path / "last.ckpt"))
    assert [point.epoch for point in trained.history.points] == [1, 2]
