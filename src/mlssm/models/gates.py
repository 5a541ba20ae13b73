"""One layer's gates of a ConvLSTM on a map: what all steps need of its weights, and a step's arithmetic.

tanh(x) = 2 sigmoid(2 x) - 1, and the factor 2 is put into the weights of the gate g: one sigmoid then serves all gates,
which on a CPU is several times as fast as tanh and differs by less than 1e-6.

A step is made in strips of rows: its gates, four times as many as its state's channels, then stay in the processor's
cache. Convolutions keep no edge: each takes its reach off.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from mlssm.models.convlstm import ConvLSTMCell

STRIP = 8192  # pixels: 64 gates of so many fit the cache


class Gates:
    """One layer's weights, those of the gate g doubled.

    Attributes:
        hidden: Channels of its state.
        reach: Pixels that a convolution takes off at each side.
        input: Weights of its input, [4 hidden, input, k, k].
        bias: Of the gates, [4 hidden].
    """

    def __init__(self, cell: ConvLSTMCell) -> None:
        """Take a cell's weights; it has no peepholes."""
        self.hidden = cell.hidden_channels
        self.input = self.scaled(cell.input_convolution.weight)
        assert cell.input_convolution.bias is not None
        self.bias = self.scaled(cell.input_convolution.bias)
        self._state = self.scaled(cell.hidden_convolution.weight)
        self.reach = self._state.shape[-1] // 2

    def scaled(self, weight: Tensor) -> Tensor:
        """Weights of the four gates, as they are used here."""
        return doubled(weight, self.hidden)

    def of_input(self, values: Tensor) -> Tensor:
        """What a layer's input adds to the gates, [1, 4 hidden, h, w]."""
        return functional.conv2d(values, self.input, self.bias)

    def of_state(self, hidden: Tensor) -> Tensor:
        """What the hidden state adds to the gates."""
        return functional.conv2d(hidden, self._state)


def strips(rows: slice, cols: int, device: torch.device) -> Iterator[slice]:
    """Rows of a map in parts that fit a processor's cache; all at once on another device."""
    each = max(1, STRIP // cols) if device.type == "cpu" else max(1, rows.stop - rows.start)
    for start in range(rows.start, rows.stop, each):
        yield slice(start, min(start + each, rows.stop))


def step(gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
    """Hidden and cell state after a step.

    Args:
        gates: sigmoid of i, f, 2 g and o along the second axis.
        cell: State before, of the same shape as that after; None: 0.
    """
    i, f, g, o = gates.chunk(4, dim=1)
    new = torch.addcmul(-i, i, g, value=2)  # i tanh
    if cell is not None:
        new.addcmul_(f, cell)
    return torch.addcmul(-o, o, (2 * new).sigmoid_(), value=2), new


def doubled(weight: Tensor, hidden: int) -> Tensor:
    """Weights of the gates i, f, g, o along the first axis, those of g doubled."""
    factors = weight.new_ones(len(weight))
    factors[2 * hidden : 3 * hidden] = 2
    return weight * factors.reshape(-1, *(1,) * (weight.ndim - 1))


def middle(values: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, of as many rows and columns as another."""
    (height, width), (rows, cols) = values.shape[-2:], like.shape[-2:]
    top, left = (height - rows) // 2, (width - cols) // 2
    return values[..., top : top + rows, left : left + cols]
