"""What is predicted around single pixels is what the map of the whole extent has there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mlssm.bundle import Bundle
from mlssm.bundle.nested import pack, unpack
from mlssm.data.assemble import Experiment
from mlssm.data.prefit import FORECAST
from mlssm.inference import around
from mlssm.inference.around import Pixel, pixel_at, retrieved_at
from mlssm.inference.extent import map_whole
from mlssm.inference.opened import Opened
from mlssm.inference.pixels import pixel_series
from mlssm.inference.prefit import fitted_state
from mlssm.inference.retrieved import known_retrievals, retrieved_days

pytestmark = pytest.mark.slow

RESPONSE = ("model=response", "response.residual=none", "features.previous=nowcast")
TOLD = ("model.lag=2", "split.test=[2023]", "split.val=[2022]")
CONVLSTM = ("model=convlstm", "model.hidden=[4]")
PIXELS = (Pixel(0, 0, 5), Pixel(0, 6, 7), Pixel(0, 11, 11))


@dataclass(frozen=True)
class Trained:
    """An extent, and a network with what a bundle keeps of it."""

    experiment: Experiment
    opened: Opened


@pytest.fixture(scope="module")
def make(watersheds: Callable[..., Any]) -> Callable[..., Trained]:
    def of(*overrides: str) -> Trained:
        watershed = watersheds("datamodule.simulation.seasons=4")
        config, experiment = watershed.config(*TOLD, *overrides), watershed.experiment(*TOLD, *overrides)
        torch.manual_seed(3)
        network = config.model.build(experiment.spec, spread=False)
        text, tensors = pack(fitted_state(experiment))
        cube = experiment.cube
        bundle = Bundle.of(
            config,
            experiment.spec,
            label_digest="",
            cube_digest="",
            crs=cube.grid.crs,
            pixel_m=experiment.stack.working.grid.pixel,
            pass_is_evening=True,
            fitted=None,
            channel=dict(experiment.stack.channel),
        )
        state = unpack(json.loads(json.dumps(text)), tensors)
        return Trained(experiment, Opened("run", bundle, cube, experiment.stack, network.eval(), state, None))

    return cache(of)


def test_the_closed_form_of_a_pixel_is_that_of_the_whole_extent_whatever_the_window(
    make: Callable[..., Trained],
) -> None:
    trained = make(*RESPONSE)
    experiment = trained.experiment
    times = [int(time) for time in experiment.datasets["test"].times]
    days = experiment.cube.local_days[times]
    assert len(days) > 5
    for most in (0, 3):
        found = pixel_series(trained.opened, PIXELS, days, most, 0.9)
        evening = experiment.ends[times] == days  # of a morning's image the window ends with the day before
        assert evening.any()
        for pixel, series in found.items():
            base = [experiment.prefit.maps[time][0]["base"][pixel.row, pixel.col] for time in times]
            plain = [experiment.prefit.maps[time][0][FORECAST][pixel.row, pixel.col] for time in times]
            known = evening & ~series.frozen
            # the network adds nothing to its base
            np.testing.assert_allclose(series.ssm[known], np.array(base)[known], atol=1e-5)
            np.testing.assert_allclose(series.response[known], np.array(plain)[known], atol=1e-5)


def test_a_network_around_a_pixel_maps_it_as_in_the_whole_extent(make: Callable[..., Trained]) -> None:
    trained = make(*CONVLSTM)
    experiment, bundle = trained.experiment, trained.opened.bundle
    times = [int(time) for time in experiment.datasets["test"].times if experiment.ends[time] == _day(experiment, time)]
    days = experiment.cube.local_days[times]
    found = pixel_series(trained.opened, PIXELS, days, 30, 0.9)
    checked = 0
    for number, time in enumerate(times):
        features, network = experiment.features, trained.opened.network
        # the whole in one tile, with as much around it
        whole = map_whole(network, features, 0, experiment.moments[time], 512, 16, bundle.model.margin).ssm
        for pixel, series in found.items():
            if not series.frozen[number]:
                assert series.ssm[number] == pytest.approx(whole[pixel.row, pixel.col], abs=1e-5)
                checked += 1
    assert checked > 10


def test_what_was_retrieved_at_a_pixel_is_what_the_whole_extent_has(make: Callable[..., Trained]) -> None:
    trained = make(*RESPONSE)
    experiment, cube = trained.experiment, trained.experiment.cube
    known = known_retrievals(trained.opened.fitted, experiment.stack.working)
    whole = list(
        retrieved_days(
            cube, experiment.stack, known, experiment.retrieval.masks, cube.local_days[0], cube.local_days[-1]
        )
    )
    for pixel in PIXELS:
        days, ssm = retrieved_at(trained.opened, pixel)
        np.testing.assert_array_equal(days, [day for day, _ in whole])
        np.testing.assert_array_equal(ssm.astype(np.float32), [maps[0][pixel.row, pixel.col] for _, maps in whole])
    assert np.isfinite(ssm).any()


def test_means_over_a_lattice_come_near_those_over_all_pixels(
    make: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = make(*RESPONSE)
    days = trained.experiment.cube.local_days[[int(time) for time in trained.experiment.datasets["test"].times]]

    def ssm() -> np.ndarray:
        return np.stack([each.ssm for each in pixel_series(trained.opened, PIXELS, days, 0, 0.9).values()])

    exact = ssm()
    monkeypatch.setattr(around, "LATTICE", 50)
    thinned = ssm()
    assert not np.array_equal(exact, thinned, equal_nan=True)
    np.testing.assert_allclose(thinned, exact, atol=0.05)


def test_a_point_lies_in_one_pixel_or_in_none(make: Callable[..., Trained]) -> None:
    working = make(*CONVLSTM).experiment.stack.working
    (extent,) = working.extents
    x, y = working.grid.centres(extent)
    assert pixel_at(working, x[3], y[2]) == Pixel(0, 2, 3)
    west, south, east, north = working.grid.crop(extent).bounds
    assert pixel_at(working, west + 1, north - 1) == Pixel(0, 0, 0)
    assert pixel_at(working, east - 1, south + 1) == Pixel(0, extent.height - 1, extent.width - 1)
    assert [
        pixel_at(working, *point) for point in ((west - 1, north - 1), (west + 1, north + 1), (east + 1, south))
    ] == [None] * 3


def _day(experiment: Experiment, time: int) -> np.datetime64:
    return experiment.cube.local_days[int(time)]
