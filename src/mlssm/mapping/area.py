"""The map of a whole area on one date, tile by tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mlssm.data.features import FeatureSource, Moment
from mlssm.mapping.tiles import Blend, plan_tiles


def map_area(
    network: nn.Module, features: FeatureSource, area: int, moment: Moment, tile: int, overlap: int
) -> npt.NDArray[np.float32]:
    """Predict SSM of an area, tiles blended where they overlap.

    Args:
        network: On the device that it is to run on.
        features: Makes the inputs.
        area: Which area.
        moment: Weather and NDVI of the date.
        tile: Pixels along a tile.
        overlap: Pixels that tiles share.

    Returns:
        SSM 0..1, float32 [height, width] on the working grid; NaN where an input is missing.
    """
    shape = features.field.places[area].shape
    blend, usable = Blend(shape), np.zeros(shape, bool)
    device = next(network.parameters()).device
    network.eval()
    for window in plan_tiles(*shape, tile, overlap):
        inputs = features.patch(area, moment, *window.slices)
        dynamic, static = (torch.from_numpy(values)[None].to(device) for values in (inputs.dynamic, inputs.static))
        with torch.inference_mode():
            prediction = network(dynamic, static)[0, 0].float().cpu().numpy()
        blend.add(window, prediction)
        usable[window.slices] = inputs.usable
    return np.where(usable, blend.result(), np.nan).astype(np.float32)
