"""The map of a whole extent on one date, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mlssm.data.features import FeatureSource, Inputs
from mlssm.data.moment import Moment
from mlssm.inference.likeness import vectors
from mlssm.inference.tiles import Blend, plan_tiles
from mlssm.models.prediction import predict
from mlssm.uncertainty.applicability import Applicability

Array = npt.NDArray[np.float32]
Part = tuple[slice, ...]


@dataclass(frozen=True)
class ExtentMap:
    """What is predicted of an extent, float32 [height, width] on the working grid; NaN where an input is missing.

    Attributes:
        ssm: 0..1.
        spread: What the network says of its own error, SSM units; None where it does not.
        dissimilarity: See `Applicability.index`, or of a part `bounded_index`; None where it was not asked.
    """

    ssm: Array
    spread: Array | None
    dissimilarity: Array | None


def map_extent(
    network: nn.Module, features: FeatureSource, extent: int, moment: Moment, tile: int, overlap: int, margin: int = 0
) -> Array:
    """SSM alone of `map_whole`, with the same arguments."""
    return map_whole(network, features, extent, moment, tile, overlap, margin).ssm


def map_whole(
    network: nn.Module,
    features: FeatureSource,
    extent: int,
    moment: Moment,
    tile: int,
    overlap: int,
    margin: int = 0,
    applicability: Applicability | None = None,
) -> ExtentMap:
    """Predict an extent, tiles blended where they overlap.

    The network sees a margin around each tile. At the extent's edge that is at least half an overlap of its outermost
    values: a network that fills what lies outside with zeros would draw a frame around the map.

    Args:
        network: On the device that it is to run on.
        features: Makes the inputs.
        extent: Which extent.
        moment: Weather and NDVI of the date.
        tile: Pixels along a tile.
        overlap: Pixels that tiles share.
        margin: Pixels around each tile that the network sees beside it, see `ModelSettings.margin`.
        applicability: What training pixels are like; None where that is not asked.
    """
    shape = features.field.places[extent].shape
    blend, spread, usable = Blend(shape), Blend(shape), np.zeros(shape, bool)
    unlike = np.full(shape, np.nan, np.float32)
    for window in plan_tiles(*shape, tile, overlap):
        starts, sizes = (window.row, window.col), window.shape
        parts = [
            _seen(slice(start, start + size), side, margin, max(margin, overlap // 2))
            for start, size, side in zip(starts, sizes, shape, strict=True)
        ]
        inputs = features.patch(extent, moment, *parts)
        inner = tuple(
            slice(start - part.start, start - part.start + size)
            for start, size, part in zip(starts, sizes, parts, strict=True)
        )
        found = predict(network, *(torch.from_numpy(values)[None] for values in (inputs.dynamic, inputs.static)))
        blend.add(window, found.ssm[0, 0].numpy()[inner])
        if found.spread is not None:
            spread.add(window, found.spread[0, 0].numpy()[inner])
        usable[window.slices] = inputs.usable[inner]
        if applicability is not None:
            _compare(unlike[window.slices], features, inputs, inner, applicability)
    ssm, own = (np.where(usable, each.result(), np.float32(np.nan)) for each in (blend, spread))
    states = bool(np.isfinite(own).any())
    return ExtentMap(ssm, own if states else None, None if applicability is None else np.where(usable, unlike, np.nan))


def _compare(unlike: Array, features: FeatureSource, inputs: Inputs, inner: Part, applicability: Applicability) -> None:
    """Fill in the index of the tile's pixels that no other tile has compared."""
    new = np.isnan(unlike)
    values = vectors(features.spec, inputs).reshape(*inputs.static.shape[1:], -1)[inner]
    unlike[new] = applicability.index(values[new])


def _seen(part: slice, side: int, margin: int, at_edge: int) -> slice:
    """A tile's rows or columns and what is around them, more where the tile ends with the extent."""
    before, after = at_edge if part.start == 0 else margin, at_edge if part.stop == side else margin
    return slice(part.start - before, part.stop + after)
