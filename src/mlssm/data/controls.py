"""Controls: what a network has to do without, taken from its inputs while the labels stay.

`no_weather` sets all dynamic channels to 0, the training mean. Channels of availability get 0 as well: that is what the
inputs are on a date on which no station has any weather, so the control says nothing of which dates had it. Terrain,
soil and NDVI stay; so does the memory of the pixel, while a base that was made from the weather gets its training mean
too.

`shuffle_space` puts the pixels of a patch into a random order, dynamic and static channels together, so that each set
of inputs stays whole but loses its place; what lies around the patch (margin, padding) takes part. The order is drawn
from a fixed seed and the patch's place alone: not from the batch it is in, nor from what was drawn before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.data.batch import Batch, weather_at_pixels
from mlssm.data.prefit import BASE
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError

if TYPE_CHECKING:
    from mlssm.data.place import PatchPlace

SEED = 0  # of the order of pixels


def apply_control(name: str, batch: Batch, places: Sequence[PatchPlace], spec: FeatureSpec) -> Batch:
    """A batch under a control; `none` gives it back as it is.

    Args:
        name: `none`, `no_weather` or `shuffle_space`.
        batch: Patches stacked along the first dimension, on any device; it is not changed.
        places: Where and when each of them lies.
        spec: The channels.

    Raises:
        ConfigError: There is no such control.
        ValueError: There are not as many places as patches.
    """
    if name == "none":
        return batch
    if name == "no_weather":
        return no_weather(batch, spec)
    if name == "shuffle_space":
        return shuffle_space(batch, places)
    raise ConfigError(f"control={name} is not allowed: set none, no_weather or shuffle_space")


def no_weather(batch: Batch, spec: FeatureSpec) -> Batch:
    """The batch on a date without any weather: all of `dynamic` is 0, and so is a base that is made from weather."""
    without = batch._replace(dynamic=torch.zeros_like(batch.dynamic))
    if BASE not in spec.static:
        return without
    static = batch.static.clone()
    static[:, spec.static.index(BASE)] = 0
    return without._replace(static=static)


def shuffle_space(batch: Batch, places: Sequence[PatchPlace]) -> Batch:
    """The batch with the inputs' pixels in an order of each patch's own; arguments as in `apply_control`."""
    dynamic = weather_at_pixels(batch)
    pixels = dynamic.shape[-2] * dynamic.shape[-1]
    if len(places) != len(batch.dynamic):
        raise ValueError(f"{len(places)} places for {len(batch.dynamic)} patches")
    orders = np.stack([_order(place, pixels) for place in places])
    order = torch.from_numpy(orders).to(batch.dynamic.device)
    return batch._replace(dynamic=_reordered(dynamic, order), static=_reordered(batch.static, order))


def _order(place: PatchPlace, pixels: int) -> npt.NDArray[np.int64]:
    key = [SEED, place.extent, place.time, place.rows.start, place.cols.start]
    return np.random.default_rng(key).permutation(pixels)


def _reordered(values: Tensor, order: Tensor) -> Tensor:
    """`values`, [B, ..., H, W], with pixel k the one that was at `order[:, k]`; `order` is [B, H W]."""
    flat = values.flatten(-2)
    index = order.reshape(len(order), *(1,) * (flat.ndim - 2), -1).expand_as(flat)
    return flat.gather(-1, index).reshape(values.shape)
