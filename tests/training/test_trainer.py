import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.accelerators.mps import MPSAccelerator as FabricMPSAccelerator
from pytorch_lightning.accelerators import CPUAccelerator, MPSAccelerator
from pytorch_lightning.callbacks import Callback, RichProgressBar
from torch.utils.data import DataLoader

from mlssm.config import OptimiserConfig
from mlssm.data.batch import Batch
from mlssm.errors import ConfigError
from mlssm.training.module import SoilMoistureModule
from mlssm.training.quiet import silence
from mlssm.training.trainer import EpochLine, build_trainer

Loaders = Callable[..., DataLoader[Batch]]
Trainers = Callable[..., pl.Trainer]


class Scripted(SoilMoistureModule):
    """Validates with the RMSE that a test wants, while the other scores move the other way."""

    rmse: tuple[float, ...] = ()

    def on_validation_epoch_end(self) -> None:
        value = self.rmse[self.current_epoch]
        others = ("val/natural/r2", "val/balanced/rmse", "val/balanced/r2")
        self.log_dict({"val/natural/rmse": value} | dict.fromkeys(others, 1 - value))


def _load(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "checkpoints" / name, weights_only=True)
    return found


def _names(trainer: pl.Trainer) -> set[str]:
    return {type(callback).__name__ for callback in trainer.callbacks}  # type: ignore[attr-defined]


def test_the_same_seed_gives_the_same_weights(module: SoilMoistureModule, trainer: Trainers, loaders: Loaders) -> None:
    start = {name: weight.clone() for name, weight in module.state_dict().items()}

    def weights(seed: int) -> torch.Tensor:
        module.load_state_dict(start)
        pl.seed_everything(seed, workers=True, verbose=False)
        trainer().fit(module, loaders(shuffle=True), loaders(8, seed=1))
        return torch.cat([weight.detach().flatten() for weight in module.network.parameters()])

    first, second, other = weights(3), weights(3), weights(4)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_lowest_rmse_is_kept_as_best_and_patience_ends_the_run(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders, tmp_path: Path
) -> None:
    module.__class__ = Scripted
    module.rmse = (0.3, 0.2, 0.25, 0.22, 0.1)  # type: ignore[assignment]
    run = trainer(max_epochs=5, num_sanity_val_steps=0)
    run.fit(module, loaders(8), loaders(8))
    assert run.current_epoch == 4, "patience 2 ends after two epochs without a lower RMSE"
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert _load(tmp_path, "best.ckpt")["global_step"] == 2
    assert _load(tmp_path, "last.ckpt")["global_step"] == 4


def test_checkpoints_restore_the_network(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders, tmp_path: Path
) -> None:
    trainer().fit(module, loaders(), loaders(8, seed=1))
    kept = _load(tmp_path, "last.ckpt")["state_dict"]
    assert kept.keys() == module.state_dict().keys()
    assert all(torch.equal(weight, kept[name]) for name, weight in module.state_dict().items())


def test_a_run_resumes_from_its_last_checkpoint(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders, tmp_path: Path
) -> None:
    trainer(max_epochs=2).fit(module, loaders(), loaders(8, seed=1))
    resumed = trainer(max_epochs=3)
    resumed.fit(module, loaders(), loaders(8), ckpt_path=tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert resumed.global_step == 3 * 4
    assert _load(tmp_path, "last.ckpt")["global_step"] == 3 * 4


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx512_bf16", False), reason="this CPU has no bfloat16")
def test_a_fit_in_mixed_precision(module: SoilMoistureModule, trainer: Trainers, loaders: Loaders) -> None:
    run = trainer(precision="bf16-mixed", max_epochs=1)
    run.fit(module, loaders(8), loaders(8))
    assert run.callback_metrics["val/natural/rmse"].dtype == torch.float64
    assert run.callback_metrics["val/natural/rmse"].isfinite()


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_bfloat16_is_refused_where_the_cpu_lacks_it(
    precision: str, accelerator: str, trainer: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert trainer(precision=precision, accelerator=accelerator).precision.startswith("bf16")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"neon": True})
    with pytest.raises(ConfigError, match=r"trainer.precision=bf16.*set trainer.precision=32-true"):
        trainer(precision=precision, accelerator=accelerator)


def test_mps_is_refused_and_auto_passes_it_by(
    trainer: Trainers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for owner in (MPSAccelerator, FabricMPSAccelerator):
        monkeypatch.setattr(owner, "is_available", staticmethod(lambda: True))
    with pytest.raises(ConfigError, match="no float64"):
        trainer(accelerator="mps")
    with caplog.at_level(logging.INFO, "mlssm"), pytest.warns(UserWarning, match="GPU available but not used"):
        assert isinstance(trainer(accelerator="auto").accelerator, CPUAccelerator)
    assert "taking the CPU" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_epoch": 3}, "unknown configuration key 'trainer.max_epoch'; did you mean 'max_epochs'?"),
        ({"zzz": 3}, "unknown configuration key 'trainer.zzz'; allowed are the arguments of pytorch_lightning.Trainer"),
        ({"callbacks": []}, "trainer.callbacks is set by the program: remove it"),
        ({"logger": True}, "trainer.logger is set by the program: remove it"),
        ({"use_distributed_sampler": True}, "trainer.use_distributed_sampler is set by the program: remove it"),
        ({"accelerator": "abacus"}, "trainer: .*abacus"),
        ({"precision": "17"}, "trainer: .*17"),
        ({"strategy": "by_hand"}, "trainer: .*by_hand"),
        ({"max_epochs": -2}, "trainer: .*-2"),
        ({"enable_checkpointing": False}, "trainer.enable_checkpointing is set by the program: remove it"),
        ({"overfit_batches": 1}, r"set \+trainer.limit_train_batches=N"),
        ({"barebones": True}, "trainer.barebones is set by the program"),
        ({"val_check_interval": "00:00:00:01"}, "validation by the clock cannot be repeated"),
        ({"max_steps": 0}, "trainer.max_steps=0 leaves no epoch"),
        ({"fast_dev_run": True}, "trainer.fast_dev_run keeps no model"),
        ({"max_epochs": 0}, "trainer.max_epochs=0 leaves no epoch"),
        ({"limit_train_batches": 0}, "trainer.limit_train_batches=0 leaves no epoch"),
        ({"limit_val_batches": 0}, "trainer.limit_val_batches=0 leaves no epoch"),
        ({"check_val_every_n_epoch": 3}, "check_val_every_n_epoch=3 is more than trainer.max_epochs=2"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], message: str, trainer: Trainers) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        trainer(**arguments)
    assert "\n" not in str(caught.value)


def test_devices_and_strategy_are_passed_on(trainer: Trainers) -> None:
    run = trainer(devices=2, strategy="ddp_spawn")
    assert run.num_devices == 2
    assert "DDP" in type(run.strategy).__name__


def test_no_logger_writes_nothing(optimiser: OptimiserConfig, tmp_path: Path) -> None:
    assert build_trainer({"accelerator": "cpu"}, optimiser, tmp_path, None).loggers == []


def test_extra_callbacks_are_added(trainer: Trainers) -> None:
    extra = Callback()
    assert extra in trainer(extra_callbacks=(extra,)).callbacks  # type: ignore[attr-defined]


def test_a_terminal_gets_a_progress_bar_and_a_file_gets_lines(
    trainer: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert {"EpochLine"} == _names(trainer()) & {"EpochLine", "EpochBar", "TQDMProgressBar"}
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert {"EpochBar"} == _names(trainer()) & {"EpochLine", "EpochBar", "TQDMProgressBar"}
    assert isinstance(trainer().progress_bar_callback, RichProgressBar)
    assert "EpochLine" in _names(trainer(enable_progress_bar=False))


def test_the_model_summary_is_shown_on_demand_only(
    trainer: Trainers, optimiser: OptimiserConfig, tmp_path: Path
) -> None:
    def summaries(**arguments: Any) -> set[str]:
        run = build_trainer({"accelerator": "cpu", **arguments}, optimiser, tmp_path, None)
        return {name for name in _names(run) if name.endswith("ModelSummary")}

    assert summaries() == set()
    assert len(summaries(enable_model_summary=True)) == 1


def test_one_line_an_epoch(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "mlssm.training.trainer"):
        run = trainer()
        run.fit(module, loaders(8), loaders(8))
    lines = [record.getMessage() for record in caplog.records if record.name == "mlssm.training.trainer"]
    assert [line.split(":")[0] for line in lines] == ["epoch 1", "epoch 2"]
    names = ("train/loss", "val/natural/rmse", "val/natural/r2", "val/natural/r2_cap")
    values = ", ".join(f"{name} {run.callback_metrics[name]:.4f}" for name in names)
    assert lines[-1] == f"epoch 2: {values}"


def test_a_line_says_what_was_not_logged(trainer: Trainers, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mlssm.training.trainer"):
        EpochLine().on_train_epoch_end(trainer(), pl.LightningModule())
    assert "val/natural/rmse -" in caplog.text


def test_only_known_noise_is_silenced(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.INFO):
        warnings.simplefilter("always")
        silence()
        for message in ("The 'x' does not have many workers which may be a bottleneck. More", "the loss is NaN"):
            warnings.warn(message, stacklevel=1)
        lightning = logging.getLogger("pytorch_lightning.utilities.rank_zero")
        for message in ("GPU available: False, used: False", "GPU available: True (cuda), used: True", "💡 Tip: buy"):
            lightning.info(message)
    assert [str(warning.message) for warning in caught] == ["the loss is NaN"]
    assert [record.getMessage() for record in caplog.records] == ["GPU available: True (cuda), used: True"]
