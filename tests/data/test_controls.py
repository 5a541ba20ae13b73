import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.controls import apply_control, shuffle_space
from mlssm.data.place import PatchPlace
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError

PLACES = [
    PatchPlace(extent, time, slice(row, row + 4), slice(3, 8))
    for extent, time, row in [(0, 1, 0), (0, 1, 4), (1, 2, 0)]
]
SPEC = FeatureSpec(("precipitation", "wind"), ("slope", "ndvi"), (0.0,) * 4, (1.0,) * 4)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    dynamic = torch.randn(3, 2, 4, 4, 5, generator=generator)
    static = torch.randn(3, 2, 4, 5, generator=generator)
    target = torch.rand(3, 1, 4, 5, generator=generator)
    return Batch(dynamic, static, target, target > 0.3, target / 10, torch.arange(3), torch.ones(3), target, target)


def pixels(batch: Batch) -> Tensor:
    """All inputs of each pixel, [B, H W, channel]."""
    together = torch.cat([batch.dynamic.flatten(1, 2), batch.static], dim=1)
    return together.flatten(2).transpose(1, 2)


def test_none_changes_nothing(batch: Batch) -> None:
    assert apply_control("none", batch, PLACES, SPEC) is batch


def test_no_weather_takes_all_weather_and_nothing_else(batch: Batch) -> None:
    found = apply_control("no_weather", batch, PLACES, SPEC)
    assert (found.dynamic == 0).all()
    assert found.dynamic.shape == batch.dynamic.shape
    assert all(left is right for left, right in zip(found[1:], batch[1:], strict=True))
    assert (batch.dynamic != 0).any()


def test_no_weather_takes_a_base_that_weather_made_and_leaves_the_memory(batch: Batch) -> None:
    spec = dataclasses.replace(SPEC, static=("mean_ssm", "base"))
    found = apply_control("no_weather", batch, PLACES, spec)
    assert (found.static[:, 1] == 0).all()
    assert torch.equal(found.static[:, 0], batch.static[:, 0])
    assert (batch.static[:, 1] != 0).any()


def test_shuffled_pixels_keep_their_inputs_together_and_labels_stay(batch: Batch) -> None:
    before = pixels(batch).clone()
    found = apply_control("shuffle_space", batch, PLACES, SPEC)
    assert all(left is right for left, right in zip(found[2:], batch[2:], strict=True))
    assert torch.equal(pixels(batch), before)
    orders = set()
    for mine, theirs in zip(pixels(found), before, strict=True):
        order = [int((theirs == pixel).all(dim=1).nonzero()) for pixel in mine]
        assert sorted(order) == list(range(20))
        orders.add(tuple(order))
    assert len(orders) == 3


def test_the_order_is_the_places_own_whatever_the_batch(batch: Batch) -> None:
    whole = shuffle_space(batch, PLACES)
    for i in (2, 0, 1):
        alone = shuffle_space(Batch(*(values[i : i + 1] for values in batch)), [PLACES[i]])
        assert torch.equal(alone.dynamic[0], whole.dynamic[i])
        assert torch.equal(alone.static[0], whole.static[i])


def test_every_order_is_as_likely(batch: Batch) -> None:
    """Where the first pixel goes over 4000 places: chi-squared of 19 degrees stays below its 99.99 % point, 50.8."""
    ramp = torch.arange(20.0).reshape(1, 1, 4, 5)
    many = [PatchPlace(0, time, slice(0, 4), slice(0, 5)) for time in range(4000)]
    still = Batch(ramp[:, None].expand(4000, 1, 1, 4, 5), ramp.expand(4000, 1, 4, 5), *batch[2:])
    found = shuffle_space(still, many).static[:, 0, 0, 0].numpy().astype(int)
    counts = np.bincount(found, minlength=20)
    assert ((counts - 200) ** 2 / 200).sum() < 50.8


def test_without_static_channels(batch: Batch) -> None:
    assert shuffle_space(batch._replace(static=batch.static[:, :0]), PLACES).static.shape == (3, 0, 4, 5)


def test_what_does_not_fit_is_refused(batch: Batch) -> None:
    with pytest.raises(ConfigError, match="control=no_rain is not allowed: set none"):
        apply_control("no_rain", batch, PLACES, SPEC)
    with pytest.raises(ValueError, match="2 places for 3 patches"):
        shuffle_space(batch, PLACES[:2])
