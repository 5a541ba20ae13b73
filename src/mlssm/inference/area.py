"""The map of a whole area on one date, tile by tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mlssm.data.features import FeatureSource
from mlssm.data.moment import Moment
from mlssm.inference.tiles import Blend, plan_tiles
from mlssm.models.prediction import predict


def map_area(
    network: nn.Module, features: FeatureSource, area: int, moment: Moment, tile: int, overlap: int, margin: int = 0
) -> npt.NDArray[np.float32]:
    """Predict SSM of an area, tiles blended where they overlap.

    The network sees a margin around each tile. At the area's edge that is at least half an overlap of its outermost
    values: a network that fills what lies outside with zeros would draw a frame around the map.

    Args:
        network: On the device that it is to run on.
        features: Makes the inputs.
        area: Which area.
        moment: Weather and NDVI of the date.
        tile: Pixels along a tile.
        overlap: Pixels that tiles share.
        margin: Pixels around each tile that the network sees beside it, see `ModelSettings.margin`.

    Returns:
        SSM 0..1, float32 [height, width] on the working grid; NaN where an input is missing.
    """
    shape = features.field.places[area].shape
    blend, usable = Blend(shape), np.zeros(shape, bool)
    for window in plan_tiles(*shape, tile, overlap):
        starts, sizes = (window.row, window.col), window.shape
        parts = [
            _seen(slice(start, start + size), side, margin, max(margin, overlap // 2))
            for start, size, side in zip(starts, sizes, shape, strict=True)
        ]
        inputs = features.patch(area, moment, *parts)
        inner = tuple(
            slice(start - part.start, start - part.start + size)
            for start, size, part in zip(starts, sizes, parts, strict=True)
        )
        found = predict(network, *(torch.from_numpy(values)[None] for values in (inputs.dynamic, inputs.static)))
        blend.add(window, found.ssm[0, 0].numpy()[inner])
        usable[window.slices] = inputs.usable[inner]
    return np.where(usable, blend.result(), np.nan).astype(np.float32)


def _seen(part: slice, side: int, margin: int, at_edge: int) -> slice:
    """A tile's rows or columns and what is around them, more where the tile ends with the area."""
    before, after = at_edge if part.start == 0 else margin, at_edge if part.stop == side else margin
    return slice(part.start - before, part.stop + after)
