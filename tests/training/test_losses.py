from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlssm.config import LossConfig
from mlssm.data.batch import Batch
from mlssm.data.plan import Drawing, SamplingPlan
from mlssm.models.convlstm import ConvLSTM
from mlssm.models.prediction import Prediction
from mlssm.training.losses import TrainingLoss

CONFIGS = [
    LossConfig(name="huber", delta=0.2),
    LossConfig(name="mse"),
    LossConfig(name="balanced_mse", noise=0.15),
    LossConfig(name="balanced_mse", noise=0.15, learn_noise=True),
    LossConfig(name="nll"),
]
EACH = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.name} {config.learn_noise}")
LABELS = np.random.default_rng(0).dirichlet(np.ones(20))


def plan(reweighted: bool) -> SamplingPlan:
    once = Drawing.once(4)
    return SamplingPlan(once, once.expected, reweighted, np.ones(4, np.float32), LABELS)


@dataclass
class Given:
    """Stands for a network: what it says is given."""

    ssm: Tensor
    variance: Tensor

    def __call__(self, dynamic: Tensor, static: Tensor) -> Prediction:
        return Prediction(self.ssm, self.variance.sqrt())


def case(dtype: torch.dtype = torch.float64) -> tuple[Given, Batch]:
    generator = torch.Generator().manual_seed(0)
    ssm, variance, target, draw, error = torch.rand(5, 4, 1, 6, 5, dtype=dtype, generator=generator)
    valid = draw > 0.4
    target, error = (torch.where(valid, values, torch.nan) for values in (target, error / 5))
    nothing = torch.empty(4, 0, 6, 5)
    batch = Batch(nothing, nothing, target, valid, error, torch.zeros(4), torch.tensor([0.1, 2, 0.5, 1]), target, error)
    return Given(ssm.requires_grad_(), (0.01 + variance).requires_grad_()), batch


def expected(network: Given, batch: Batch, config: LossConfig, rows: slice = slice(None)) -> Tensor:
    """The mean over labelled pixels by the library, or written anew."""
    valid = batch.valid[rows]
    prediction, target = network.ssm[rows][valid], batch.target[rows][valid]
    if config.name == "mse":
        return functional.mse_loss(prediction, target)
    if config.name == "huber":
        return functional.huber_loss(prediction, target, delta=config.delta)
    if config.name == "nll":
        noise = batch.standard_error[rows][valid] ** 2
        return functional.gaussian_nll_loss(prediction, target, network.variance[rows][valid] + noise)
    middles, shares = (torch.arange(20) + 0.5) / 20, torch.tensor(LABELS, dtype=prediction.dtype)
    kernels = torch.exp(-((prediction[:, None] - middles) ** 2) / (2 * config.noise**2))
    return functional.mse_loss(prediction, target) + 2 * config.noise**2 * (kernels @ shares).log().mean()


@EACH
def test_value_and_gradient_equal_those_of_the_selected_pixels(config: LossConfig) -> None:
    network, batch = case()
    loss = TrainingLoss(config, plan(reweighted=False))(network, batch)
    wanted = expected(network, batch, config)
    torch.testing.assert_close(loss, wanted, rtol=2e-6, atol=1e-8)
    gradients = [torch.autograd.grad(value, network.ssm)[0] for value in (loss, wanted)]
    torch.testing.assert_close(*gradients, rtol=2e-6, atol=1e-8)
    assert (gradients[0][~batch.valid] == 0).all()


@EACH
def test_reweighted_it_is_the_mean_over_patches_of_weight_times_sum(config: LossConfig) -> None:
    network, batch = case()
    loss = TrainingLoss(config, plan(reweighted=True))(network, batch)
    patches = [slice(i, i + 1) for i in range(4)]
    sums = [expected(network, batch, config, rows) * batch.valid[rows].sum() for rows in patches]
    wanted = sum(weight * total for weight, total in zip([0.1, 2, 0.5, 1], sums, strict=True)) / 4
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-7)


def test_both_branches_of_huber_by_hand() -> None:
    network, batch = case()
    network.ssm, two = torch.tensor([0.6, 0.9]).reshape(1, 1, 1, 2), torch.tensor([0.5, 0.4]).reshape(1, 1, 1, 2)
    batch = batch._replace(target=two, valid=torch.ones(1, 1, 1, 2, dtype=torch.bool))
    # 0.1 within delta 0.2: 0.1^2 / 2; 0.5 beyond it: 0.2 (0.5 - 0.1)
    assert TrainingLoss(CONFIGS[0])(network, batch).item() == pytest.approx(0.0425)


@EACH
@pytest.mark.parametrize("reweighted", [False, True])
@pytest.mark.parametrize("rubbish", [torch.nan, torch.inf, 7.0])
def test_what_lies_under_the_mask_changes_nothing(config: LossConfig, reweighted: bool, rubbish: float) -> None:
    network, batch = case()
    other = batch._replace(
        target=torch.where(batch.valid, batch.target, rubbish),
        standard_error=torch.where(batch.valid, batch.standard_error, rubbish),
    )
    loss = TrainingLoss(config, plan(reweighted))
    values = [loss(network, each) for each in (batch, other)]
    assert torch.equal(*values)
    assert torch.isfinite(values[1])
    (gradient,) = torch.autograd.grad(values[1], network.ssm)
    assert torch.isfinite(gradient).all()


@EACH
@pytest.mark.parametrize("reweighted", [False, True])
def test_no_valid_pixel_gives_zero_and_a_gradient_of_zero(config: LossConfig, reweighted: bool) -> None:
    network, batch = case()
    batch = batch._replace(target=batch.target * torch.nan, valid=torch.zeros_like(batch.valid))
    module = TrainingLoss(config, plan(reweighted))
    loss = module(network, batch)
    gradients = torch.autograd.grad(loss, [network.ssm, *module.parameters()])
    assert loss.item() == 0
    assert all((gradient == 0).all() for gradient in gradients)


@EACH
@pytest.mark.parametrize("reweighted", [False, True])
def test_sum_and_count_of_parts_are_those_of_the_whole(config: LossConfig, reweighted: bool) -> None:
    network, batch = case()
    loss = TrainingLoss(config, plan(reweighted))
    parts = []
    for rows in (slice(0, 1), slice(1, 4)):
        part = Given(network.ssm[rows], network.variance[rows])
        parts.append(loss.of_batch(part, Batch(*(values[rows] for values in batch))))
    whole = loss.of_batch(network, batch)
    torch.testing.assert_close(sum(part.total for part in parts), whole.total)
    assert sum(int(part.size) for part in parts) == whole.size == (4 if reweighted else batch.valid.sum())
    assert torch.equal(whole.mean(), loss(network, batch))


@EACH
def test_half_precision_predictions_are_compared_in_full_precision(config: LossConfig) -> None:
    network, batch = case(torch.float32)
    half = Given(network.ssm.detach().bfloat16(), network.variance.detach().bfloat16())
    loss = TrainingLoss(config, plan(reweighted=False))(half, batch)
    assert loss.dtype == torch.float32
    rounded = Given(half.ssm.float(), half.variance.float())
    torch.testing.assert_close(loss, expected(rounded, batch, config).float())


def test_nll_reaches_both_heads_of_the_network() -> None:
    torch.manual_seed(0)
    network = ConvLSTM(2, 1, (4,), 3, False, 0.0, spread=True)
    _, batch = case(torch.float32)
    inputs = {"dynamic": torch.randn(4, 3, 2, 6, 5), "static": torch.randn(4, 1, 6, 5)}
    TrainingLoss(LossConfig(name="nll"))(network, batch._replace(**inputs)).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())
    assert isinstance(network.variance_head, nn.Conv2d)
    assert network.variance_head.weight.grad.abs().sum() > 0


def test_balanced_mse_wants_the_labels() -> None:
    with pytest.raises(ValueError, match="balanced_mse needs a sampling plan with the labels' distribution"):
        TrainingLoss(LossConfig(name="balanced_mse"))


@pytest.mark.parametrize("name", ["huber", "mse"])
def test_labels_weigh_as_much_as_they_are_reliable(name: Literal["huber", "mse"]) -> None:
    network, batch = case()
    found = TrainingLoss(LossConfig(name=name, weigh_labels=True))(network, batch)
    valid, weight = batch.valid, batch.reliability[batch.valid]
    pixels = TrainingLoss(LossConfig(name=name)).pixels(network, batch)[valid]
    torch.testing.assert_close(found, (weight * pixels).sum() / weight.sum())
    found.backward()
    assert network.ssm.grad is not None
    assert network.ssm.grad.isfinite().all()
    with pytest.raises(ValueError, match=r"loss\.weigh_labels=true goes with any loss but nll"):
        LossConfig(name="nll", weigh_labels=True)
