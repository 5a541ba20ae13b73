import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mlssm.config import LossConfig
from mlssm.training.losses import masked_loss

HUBER = LossConfig(name="huber", delta=0.2)
MSE = LossConfig(name="mse")
BOTH = pytest.mark.parametrize("config", [HUBER, MSE], ids=lambda config: config.name)


def _case() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target, draw = torch.rand(3, 4, 1, 6, 5, dtype=torch.float64, generator=generator)
    valid = draw > 0.4
    return prediction.requires_grad_(), torch.where(valid, target, torch.nan), valid


def _expected(prediction: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    if config.name == "mse":
        return functional.mse_loss(prediction, target)
    return functional.huber_loss(prediction, target, delta=config.delta)


@BOTH
def test_value_and_gradient_equal_those_of_the_selected_pixels(config: LossConfig) -> None:
    prediction, target, valid = _case()
    loss = masked_loss(prediction, target, valid, config)
    selected = _expected(prediction[valid], target[valid], config)
    torch.testing.assert_close(loss, selected, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(value, prediction)[0] for value in (loss, selected)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=0)
    assert (gradients[0][~valid] == 0).all()


def test_both_branches_of_huber_by_hand() -> None:
    prediction, target = torch.tensor([0.6, 0.9]), torch.tensor([0.5, 0.4])
    # 0.1 within delta 0.2: 0.1^2 / 2; 0.5 beyond it: 0.2 (0.5 - 0.1)
    assert masked_loss(prediction, target, torch.ones(2, dtype=torch.bool), HUBER).item() == pytest.approx(0.0425)


@BOTH
@pytest.mark.parametrize("rubbish", [torch.nan, torch.inf, 7.0])
def test_what_lies_under_the_mask_changes_nothing(config: LossConfig, rubbish: float) -> None:
    prediction, target, valid = _case()
    other = torch.where(valid, target, rubbish)
    assert torch.equal(masked_loss(prediction, target, valid, config), masked_loss(prediction, other, valid, config))


@BOTH
def test_no_valid_pixel_gives_zero_and_a_gradient_of_zero(config: LossConfig) -> None:
    prediction, target, valid = _case()
    loss = masked_loss(prediction, target * torch.nan, torch.zeros_like(valid), config)
    (gradient,) = torch.autograd.grad(loss, prediction)
    assert loss.item() == 0
    assert (gradient == 0).all()


@BOTH
def test_half_precision_predictions_are_compared_in_full_precision(config: LossConfig) -> None:
    prediction, target, valid = _case()
    half = prediction.detach().bfloat16()
    loss = masked_loss(half, target.float(), valid, config)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, _expected(half.float()[valid], target.float()[valid], config))
