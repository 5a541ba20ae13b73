"""What a network is fed with."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Patches stacked along the first dimension.

    Attributes:
        dynamic: Weather, scaled; float32 [B, T, dynamic, H, W], oldest step first.
        static: Features that do not change over the steps, scaled; float32 [B, static, H, W].
        target: Label SSM 0..1; float32 [B, 1, H, W], of no meaning (NaN allowed) where not valid.
        valid: Where there is a label; bool [B, 1, H, W].
        standard_error: Of the label, SSM units; float32 [B, 1, H, W], NaN where not valid.
        date: Index into the split's list of dates; int64 [B].
        weight: Of the patch in a reweighted loss, see `mlssm.data.plan`; float32 [B], 1 where nothing is reweighted.
        attainable: Mean of the best predictions that the label is compatible with, see `mlssm.retrieval.label_error`;
            float32 [B, 1, H, W], NaN where not valid.
    """

    dynamic: Tensor
    static: Tensor
    target: Tensor
    valid: Tensor
    standard_error: Tensor
    date: Tensor
    weight: Tensor
    attainable: Tensor
