import dataclasses

import pytest
import torch

from mlssm.config.models import typed_settings
from mlssm.data.spec import FeatureSpec

SPEC = FeatureSpec(("precipitation",), ("slope", "base", "mean_ssm"), (0.0, 3.0, 0.4, 0.5), (1.0, 2.0, 0.2, 0.1))
VALUES = {
    "family": "mlssm.models.response.ResponseSettings",
    "hidden": [4],
    "kernel": 3,
    "peepholes": False,
    "dropout": 0.0,
    "input_dropout": 0.0,
}


def inputs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    base = torch.rand(2, 5, 6, generator=generator)
    static = torch.randn(2, 3, 5, 6, generator=generator)
    static[:, 1] = (base - 0.4) / 0.2
    return torch.randn(2, 3, 1, 5, 6, generator=generator), static, base


@pytest.mark.parametrize("residual", ["convlstm", "multirate_convlstm", "none"])
@pytest.mark.parametrize("spread", [False, True])
def test_untrained_it_is_its_base(residual: str, spread: bool) -> None:
    torch.manual_seed(0)
    network = typed_settings(VALUES | {"residual": residual}).build(SPEC, spread=spread)
    dynamic, static, base = inputs()
    found = network(dynamic, static)
    torch.testing.assert_close(found.mean[:, 0], base)
    assert (found.spread is not None) == (spread and residual != "none")


@pytest.mark.parametrize("residual", ["convlstm", "multirate_convlstm"])
def test_a_step_moves_the_residual_and_no_head_is_left_without_gradient(residual: str) -> None:
    torch.manual_seed(0)
    network = typed_settings(VALUES | {"residual": residual}).build(SPEC, spread=False)
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    dynamic, static, base = inputs()
    for _ in range(2):  # behind a head of zeros there is no gradient in the first step
        optimiser.zero_grad()
        ((network(dynamic, static).mean[:, 0] - base - 0.3) ** 2).mean().backward()
        optimiser.step()
    assert all(weights.grad is not None and bool((weights.grad != 0).any()) for weights in network.parameters())
    assert not torch.allclose(network(dynamic, static).mean[:, 0], base)


def test_without_a_residual_there_is_nothing_to_train() -> None:
    network = typed_settings(VALUES | {"residual": "none"}).build(SPEC, spread=False)
    assert not list(network.parameters())
    assert not network.state_dict()


def test_the_base_is_found_by_its_name() -> None:
    moved = dataclasses.replace(SPEC, static=("base", "slope", "mean_ssm"), means=(0.0, 0.4, 3.0, 0.5))
    moved = dataclasses.replace(moved, stds=(1.0, 0.2, 2.0, 0.1))
    network = typed_settings(VALUES | {"residual": "none"}).build(moved, spread=False)
    dynamic, static, base = inputs()
    torch.testing.assert_close(network(dynamic, static[:, [1, 0, 2]]).mean[:, 0], base)


def test_weights_of_another_run_do_not_bring_its_scaling_of_the_base() -> None:
    torch.manual_seed(0)
    settings = typed_settings(VALUES | {"residual": "convlstm"})
    other = dataclasses.replace(SPEC, means=(0.0, 3.0, 0.9, 0.5), stds=(1.0, 2.0, 0.5, 0.1))
    network = settings.build(SPEC, spread=False)
    network.load_state_dict(settings.build(other, spread=False).state_dict())
    dynamic, static, base = inputs()
    torch.testing.assert_close(network(dynamic, static).mean[:, 0], base)
