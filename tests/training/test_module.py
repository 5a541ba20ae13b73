import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from mlssm.config import LossConfig, OptimiserConfig
from mlssm.data.batch import Batch
from mlssm.data.plan import Drawing, SamplingPlan
from mlssm.models.convlstm import ConvLSTM
from mlssm.scores.sums import pixel_sums, scores
from mlssm.training import module as module_file
from mlssm.training.module import SoilMoistureModule

Loaders = Callable[..., DataLoader[Batch]]
Trainers = Callable[..., pl.Trainer]
NAMES = ("r2", "rmse", "mae", "corr", "bias", "r2_cap")


def _whole(loader: DataLoader[Batch]) -> Batch:
    batch: Batch = next(iter(DataLoader(loader.dataset, batch_size=1000)))
    return batch


def _direct(module: SoilMoistureModule, batch: Batch) -> Tensor:
    with torch.no_grad():
        prediction = module.eval()(batch.dynamic, batch.static)
    module.train()
    return pixel_sums(prediction.ssm, *batch[2:5], batch.attainable, batch.date, groups=3, bins=5)


def test_file_stays_below_150_lines() -> None:
    assert len(inspect.getsource(module_file).splitlines()) < 150


def test_a_fit_learns(module: SoilMoistureModule, trainer: Trainers, loaders: Loaders) -> None:
    val = loaders(seed=1)
    before = scores(_direct(module, _whole(val)))
    trainer(max_epochs=6).fit(module, loaders(64, shuffle=True), val)
    after = scores(_direct(module, _whole(val)))
    assert before.r2 < 0.2
    assert after.r2 > 0.5
    assert after.rmse < before.rmse


def test_what_is_logged_is_the_whole_epoch_in_float64(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    data = loaders(20, seed=2, batch_size=7)
    run = trainer()
    run.validate(module, data, verbose=False)
    sums = _direct(module, _whole(data))
    expected: dict[str, float] = {"val/n": scores(sums).n}
    for distribution in ("natural", "balanced"):
        found = scores(sums, distribution)
        expected |= {f"val/{distribution}/{name}": getattr(found, name) for name in NAMES}
    logged = {name: value.item() for name, value in run.logged_metrics.items()}
    # the network's own float32 arithmetic depends on the batch size, so not 1e-12
    assert logged == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert {value.dtype for value in run.logged_metrics.values()} == {torch.float64}


def test_the_sums_start_anew_every_epoch(module: SoilMoistureModule, trainer: Trainers, loaders: Loaders) -> None:
    data = loaders(8)
    run = trainer()
    counts = [run.validate(module, data, verbose=False)[0]["val/n"] for _ in range(2)]
    assert counts == [int(_whole(data).valid.sum())] * 2


def test_the_logged_training_loss_weighs_pixels_not_batches(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    data = loaders(10, batch_size=8)
    module.network.get_submodule("dropout").p = 0.0  # type: ignore[assignment]
    for weight in module.parameters():
        weight.requires_grad_(False)
    next(module.parameters()).requires_grad_(True)
    module.optimiser = module.optimiser.model_copy(update={"learning_rate": 1e-12, "weight_decay": 0.0})
    run = trainer(max_epochs=1, num_sanity_val_steps=0)
    run.fit(module, data, loaders(8))
    whole = _whole(data)
    with torch.no_grad():
        expected = module.loss(module.network, whole)
    assert run.callback_metrics["train/loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_patches_without_labels_leave_the_weights(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    data = loaders(8)
    data.dataset.valid[:] = False  # type: ignore[attr-defined]
    module.optimiser = module.optimiser.model_copy(update={"weight_decay": 0.0})
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    trainer(max_epochs=1).fit(module, data, loaders(8))
    assert all(torch.equal(weight, before[name]) for name, weight in module.state_dict().items())


def test_no_labels_in_validation_is_nan_not_zero(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    data = loaders(4)
    data.dataset.valid[:] = False  # type: ignore[attr-defined]
    logged = dict(trainer().validate(module, data, verbose=False)[0])
    assert logged.pop("val/n") == 0
    assert all(math.isnan(value) for value in logged.values())


def test_the_logged_reweighted_loss_weighs_patches(
    optimiser: OptimiserConfig, trainer: Trainers, loaders: Loaders
) -> None:
    once = Drawing.once(10)
    plan = SamplingPlan(once, once.expected, True, np.ones(10, np.float32))
    still = optimiser.model_copy(update={"learning_rate": 1e-12, "weight_decay": 0.0})
    module = SoilMoistureModule(ConvLSTM(2, 1, (4,), 3, False, 0.0), LossConfig(name="mse"), still, 3, 5, plan)
    run = trainer(max_epochs=1, num_sanity_val_steps=0)
    run.fit(module, loaders(10, batch_size=8), loaders(8))
    with torch.no_grad():
        expected = module.loss(module.network, _whole(loaders(10)))
    assert run.callback_metrics["train/loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("config", [LossConfig(name="nll"), LossConfig(name="balanced_mse", learn_noise=True)])
def test_every_loss_trains(config: LossConfig, optimiser: OptimiserConfig, trainer: Trainers, loaders: Loaders) -> None:
    pl.seed_everything(0, verbose=False)
    once = Drawing.once(64)
    plan = SamplingPlan(once, once.expected, False, np.ones(64, np.float32), np.full(50, 0.02))
    network = ConvLSTM(2, 1, (6,), 3, False, 0.0, spread=config.name == "nll")
    module = SoilMoistureModule(network, config, optimiser, 3, 5, plan)
    val = loaders(seed=1)
    before = scores(_direct(module, _whole(val)))
    trainer(max_epochs=6).fit(module, loaders(64, shuffle=True), val)
    after = scores(_direct(module, _whole(val)))
    assert after.r2 > max(0.4, before.r2 + 0.2)
    if config.learn_noise:
        assert module.loss.balanced.noise.item() != pytest.approx(config.noise, rel=0.01)


def test_weight_decay_spares_the_biases(module: SoilMoistureModule, optimiser: OptimiserConfig) -> None:
    decay = {
        id(parameter): group["weight_decay"]
        for group in module.configure_optimizers().param_groups
        for parameter in group["params"]
    }
    found = {name: decay[id(parameter)] for name, parameter in module.network.named_parameters()}
    assert found == {name: 0.0 if name.endswith("bias") else optimiser.weight_decay for name in found}


def test_weight_decay_spares_the_learnt_noise(optimiser: OptimiserConfig) -> None:
    once = Drawing.once(2)
    plan = SamplingPlan(once, once.expected, False, np.ones(2, np.float32), np.full(50, 0.02))
    config = LossConfig(name="balanced_mse", learn_noise=True)
    module = SoilMoistureModule(ConvLSTM(2, 1, (4,), 3, False, 0.0), config, optimiser, 3, 5, plan)
    of_noise = [
        group["weight_decay"]
        for group in module.configure_optimizers().param_groups
        for parameter in group["params"]
        if parameter is module.loss.balanced.log_noise
    ]
    assert of_noise == [0.0]


def test_of_the_scores_only_the_mean_loss_is_in_a_checkpoint(module: SoilMoistureModule) -> None:
    others = {name for name in module.state_dict() if not name.startswith("network.")}
    assert others == {"mean_loss.total", "mean_loss.count"}


def test_a_training_step_reads_nothing_back_from_the_device(module: SoilMoistureModule, loaders: Loaders) -> None:
    class Reads(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            assert func is not torch.ops.aten._local_scalar_dense.default, "a GPU would be waited for"
            return func(*args, **kwargs or {})

    batch = next(iter(loaders(8)))
    module.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    with Reads():
        module.training_step(batch).backward()
        with pytest.raises(AssertionError, match="waited for"):
            int(batch.valid.sum())


def test_the_training_loss_is_kept_in_mid_epoch_and_starts_anew_with_each(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    class Look(pl.Callback):
        kept: ClassVar[list[float]] = []
        logged: ClassVar[list[Tensor]] = []

        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            self.kept.append(trainer._checkpoint_connector.dump_checkpoint()["state_dict"]["mean_loss.count"].item())

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.logged.append(trainer.callback_metrics["train/loss"])

    data = loaders(16, batch_size=8)
    counts = [int(batch.valid.sum()) for batch in data]
    run = trainer(max_epochs=2, num_sanity_val_steps=0, extra_callbacks=[Look()])
    run.fit(module, data, loaders(8))
    assert Look.kept == [counts[0], sum(counts)] * 2
    assert len({float(value) for value in Look.logged}) == 2
    assert {value.dtype for value in Look.logged} == {torch.float64}
    assert torch.equal(run.callback_metrics["train/loss"], Look.logged[-1])
    assert module.mean_loss.count == 0
