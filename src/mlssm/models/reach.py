"""How far a network looks, found by trying: for layers of other libraries, whose kernels and strides nobody lists."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

FIRST, LAST = 64, 1024  # pixels along the maps that are tried


def probed_reach(layers: nn.Module, cell: int) -> int | None:
    """How far from a pixel an input can lie at most that its value depends on, pixels; None: anywhere in the map.

    All weights are set to 1 and all biases to 0, so that no contribution cancels another, and a single pixel is set in
    an empty map, the first of a cell and then the last: what then differs from 0 depends on it.

    Args:
        layers: From [B, 1, H, W] to [B, channels, H, W], convolutions, pooling and rectifiers; its weights are changed.
        cell: Pixels along its coarsest cells, of which a side has whole ones.
    """
    layers = layers.double().eval()
    for name, values in layers.named_parameters():
        nn.init.constant_(values, 0.0 if name.endswith("bias") else 1.0)
    side = -(-FIRST // cell) * cell
    while side <= LAST:
        found = _farthest(layers, side, cell)
        if found is not None:
            return found
        side *= 2
    return None


@torch.inference_mode()
def _farthest(layers: Callable[[Tensor], Tensor], side: int, cell: int) -> int | None:
    """The same on a map of so many pixels; None where its edge is reached."""
    first_place = side // 2 // cell * cell
    last_place = first_place + cell - 1
    (first, end), (start, last) = (_touched(layers, side, place) for place in (first_place, last_place))
    if min(first, start) == 0 or max(end, last) == side - 1:
        return None
    # what a pixel touches never begins before, or ends after, what a later one touches
    return max(last_place - first, last - first_place)


def _touched(layers: Callable[[Tensor], Tensor], side: int, place: int) -> tuple[int, int]:
    """First and last row or column that depends on one pixel."""
    given = torch.zeros(1, 1, side, side, dtype=torch.float64)
    given[..., place, place] = 1
    found = layers(given)[0].ne(0).any(dim=0).nonzero()
    return int(found.min()), int(found.max())
