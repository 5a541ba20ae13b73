"""Networks on many windows of weather over the same pixels: what days and dates share is computed once.

W * [H, X_t, S] = W_h * H + W_x * X_t + W_s * S, so that what a day adds to the gates is the same in each window that
holds the day, and so is what static features add that stay. Convolutions here keep no edge: each takes its reach off,
so that nothing is made up beyond the pixels that are given, and what comes out is `forward` in its interior.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlssm.models.convlstm import ConvLSTM, ConvLSTMCell, bounded_spread
from mlssm.models.multirate import MultirateConvLSTM, averaged
from mlssm.models.prediction import Prediction
from mlssm.models.response import ResponseNetwork


class Series(Protocol):
    """A network on some pixels."""

    def day(self, frame: Tensor) -> Tensor:
        """What a day's weather comes to, whichever window it is in; `frame` [dynamic, h, w], scaled."""

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        """Predict the map after a window.

        Args:
            days: Of `day`, oldest first.
            static: [static, H, W], of which only the changing channels differ from those that it was made with.

        Returns:
            Of the pixels, less at each side what the network reaches or fewer, [1, 1, h, w].
        """


def series(network: nn.Module, static: Tensor, changing: Sequence[int]) -> Series:
    """A network on some pixels.

    Args:
        network: In evaluation mode.
        static: Static features [static, H, W], scaled, on the network's device.
        changing: Positions of the channels that change with the date.
    """
    # of a class that is derived from these nothing is known
    if type(network) is ResponseNetwork:
        if network.residual is None:
            return _Base(network)
        return _Response(network, series(network.residual, static, changing))
    if type(network) is ConvLSTM and all(_is_plain(cell) for cell in network.cells):
        return _ConvLSTM(network, static, changing)
    if type(network) is MultirateConvLSTM and network.recurrence.num_layers == 1:
        return _Multirate(network, static, changing)
    return plain(network)


def plain(network: nn.Module) -> Series:
    """A network of which nothing is known: all of it runs for each window, and it keeps its edge."""
    return _Any(network)


def _is_plain(cell: nn.Module) -> bool:
    return isinstance(cell, ConvLSTMCell) and cell.peepholes is None


class _Any:
    """See `plain`."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def day(self, frame: Tensor) -> Tensor:
        return frame

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        found: Prediction = self._network(torch.stack(list(days))[None], static[None])
        return found


class _Base:
    """The closed form alone: no day is looked at."""

    def __init__(self, network: ResponseNetwork) -> None:
        self._network = network

    def day(self, frame: Tensor) -> Tensor:
        return frame[:0]

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        return Prediction(self._network.base(static[None]))


class _Response:
    """Base and residual."""

    def __init__(self, network: ResponseNetwork, residual: Series) -> None:
        self._network, self._residual = network, residual

    def day(self, frame: Tensor) -> Tensor:
        return self._residual.day(frame)

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        found = self._residual.map(days, static)
        return Prediction(_middle(self._network.base(static[None]), found.mean) + found.mean, found.spread)


class _ConvLSTM:
    """Gates of a day are made once; the recurrence runs on a shrinking square.

    tanh(x) = 2 sigmoid(2 x) - 1, and the factor 2 is put into the weights of the gate g: one sigmoid then serves all
    gates, which on a CPU is several times as fast as tanh and differs by less than 1e-6.
    """

    def __init__(self, network: ConvLSTM, static: Tensor, changing: Sequence[int]) -> None:
        self._network = network
        self._cells = [_Gates(cell) for cell in network.cells if isinstance(cell, ConvLSTMCell)]
        self._changing = torch.tensor(list(changing), dtype=torch.long, device=static.device)
        first = self._cells[0]
        self._fixed: Tensor | None = None
        self._weight: Tensor | None = None
        if network.static_convolution is not None:
            whole = first.scaled(network.static_convolution.weight)
            fixed = static.clone()
            fixed[self._changing] = 0
            self._fixed = functional.conv2d(fixed[None], whole)
            self._weight = whole[:, self._changing] if len(changing) else None

    def day(self, frame: Tensor) -> Tensor:
        gates = self._cells[0].of_input(frame[None])
        return gates if self._fixed is None else gates.add_(self._fixed)

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        own = None if self._weight is None else functional.conv2d(static[self._changing][None], self._weight)
        states = self._cells[0].unroll(days, own)
        for cell in self._cells[1:]:
            states = cell.unroll([cell.of_input(state) for state in states], None)
        network, last = self._network, states[-1]
        found = network.head(last)
        mean = torch.sigmoid(found) if network.bounded else found
        return Prediction(mean, None if network.variance_head is None else bounded_spread(network.variance_head(last)))


class _Gates:
    """One layer's weights, those of the gate g doubled."""

    def __init__(self, cell: ConvLSTMCell) -> None:
        self._hidden = cell.hidden_channels
        self._input = self.scaled(cell.input_convolution.weight)
        assert cell.input_convolution.bias is not None
        self._bias = self.scaled(cell.input_convolution.bias)
        self._state = self.scaled(cell.hidden_convolution.weight)

    def scaled(self, weight: Tensor) -> Tensor:
        return _doubled(weight, self._hidden)

    def of_input(self, values: Tensor) -> Tensor:
        return functional.conv2d(values, self._input, self._bias)

    def unroll(self, inputs: Sequence[Tensor], more: Tensor | None) -> list[Tensor]:
        """The hidden state after each step; `inputs` are the gates of each, and `more` is added to all of them."""
        hidden: list[Tensor] = []
        cell: Tensor | None = None
        for gates in inputs:
            if hidden:
                total = functional.conv2d(hidden[-1], self._state)
                total += _middle(gates, total)
            else:
                total = gates.clone()
            if more is not None:
                total += _middle(more, total)
            state, cell = _step(total.sigmoid_(), cell)
            hidden.append(state)
        return hidden


class _Multirate:
    """What a day's weather adds to the recurrence is made once, and so is what static features that stay add to fusion.

    The recurrence is `torch.nn.LSTM` of one layer; as in `_ConvLSTM` one sigmoid serves all gates.
    """

    def __init__(self, network: MultirateConvLSTM, static: Tensor, changing: Sequence[int]) -> None:
        self._network = network
        self._changing = torch.tensor(list(changing), dtype=torch.long, device=static.device)
        hidden, own = network.recurrence.hidden_size, dict(network.recurrence.named_parameters())
        self._input = _doubled(own["weight_ih_l0"], hidden).T
        self._hidden = _doubled(own["weight_hh_l0"], hidden).T
        self._bias = _doubled(own["bias_ih_l0"] + own["bias_hh_l0"], hidden)
        self._state, fusion = network.fusion.weight[:, :hidden], network.fusion.weight[:, hidden:]
        self._own = fusion[:, self._changing] if len(changing) else None
        fixed = static.clone()
        fixed[self._changing] = 0
        self._fixed = functional.conv2d(fixed[None], fusion, network.fusion.bias)

    def day(self, frame: Tensor) -> Tensor:
        return torch.addmm(self._bias, frame.flatten(1).T, self._input[: len(frame)])

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        network, given = self._network, static[None]
        cells = averaged(given, network.ratio)[0].flatten(1).T @ self._input[-len(static) :]
        state, cell = _step(torch.sigmoid(days[0] + cells), None)
        for day in days[1:]:
            gates = torch.addmm(day, state, self._hidden)
            state, cell = _step(gates.add_(cells).sigmoid_(), cell)
        fused = functional.conv2d(network.at_pixels((state[None], cell[None]), given), self._state)
        fused += self._fixed
        if self._own is not None:
            fused += functional.conv2d(given[:, self._changing], self._own)
        return network.read(fused.relu_())


def _step(gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
    """Hidden and cell state after a step.

    Args:
        gates: sigmoid of i, f, 2 g and o along the second axis.
        cell: State before, or a larger map of it; None: 0.
    """
    i, f, g, o = gates.chunk(4, dim=1)
    new = torch.addcmul(-i, i, g, value=2)  # i tanh
    if cell is not None:
        new.addcmul_(f, cell if cell.ndim == 2 else _middle(cell, new))
    return torch.addcmul(-o, o, (2 * new).sigmoid_(), value=2), new


def _doubled(weight: Tensor, hidden: int) -> Tensor:
    """Weights of the gates i, f, g, o along the first axis, those of g doubled."""
    factors = weight.new_ones(len(weight))
    factors[2 * hidden : 3 * hidden] = 2
    return weight * factors.reshape(-1, *(1,) * (weight.ndim - 1))


def _middle(values: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, of as many rows and columns as another."""
    (height, width), (rows, cols) = values.shape[-2:], like.shape[-2:]
    top, left = (height - rows) // 2, (width - cols) // 2
    return values[..., top : top + rows, left : left + cols]
