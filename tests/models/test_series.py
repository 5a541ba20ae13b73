"""What days and dates share: the same maps as `forward` makes of each window, in its interior."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mlssm.data.spec import FeatureSpec
from mlssm.models.series import series

NAMES = ("precipitation", "temperature", "wind"), ("slope", "base", "ndvi")
SPEC = FeatureSpec(*NAMES, (0.0,) * 6, (1.0,) * 6)
CHANGING, LAG, DATES, SIZE = [1, 2], 4, 3, 40

FAMILIES = {
    "one layer": ("model=convlstm", "model.hidden=[5]"),
    "two layers": ("model=convlstm", "model.hidden=[5,3]"),
    "zeros beyond the edge": ("model=convlstm", "model.hidden=[5]", "model.padding=zeros"),
    "peepholes": ("model=convlstm", "model.hidden=[5]", "model.peepholes=true"),
    "kernel of 5": ("model=convlstm", "model.hidden=[3]", "model.kernel=5"),
    "gated recurrent unit": ("model=convgru", "model.hidden=4"),
    "pixels": ("model=lstm", "model.hidden=4"),
    "reservoirs": ("model=reservoir",),
    "response": ("model=response", "model.hidden=[4]"),
    "response alone": ("model=response", "response.residual=none"),
    "multirate": ("model=multirate_convlstm", "model.hidden=4", "model.ratio=4"),
    "multirate of two layers": ("model=multirate_convlstm", "model.hidden=4", "model.ratio=4", "model.layers=2"),
    "response of two rates": ("model=response", "response.residual=multirate_convlstm", "model.hidden=[4]"),
}


def _built(train_config: Any, overrides: tuple[str, ...], spread: bool) -> tuple[Any, nn.Module]:
    torch.manual_seed(0)
    settings = train_config(*overrides, f"model.lag={LAG}", "datamodule=simulated").model
    network = settings.build(SPEC, spread=spread and settings.states_spread)
    for values in network.parameters():  # a head that starts at zero would hide the rest
        nn.init.normal_(values, std=0.3)
    return settings, network.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_windows_that_share_days_have_the_maps_that_each_has_alone(name: str, train_config: Any) -> None:
    settings, network = _built(train_config, FAMILIES[name], spread=True)
    cells = -(-SIZE // settings.weather_ratio)
    weather = torch.randn(LAG + DATES - 1, 3, cells, cells)
    static = torch.randn(3, SIZE, SIZE).repeat(DATES, 1, 1, 1)
    static[:, CHANGING] = torch.randn(DATES, 2, SIZE, SIZE)
    reach = settings.reach(LAG)
    with torch.inference_mode():
        shared = series(network, static[0], CHANGING)
        days = [shared.day(frame) for frame in weather]
        for date in range(DATES):
            found = shared.map(days[date : date + LAG], static[date])
            alone = network(weather[None, date : date + LAG], static[None, date])
            for own, whole in zip(found, alone, strict=True):
                assert (own is None) == (whole is None)
                if own is not None:
                    lost = (SIZE - own.shape[-1]) // 2
                    inner = slice(reach, SIZE - reach)
                    here = slice(reach - lost, SIZE - reach - lost)
                    torch.testing.assert_close(own[..., here, here], whole[..., inner, inner], atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "response alone"])
def test_nothing_beyond_the_reach_is_seen_and_something_at_it(name: str, train_config: Any) -> None:
    settings, network = _built(train_config, FAMILIES[name], spread=False)
    reach, middle = settings.reach(LAG), SIZE // 2
    cells = -(-SIZE // settings.weather_ratio)
    weather, static = torch.randn(1, LAG, 3, cells, cells), torch.randn(1, 3, SIZE, SIZE)
    near = slice(middle - reach, middle + reach + 1)
    changed = static.clone()
    changed[..., : middle - reach, :] += 1
    changed[..., middle + reach + 1 :, :] += 1
    coarse = weather.clone()
    coarse[..., : (middle - reach) // settings.weather_ratio, :] += 1
    with torch.inference_mode():
        before, after = network(weather, static).mean, network(coarse, changed).mean
        torch.testing.assert_close(after[0, 0, middle, middle], before[0, 0, middle, middle], atol=1e-7, rtol=0)
        static[..., near, near] += 1
        assert network(weather, static).mean[0, 0, middle, middle] != before[0, 0, middle, middle]


def test_a_reach_that_has_no_bound_is_not_stated(train_config: Any) -> None:
    assert train_config("model=simvp", "model.lag=3").model.reach(3) is None
