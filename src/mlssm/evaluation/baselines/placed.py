"""From rectangles of an extent to a batch of patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.grid import Floats


def placed(places: Sequence[PatchPlace], batch: Batch, ssm_at: Callable[[PatchPlace], Floats]) -> Tensor:
    """Fill a batch place by place.

    Args:
        places: Where and when each patch lies.
        batch: The patches.
        ssm_at: SSM of the part of a patch that lies in its extent, [h, w].

    Returns:
        Float64 [B, 1, H, W]; NaN where a patch reaches past its extent.
    """
    found = np.full(batch.valid.shape, np.nan)
    for patch, place in zip(found, places, strict=True):
        ssm = ssm_at(place)
        patch[0, : ssm.shape[0], : ssm.shape[1]] = ssm
    return torch.from_numpy(found)
