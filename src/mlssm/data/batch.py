"""What a network is fed with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Batch(NamedTuple):
    """Patches stacked along the first dimension.

    Attributes:
        dynamic: Weather, scaled; float32 [B, T, dynamic, H, W], oldest step first; of cells of several pixels where the
            model wants it so, [B, T, dynamic, ceil(H / ratio), ceil(W / ratio)].
        static: Features that do not change over the steps, scaled; float32 [B, static, H, W].
        target: Label SSM 0..1; float32 [B, 1, H, W], of no meaning (NaN allowed) where not valid; where the inputs have
            a margin, of the pixels in their middle, as all labels.
        valid: Where there is a label; bool [B, 1, H, W].
        standard_error: Of the label, SSM units; float32 [B, 1, H, W], NaN where not valid.
        date: Index into the split's list of dates; int64 [B].
        weight: Of the patch in a reweighted loss, see `mlssm.data.plan`; float32 [B], 1 where nothing is reweighted.
        attainable: Mean of the best predictions that the label is compatible with, see `mlssm.retrieval.label_error`;
            float32 [B, 1, H, W], NaN where not valid.
        reliability: Weight of the label by how much speckle it has, see `mlssm.retrieval.labels.reliability`; float32
            [B, 1, H, W], NaN where not valid.
    """

    dynamic: Tensor
    static: Tensor
    target: Tensor
    valid: Tensor
    standard_error: Tensor
    date: Tensor
    weight: Tensor
    attainable: Tensor
    reliability: Tensor


def weather_at_pixels(batch: Batch) -> Tensor:
    """Weather at as many rows and columns as `static` has: of cells, each pixel takes that of its nearest one."""
    size = batch.static.shape[-2:]
    if batch.dynamic.shape[-2:] == size:
        return batch.dynamic
    flat = functional.interpolate(batch.dynamic.flatten(0, 1), size, mode="nearest-exact")
    return flat.reshape(*batch.dynamic.shape[:2], *flat.shape[1:])


def pixel_channels(batch: Batch) -> Tensor:
    """All inputs of each labelled or unlabelled pixel without the margin, [B, T * dynamic + static, h, w]."""
    joined = torch.cat([weather_at_pixels(batch).flatten(1, 2), batch.static], dim=1)
    margin = (joined.shape[-1] - batch.valid.shape[-1]) // 2
    rows, cols = (slice(margin, margin + side) for side in batch.valid.shape[-2:])
    return joined[..., rows, cols]
