"""Integrated gradients as maps: what each group of inputs adds to the prediction at each pixel of a date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.evaluation.why.gradients import integrated_gradients
from mlssm.evaluation.why.groups import groups_of

MOST_PIXELS = 96  # along a side of what is shown: gradients of a whole county would not fit into memory


@dataclass(frozen=True)
class AttributionMaps:
    """What groups of inputs add to one date's map.

    Attributes:
        maps: By group, [h, w], SSM units: of the inputs at a pixel, to the sum of the prediction over all pixels.
        total: Prediction less that of an input of which nothing is known, summed over all pixels; what the maps add up
            to.
        pixel_m: Pixel size, metres.
    """

    maps: dict[str, npt.NDArray[np.float64]]
    total: float
    pixel_m: float


def attribution_maps(experiment: Experiment, network: nn.Module, time: int, steps: int) -> AttributionMaps:
    """Attribute one date's map, of the middle of the largest extent.

    Args:
        experiment: What the network was trained on.
        network: The trained network.
        time: The acquisition, a position in the cube.
        steps: Points of the path.
    """
    shapes = [place.shape for place in experiment.field.places]
    extent = int(np.argmax([height * width for height, width in shapes]))
    rows, cols = (_middle(side) for side in shapes[extent])
    inputs = experiment.features.patch(extent, experiment.moments[time], rows, cols)
    dynamic, static = (torch.from_numpy(np.array(values))[None] for values in (inputs.dynamic, inputs.static))
    pixels = static.shape[-2] * static.shape[-1]
    found = integrated_gradients(network, dynamic, static, static[:, :1], steps=steps)
    maps = {}
    for group in groups_of(experiment.spec):
        own = torch.zeros(static.shape[-2:], dtype=torch.float64)
        if group.dynamic:
            of_cells = found.dynamic[0][:, list(group.dynamic)].sum((0, 1)).double()
            own += _spread(of_cells, own)
        if group.static:
            own += found.static[0][list(group.static)].sum(0).double()
        maps[group.name] = (pixels * own).numpy()
    return AttributionMaps(maps, pixels * float(found.total[0]), experiment.stack.working.grid.pixel)


def _middle(side: int) -> slice:
    start = max(0, (side - MOST_PIXELS) // 2)
    return slice(start, min(side, start + MOST_PIXELS))


def _spread(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Of weather that comes in cells, each pixel's share of its cell, so that the sum stays."""
    if values.shape == like.shape:
        return values
    place = [torch.arange(side) * cells // side for side, cells in zip(like.shape, values.shape, strict=True)]
    cell = place[0][:, None] * values.shape[1] + place[1][None, :]
    count = torch.bincount(cell.flatten(), minlength=values.numel())
    return (values.flatten() / count)[cell]
