"""What the viewer shows beside the maps: bands of rows give what the whole extent gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlssm.bundle import Bundle
from mlssm.inference.opened import Opened
from mlssm.inference.prefit import fitted_state
from mlssm.inference.retrieved import retrieved_days
from mlssm.jobs import viewer_layers
from mlssm.jobs.viewer_layers import block_bands, factor_of, hillshades, rain_of, retrieved_pictures
from mlssm.mapping.viewer.content import Frame
from mlssm.mapping.viewer.warp import frames_of, onto_frame, packed

TOLD = ("model=response", "response.residual=none", "model.lag=2", "split.test=[2023]", "split.val=[2022]")


@pytest.fixture(scope="module")
def opened(watersheds: Any) -> Opened:
    watershed = watersheds("datamodule.simulation.seasons=4")
    experiment, config = watershed.experiment(*TOLD), watershed.config(*TOLD)
    place = {"crs": experiment.cube.grid.crs, "pixel_m": experiment.stack.working.grid.pixel, "pass_is_evening": True}
    channel = dict(experiment.stack.channel)
    bundle = Bundle.of(config, experiment.spec, label_digest="1", cube_digest="2", channel=channel, **place)
    network = config.model.build(experiment.spec, spread=False).eval()
    return Opened("run", bundle, experiment.cube, experiment.stack, network, fitted_state(experiment), None)


def _frames(opened: Opened, coarser: float) -> tuple[Frame, ...]:
    return frames_of(opened.cube.grid, opened.cube.extents, coarser)


@pytest.mark.parametrize("factor", [1, 3, 8])
def test_bands_are_of_whole_blocks(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_layers, "AT_ONCE", 400)
    bands = block_bands((61, 20), factor)
    assert [row for rows in bands for row in range(rows.start, rows.stop)] == list(range(61))
    assert all(rows.start % factor == 0 for rows in bands)
    assert len(bands) > 1


def test_blocks_are_no_coarser_than_the_page() -> None:
    frame = Frame("", (30, 40), (0, 0, 1, 1), (0, 0, 1, 1))
    assert [factor_of(shape, frame) for shape in ((20, 30), (59, 200), (60, 80), (300, 130))] == [1, 1, 2, 3]


@pytest.mark.parametrize("coarser", [1.0, 4.0])
def test_bands_give_what_the_whole_gives(opened: Opened, coarser: float, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, days = _frames(opened, coarser), opened.cube.local_days[[20, 24]]
    whole = hillshades(opened, frames), retrieved_pictures(opened, frames, days)
    monkeypatch.setattr(viewer_layers, "AT_ONCE", 64)
    parts = hillshades(opened, frames), retrieved_pictures(opened, frames, days)
    assert whole[0] is not None
    assert whole[1] is not None
    assert parts[0] is not None
    assert parts[1] is not None
    assert len(whole[1].days) > 4
    for one, other in zip((*whole[0], *whole[1].values), (*parts[0], *parts[1].values), strict=True):
        np.testing.assert_array_equal(one, other)
        assert len(np.unique(one)) > 5


def test_at_full_resolution_it_is_what_was_retrieved(opened: Opened) -> None:
    from mlssm.retrieval.masks import frozen_or_snowy

    frames, cube, days = _frames(opened, 1.0), opened.cube, opened.cube.local_days[[20, 24]]
    found = retrieved_pictures(opened, frames, days)
    assert found is not None
    masks = frozen_or_snowy(opened.field, cube.local_days, opened.bundle.images, cube.morning)
    first = days[0] - viewer_layers.BEFORE
    expected = list(retrieved_days(cube, opened.stack, opened.retrievals, masks, first, days[-1]))
    assert list(found.days) == [str(day) for day, _ in expected]
    working = opened.stack.working
    for number, frame in enumerate(frames):
        grid = working.grid.crop(working.extents[number])
        wanted = [packed(onto_frame(extents[number], grid, frame)) for _, extents in expected]
        np.testing.assert_array_equal(found.values[number], np.stack(wanted))


def test_rain_is_that_of_the_pixels(opened: Opened) -> None:
    days = opened.cube.local_days[[20, 21]]
    found = rain_of(opened, days)
    assert found is not None
    window = opened.weather.values[np.isin(opened.weather.days, np.array(found.days, "datetime64[D]"))]
    height, width = opened.shapes[0]
    last = slice(height - 1, height), slice(width - 1, width)
    expected = opened.field.at_pixels(window, 0, *last, ("precipitation",))[:, 0, 0, 0]
    points = len(found.points) // len(opened.shapes)
    np.testing.assert_allclose(found.mm[points - 1], expected, rtol=1e-6)
