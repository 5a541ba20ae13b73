"""A state that is carried: after each day the map that the network's own steps give, in its interior."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mlssm.data.spec import FeatureSpec
from mlssm.models import gates
from mlssm.models.carried import carrier, carries
from mlssm.models.convlstm import ConvLSTM
from mlssm.models.prediction import Prediction
from mlssm.models.response import ResponseNetwork

NAMES = ("precipitation", "temperature", "wind"), ("slope", "base", "ndvi")
SPEC = FeatureSpec(*NAMES, (0.0,) * 6, (1.0,) * 6)
CHANGING, DAYS, SIZE = [1, 2], 6, 44

FAMILIES = {
    "one layer": ("model=convlstm", "model.hidden=[5]"),
    "three layers": ("model=convlstm", "model.hidden=[5,3,4]"),
    "kernel of 5": ("model=convlstm", "model.hidden=[3]", "model.kernel=5"),
    "response": ("model=response", "model.hidden=[4,3]"),
    "multirate": ("model=multirate_convlstm", "model.hidden=4", "model.ratio=4"),
    "response of two rates": ("model=response", "response.residual=multirate_convlstm", "model.hidden=[4]"),
}


def _built(train_config: Any, overrides: tuple[str, ...]) -> tuple[Any, nn.Module]:
    torch.manual_seed(0)
    settings = train_config(*overrides, "datamodule=simulated").model
    network = settings.build(SPEC, spread=settings.states_spread)
    for values in network.parameters():  # a head that starts at zero would hide the rest
        nn.init.normal_(values, std=0.3)
    return settings, network.eval()


def _inputs(settings: Any) -> tuple[Tensor, Tensor]:
    cells = -(-SIZE // settings.weather_ratio)
    static = torch.randn(3, SIZE, SIZE).repeat(DAYS, 1, 1, 1)
    static[:, CHANGING] = torch.randn(DAYS, 2, SIZE, SIZE)
    return torch.randn(DAYS, 3, cells, cells), static


def _step_by_step(network: nn.Module, weather: Tensor, static: Tensor) -> Prediction:
    """By the network's own parts: each day's static features at its own step."""
    if isinstance(network, ResponseNetwork):
        assert network.residual is not None
        found = _step_by_step(network.residual, weather, static)
        return Prediction(network.base(static[-1:]) + found.mean, found.spread)
    if not isinstance(network, ConvLSTM):
        state = None
        for day, own in zip(weather, static, strict=True):
            state = network.carry(state, day[None, None], own[None])
        return network.predict(state, static[-1:])
    assert network.static_convolution is not None
    inputs, of_static = list(weather[:, None]), [network.static_convolution(own[None]) for own in static]
    for cell in network.cells:
        state, hidden = None, []
        for day, more in zip(inputs, of_static, strict=True):
            state = cell(day, state, more)
            hidden.append(state.hidden)
        inputs, of_static = hidden, [None] * len(hidden)
    return network.read(inputs[-1])


def _check(found: Prediction, expected: Prediction, reach: int) -> None:
    for own, whole in zip(found, expected, strict=True):
        assert own is not None
        lost = (SIZE - own.shape[-1]) // 2
        assert lost <= reach
        inner, here = slice(reach, SIZE - reach), slice(reach - lost, SIZE - reach - lost)
        torch.testing.assert_close(own[..., here, here], whole[..., inner, inner], atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_each_day_of_two_chains_has_the_map_of_the_networks_own_steps(
    name: str, train_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "STRIP", 5 * SIZE)  # several strips, the last of them cut
    settings, network = _built(train_config, FAMILIES[name])
    weather, static = _inputs(settings)
    chains, states, tried = {0: 4, 2: DAYS - 2}, {}, 0  # days of each, by the first
    with torch.inference_mode():
        carried = carrier(network, static[0], CHANGING, DAYS)
        for day in range(DAYS):
            states |= {first: carried.begin(days) for first, days in chains.items() if first == day}
            alive = [first for first, days in chains.items() if first <= day < first + days]
            carried.advance(weather[day], static[day], [states[first] for first in alive])
            for first in alive:
                window = slice(first, day + 1)
                expected = _step_by_step(network, weather[window], static[window])
                _check(carried.map(states[first], static[day]), expected, settings.reach(DAYS))
                tried += 1
    assert tried == 8


@pytest.mark.parametrize("name", FAMILIES)
def test_with_features_that_stay_it_is_the_map_of_a_window_of_all_days(name: str, train_config: Any) -> None:
    settings, network = _built(train_config, FAMILIES[name])
    weather, static = _inputs(settings)
    with torch.inference_mode():
        carried = carrier(network, static[0], CHANGING, DAYS)
        state = carried.begin(DAYS)
        for frame in weather:
            carried.advance(frame, static[0], [state])
        _check(carried.map(state, static[0]), network(weather[None], static[:1]), settings.reach(DAYS))


def test_networks_of_which_nothing_is_known_are_refused(train_config: Any) -> None:
    for overrides in (("model=simvp", "model.lag=3"), ("model=convlstm", "model.peepholes=true"), ("model=lstm",)):
        _, network = _built(train_config, overrides)
        assert not carries(network)
        with pytest.raises(ValueError, match="does not carry a state"):
            carrier(network, torch.zeros(3, 8, 8), [], 3)
    _, alone = _built(train_config, ("model=response", "response.residual=none"))
    assert not carries(alone)
