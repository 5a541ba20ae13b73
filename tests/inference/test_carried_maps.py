"""Maps by a carried state: parts are the whole, no other date matters, and the network's own steps say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from mlssm.bundle import Bundle
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError
from mlssm.grid import Window
from mlssm.inference.carried_maps import carried_maps
from mlssm.inference.chains import DAY
from mlssm.inference.day_maps import ExtentMeans
from mlssm.inference.mapper import day_of, window_end
from mlssm.inference.means import ExtentPart, extent_means
from mlssm.inference.opened import Opened, Place, is_carried
from mlssm.inference.prefit import fitted_state
from mlssm.inference.square import PartPlace
from mlssm.inference.surround import Surround, side_by_side
from mlssm.models import gates
from mlssm.models.response import ResponseNetwork
from mlssm.workers import Workers

Array = npt.NDArray[np.float32]
SPEC = FeatureSpec(("precipitation",), ("slope",), (0.0,) * 2, (1.0,) * 2)
FAMILIES = {
    "convlstm": ("model=convlstm", "model.hidden=[4]", "model.lag=4"),
    "two layers": ("model=convlstm", "model.hidden=[3,4]", "model.lag=3"),
    "two rates": ("model=multirate_convlstm", "model.hidden=4", "model.fused=4", "model.ratio=4", "model.lag=4"),
    "response": ("model=response", "model.hidden=[4]", "model.lag=4", "split.test=[2023]", "split.val=[2022]"),
}


def _opened(watershed: Any, overrides: Sequence[str]) -> Opened:
    """A run with weights that let a map vary by much: what is tried needs no skill."""
    experiment, config = watershed.experiment(*overrides), watershed.config(*overrides)
    place = {"crs": experiment.cube.grid.crs, "pixel_m": experiment.stack.working.grid.pixel, "pass_is_evening": False}
    bundle = Bundle.of(config, experiment.spec, label_digest="1", cube_digest="2", **place)
    network = config.model.build(experiment.spec, spread=False)
    generator = torch.Generator().manual_seed(1)
    for values in network.parameters():
        nn.init.normal_(values, std=0.4, generator=generator)
    state = None if experiment.prefit is None else fitted_state(experiment)
    return Opened("run", bundle, experiment.cube, experiment.stack, network.eval(), state, None, carried=True)


@pytest.fixture(scope="module", params=FAMILIES)
def opened(request: pytest.FixtureRequest, watersheds: Any) -> Opened:
    return _opened(watersheds("datamodule.simulation.seasons=4"), FAMILIES[request.param])


def _days(opened: Opened, count: int) -> npt.NDArray[np.datetime64]:
    """Days in a row that can be mapped, and whose chains begin on the calendar's days."""
    lag = opened.bundle.window.lag
    for start in opened.cube.local_days[len(opened.cube.local_days) // 2 :]:
        days = start + np.arange(count)
        on_time = all(int(chain.first.astype(np.int64)) % lag == 0 for chain in opened.chains(days))
        if on_time and all(opened.moment(day) is not None for day in days):
            return days
    raise AssertionError("no days in a row can be mapped")


@dataclass(frozen=True)
class _Opening(Place):
    """A run that is open already."""

    own: Opened | None = None

    def opened(self) -> Opened:
        assert self.own is not None
        return self.own


def _means(opened: Opened, days: npt.NDArray[np.datetime64]) -> list[ExtentMeans]:
    """What the closed form has to know of whole extents."""
    place = _Opening("run", opened.cube.path, opened.cube.path, own=opened)
    parts = [ExtentPart(number, Window(0, 0, *shape)) for number, shape in enumerate(opened.shapes)]
    return extent_means(place, parts, opened.step_days(days), Workers(1))


def _mapped(opened: Opened, days: npt.NDArray[np.datetime64], side: int) -> Array:
    """The maps of the first extent, put together from parts [date, height, width]."""
    shape, chains = opened.shapes[0], opened.chains(days)
    most = max(chain.days for chain in chains)
    surround = Surround.of(opened.bundle.model, most, 16, 4)
    whole, (means, *_) = np.full((len(days), *shape), np.nan, np.float32), _means(opened, days)
    for window in side_by_side(Window(0, 0, *shape), side):
        around = surround.needed(window, shape)
        mapper = opened.part(0, around, opened.step_days(days), means)
        found = carried_maps(mapper, PartPlace(window, around, shape), chains, surround, None)
        for date, (moment, maps) in enumerate(found):
            assert moment.day == days[date]
            whole[date][window.slices] = maps.ssm
    return whole


def test_parts_are_the_whole_and_other_dates_do_not_matter(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "STRIP", 200)
    days = _days(opened, 6)
    whole = _mapped(opened, days, 10**6)
    assert np.nanstd(whole) > 0.01
    np.testing.assert_allclose(_mapped(opened, days, 13), whole, atol=1e-5)
    for number in (0, 3, 5):
        np.testing.assert_allclose(_mapped(opened, days[[number]], 10**6)[0], whole[number], atol=1e-5)
    np.testing.assert_allclose(_mapped(opened, days[[1, 5]], 10**6), whole[[1, 5]], atol=1e-5)


def _stepped(opened: Opened, day: np.datetime64) -> Array:
    """By the network's own parts, over the whole extent and its outermost values around it."""
    (chain,) = opened.chains([day])
    shape, network = opened.shapes[0], opened.network
    ratio, reach = opened.bundle.model.weather_ratio, opened.bundle.model.reach(chain.days)
    edge = -(-reach // ratio) * ratio
    seen = slice(-edge, shape[0] + edge), slice(-edge, shape[1] + edge)
    ends = np.arange(chain.first, chain.ends[-1] + DAY)
    days = np.array([day_of(opened.bundle, end) for end in ends])
    mapper = opened.part(0, Window(0, 0, *shape), days, _means(opened, np.array([day]))[0])
    inputs = [mapper.features.patch(0, mapper.step(end), *seen) for end in ends]
    weather = [torch.from_numpy(each.dynamic) for each in inputs]
    static = [torch.from_numpy(each.static)[None] for each in inputs]
    residual = network.residual if isinstance(network, ResponseNetwork) else network
    with torch.inference_mode():
        if hasattr(residual, "carry"):
            state = None
            for frame, own in zip(weather, static, strict=True):
                state = residual.carry(state, frame[None], own)
            found = residual.predict(state, static[-1]).mean
        else:
            gate: list[Any] = [residual.static_convolution(own) for own in static]
            for cell in residual.cells:
                state, hidden = None, []
                for frame, more in zip(weather, gate, strict=True):
                    state = cell(frame, state, more)
                    hidden.append(state.hidden)
                weather, gate = hidden, [None] * len(hidden)
            found = residual.read(weather[-1]).mean
        if residual is not network:
            found = (network.base(static[-1]) + found).clamp(0, 1)
    inner = slice(edge, edge + shape[0]), slice(edge, edge + shape[1])
    return np.where(inputs[-1].usable[inner], found[0, 0].numpy()[inner], np.nan)


def test_the_networks_own_steps_say_the_same(opened: Opened) -> None:
    days = _days(opened, 5)
    for day, ssm in zip(days, _mapped(opened, days, 17), strict=True):
        np.testing.assert_allclose(ssm, _stepped(opened, day), atol=1e-5)


def test_a_chain_begins_with_the_record_at_the_earliest(opened: Opened) -> None:
    record, lag = opened.cube.weather.days, opened.bundle.window.lag
    day = next(each for each in record[0] + np.arange(60) if opened.moment(each) is not None)
    assert window_end(opened.bundle, day) - opened.first_day(day) >= (lag - 1) * DAY
    (chain,) = opened.chains([day])
    assert chain.first == opened.first_day(day)
    assert chain.days < 2 * lag


NO_STATE = ("model=convlstm", "model.peepholes=true"), ("model=unet",), ("model=convlstm", "model.window=aggregate")


@pytest.mark.parametrize("overrides", [*NO_STATE, FAMILIES["convlstm"], FAMILIES["two rates"]])
def test_a_network_that_carries_no_state_maps_by_windows_and_is_refused_by_name(
    overrides: tuple[str, ...], train_config: Any
) -> None:
    config, able = train_config(*overrides, "datamodule=simulated"), overrides not in NO_STATE
    place = {"crs": "EPSG:32611", "pixel_m": 30.0, "pass_is_evening": True}
    bundle = Bundle.of(config, SPEC, label_digest="1", cube_digest="2", **place)
    network = config.model.build(SPEC, spread=False)
    assert is_carried(None, bundle, network) == (able and overrides != FAMILIES["two rates"])
    assert not is_carried("window", bundle, network)
    if able:
        assert is_carried("carried", bundle, network)
        return
    with pytest.raises(ConfigError, match=r"^state=carried: a .* goes on from no state .*; set state=window$"):
        is_carried("carried", bundle, network)
