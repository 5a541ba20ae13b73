from typing import Any

import pytest
import torch
from torch import Tensor

from mlssm.data.spec import FeatureSpec
from mlssm.models.multirate import MultirateConvLSTM, MultirateSettings, averaged

SPEC = FeatureSpec(("precipitation", "temperature"), ("slope",), (1.0, 10.0, 5.0), (1.0, 5.0, 3.0))
BASE: dict[str, Any] = {
    "family": "mlssm.models.multirate.MultirateSettings",
    "ratio": 4,
    "hidden": 5,
    "layers": 1,
    "fused": 6,
    "kernel": 3,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "padding": "replicate",
}


def _network(*, spread: bool = False, **changed: Any) -> MultirateConvLSTM:
    torch.manual_seed(1)
    return MultirateSettings.model_validate(BASE | changed).build(SPEC, spread=spread).double().eval()


def _inputs(steps: int, height: int = 10, width: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    static = torch.randn(2, 1, height, width, generator=generator, dtype=torch.float64)
    return torch.randn(2, steps, 2, height, width, generator=generator, dtype=torch.float64), static


def test_cells_are_means_of_their_own_pixels() -> None:
    values = torch.arange(70.0).reshape(1, 1, 10, 7)
    found = averaged(values, 4)
    assert found.shape == (1, 1, 3, 2)
    assert found[0, 0, 0, 0] == values[0, 0, :4, :4].mean()
    assert found[0, 0, 2, 1] == values[0, 0, 8:, 4:].mean()
    assert averaged(values[:, :0], 4).shape == (1, 0, 3, 2)


def test_weather_of_cells_is_that_of_pixels() -> None:
    network, (dynamic, static) = _network(), _inputs(5)
    cells = averaged(dynamic.flatten(0, 1), 4).reshape(2, 5, 2, 3, 2)
    torch.testing.assert_close(network(dynamic, static).mean, network(cells, static).mean, rtol=0, atol=1e-14)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_carried_state_equals_the_whole_window(layers: int) -> None:
    network, (dynamic, static) = _network(layers=layers), _inputs(9)
    state = None
    for day in range(9):
        state = network.carry(state, dynamic[:, day : day + 1], static)
        found = network.predict(state, static).mean
        torch.testing.assert_close(found, network(dynamic[:, : day + 1], static).mean, rtol=0, atol=1e-14)


def test_a_long_window_forgets_what_lies_before_it() -> None:
    network, (dynamic, static) = _network(), _inputs(90)
    torch.nn.init.constant_(network.recurrence.bias_hh_l0[5:10], -1.0)  # how long it remembers is learnt: here days
    carried = network.predict(network.carry(None, dynamic, static), static).mean
    errors = [float((network(dynamic[:, -lag:], static).mean - carried).abs().max().detach()) for lag in (5, 20, 60)]
    assert errors[0] > 100 * errors[1] > 1e4 * errors[2]
    assert errors[2] < 1e-8


def test_the_state_is_smooth_and_the_terrain_is_not_blurred() -> None:
    network, (dynamic, static) = _network(kernel=1), _inputs(3, 16, 16)
    changed = static.clone()
    changed[..., 8, 8] += 1  # its cell's mean moves a little; the pixel itself a lot
    moved = (network(dynamic, changed).mean - network(dynamic, static).mean).abs()[0, 0]
    assert moved[8, 8] > 5 * moved.flatten().sort().values[-2]


def test_spread() -> None:
    found = _network(spread=True)(*_inputs(3))
    assert found.spread is not None
    assert found.spread.shape == found.mean.shape
    assert (found.spread > 0).all()
