"""The map of a whole area on one date, tile by tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mlssm.data.features import FeatureSource
from mlssm.data.moment import Moment
from mlssm.grid import Window
from mlssm.inference.tiles import Blend, plan_tiles
from mlssm.models.prediction import predict

Margins = tuple[tuple[int, int], tuple[int, int]]


def map_area(
    network: nn.Module, features: FeatureSource, area: int, moment: Moment, tile: int, overlap: int
) -> npt.NDArray[np.float32]:
    """Predict SSM of an area, tiles blended where they overlap.

    At the area's edge a tile is carried on by half an overlap of its outermost values: a network fills what lies
    outside with zeros, which would draw a frame around the map.

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
    for window in plan_tiles(*shape, tile, overlap):
        inputs = features.patch(area, moment, *window.slices)
        margins = _margins(window, shape, overlap // 2)
        blend.add(window, _predict(network, inputs.dynamic, inputs.static, margins))
        usable[window.slices] = inputs.usable
    return np.where(usable, blend.result(), np.nan).astype(np.float32)


def _margins(window: Window, shape: tuple[int, int], width: int) -> Margins:
    """Pixels to add above and below, and left and right: only where the tile ends with the area."""
    bottom, right = window.row + window.height, window.col + window.width
    rows = width * (window.row == 0), width * (bottom == shape[0])
    cols = width * (window.col == 0), width * (right == shape[1])
    return rows, cols


def _predict(
    network: nn.Module, dynamic: npt.NDArray[np.float32], static: npt.NDArray[np.float32], margins: Margins
) -> npt.NDArray[np.float32]:
    found = predict(network, *(_extended(values, margins) for values in (dynamic, static)))
    whole = found.ssm[0, 0].numpy()
    (top, bottom), (left, right) = margins
    height, width = whole.shape
    inner: npt.NDArray[np.float32] = whole[top : height - bottom, left : width - right]
    return inner


def _extended(values: npt.NDArray[np.float32], margins: Margins) -> Tensor:
    """A batch of one, [1, ..., H, W], carried on by its outermost values."""
    widths = [(0, 0)] * (values.ndim - 2) + list(margins)
    return torch.from_numpy(np.pad(values, widths, mode="edge"))[None]
