"""Parts side by side are the map of the whole: on a simulated and a real area, and whatever the family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from mlssm.bundle import Bundle
from mlssm.data.moment import Moment
from mlssm.grid import Window
from mlssm.inference import part_maps as module
from mlssm.inference.day_maps import ExtentMeans
from mlssm.inference.extent import map_extent
from mlssm.inference.opened import Opened
from mlssm.inference.part_maps import part_maps
from mlssm.inference.square import PartPlace
from mlssm.inference.surround import Surround, side_by_side
from mlssm.models.prediction import predict

Array = npt.NDArray[np.float32]
TILE, OVERLAP = 16, 4
FAMILIES = {
    "convlstm": ("model=convlstm", "model.hidden=[4]", "model.lag=5"),
    "long window": ("model=convlstm", "model.hidden=[3]", "model.lag=12"),
    "two rates": ("model=multirate_convlstm", "model.hidden=4", "model.fused=4", "model.ratio=4", "model.lag=5"),
    "of torchgeo": ("model=torchgeo_convlstm", "model.hidden=[4]", "model.lag=4"),
    "coarse within": ("model=unet", "model.decoder=[4,4,2]", "model.lag=3"),
}


def _random(network: nn.Module) -> nn.Module:
    """Weights that let a map vary by much: what is tried needs no skill."""
    generator = torch.Generator().manual_seed(1)
    for part in network.modules():
        if not isinstance(part, nn.BatchNorm2d):  # which is to leave a map as varied as it is
            for values in part.parameters(recurse=False):
                nn.init.normal_(values, std=0.25, generator=generator)
    return network.eval()


def _opened(watershed: Any, experiment: Any, overrides: Sequence[str], fitted: Any = None) -> Opened:
    config = watershed.config(*overrides)
    place = {"crs": experiment.cube.grid.crs, "pixel_m": experiment.stack.working.grid.pixel, "pass_is_evening": True}
    bundle = Bundle.of(config, experiment.spec, label_digest="1", cube_digest="2", **place)
    network = _random(config.model.build(experiment.spec, spread=False))
    return Opened("run", bundle, experiment.cube, experiment.stack, network, fitted, None)


def _days(opened: Opened, count: int) -> npt.NDArray[np.datetime64]:
    """The first days in a row from the middle of the images on that can be mapped."""
    for start in opened.cube.local_days[len(opened.cube.local_days) // 2 :]:
        days = start + np.arange(count)
        if all(opened.moment(day) is not None for day in days):
            return days
    raise AssertionError("no days in a row can be mapped")


def _mapped(
    opened: Opened, days: Any, side: int, tile: tuple[int, int], means: Sequence[ExtentMeans] | None = None
) -> Array:
    """The maps of the first extent, put together from parts [date, height, width]."""
    shape = opened.shapes[0]
    surround = Surround.of(opened.bundle.model, opened.bundle.window.steps, *tile)
    whole = np.full((len(days), *shape), np.nan, np.float32)
    for window in side_by_side(Window(0, 0, *shape), side):
        around = surround.needed(window, shape)
        mapper = opened.part(0, around, days, None if means is None else means[0])
        moments = [mapper.moment(day) for day in days]
        assert all(moments)
        for date, found in enumerate(part_maps(mapper, PartPlace(window, around, shape), moments, surround, None)):
            whole[date][window.slices] = found.ssm
    return whole


def _forward(opened: Opened, moment: Moment) -> Array:
    """One pass of the network over the whole extent, with its outermost values around it."""
    reach, (height, width) = opened.bundle.model.reach(opened.bundle.window.steps), opened.shapes[0]
    cell = opened.bundle.model.coarsest_cell
    edge = -(-reach // cell) * cell
    features = opened.part(0, Window(0, 0, height, width), np.array([moment.day])).features
    inputs = features.patch(0, moment, slice(-edge, height + edge), slice(-edge, width + edge))
    given = (torch.from_numpy(values)[None] for values in (inputs.dynamic, inputs.static))
    ssm = predict(opened.network, *given).ssm[0, 0].numpy()
    inner = slice(edge, edge + height), slice(edge, edge + width)
    return np.where(inputs.usable[inner], ssm[inner], np.nan)


def _steps(ssm: Array, axis: int) -> npt.NDArray[np.float64]:
    """Mean absolute difference of neighbouring rows or columns, by the border between them."""
    return np.nanmean(np.abs(np.diff(ssm.astype(float), axis=axis)), axis=(0, 2 - axis + 1))


@pytest.mark.parametrize("name", FAMILIES)
def test_parts_are_the_whole(name: str, watershed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "square_side", lambda _: 7)
    experiment = watershed.experiment(*FAMILIES[name])
    opened = _opened(watershed, experiment, FAMILIES[name])
    days = _days(opened, 3)
    tiled = _mapped(opened, days, 11, (TILE, OVERLAP))
    for day, ssm in zip(days, tiled, strict=True):
        moment = opened.moment(day)
        assert moment is not None
        np.testing.assert_allclose(ssm, _forward(opened, moment), atol=1e-5)
    assert np.nanstd(tiled) > 0.01


def test_a_network_whose_reach_has_no_bound_is_blended_as_in_the_whole(watershed: Any) -> None:
    told = ("model=simvp", "model.lag=3")
    experiment = watershed.experiment(*told)
    opened = _opened(watershed, experiment, told)
    (day,) = days = _days(opened, 1)
    moment = opened.moment(day)
    assert moment is not None
    whole = map_extent(opened.network, experiment.features, 0, moment, TILE, OVERLAP, opened.bundle.model.margin)
    for side in (9, 60):
        np.testing.assert_allclose(_mapped(opened, days, side, (TILE, OVERLAP))[0], whole, atol=1e-6)


@pytest.mark.slow
def test_no_seams_on_a_real_area(santa_barbara: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiled is whole to 1e-5, and steps across the borders of tiles are as those beside them."""
    side = 6
    monkeypatch.setattr(module, "square_side", lambda _: side)
    told = ("model=convlstm", "model.hidden=[6]", "model.lag=10", "retrieval.multilook_m=90")
    experiment = santa_barbara.experiment(*told)
    opened = _opened(santa_barbara, experiment, told)
    days = _days(opened, 4)
    tiled = _mapped(opened, days, 2 * side, (TILE, OVERLAP))
    for day, ssm in zip(days, tiled, strict=True):
        moment = opened.moment(day)
        assert moment is not None
        np.testing.assert_allclose(ssm, _forward(opened, moment), atol=1e-5)
    for axis in (1, 2):
        steps = _steps(tiled, axis)
        borders = np.arange(side - 1, len(steps), side)
        beside = np.setdiff1d(np.arange(len(steps)), borders)
        assert len(borders) > 3
        spread = steps[beside].std() / np.sqrt(len(borders))
        assert abs(steps[borders].mean() - steps[beside].mean()) < 3 * spread
