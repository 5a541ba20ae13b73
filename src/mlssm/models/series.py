"""Networks on many windows of weather over the same pixels: what days and dates share is computed once.

W * [H, X_t, S] = W_h * H + W_x * X_t + W_s * S, so that what a day adds to the gates is the same in each window that
holds the day, and so is what static features add that stay. Convolutions here keep no edge: each takes its reach off,
so that nothing is made up beyond the pixels that are given, and what comes out is `forward` in its interior.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlssm.models.convlstm import ConvLSTM, ConvLSTMCell
from mlssm.models.gates import Gates, doubled, middle, step
from mlssm.models.multirate import MultirateConvLSTM, State, averaged
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
    if is_plain(network):
        return _ConvLSTM(network, static, changing)
    if is_of_two_rates(network):
        return Multirate(network, static, changing)
    return plain(network)


def plain(network: nn.Module) -> Series:
    """A network of which nothing is known: all of it runs for each window, and it keeps its edge."""
    return _Any(network)


def is_plain(network: nn.Module | None) -> TypeGuard[ConvLSTM]:
    """Whether it is a ConvLSTM without peepholes; of a class that is derived from it nothing is known."""
    return type(network) is ConvLSTM and all(
        isinstance(cell, ConvLSTMCell) and cell.peepholes is None for cell in network.cells
    )


def is_of_two_rates(network: nn.Module | None) -> TypeGuard[MultirateConvLSTM]:
    """Whether it is a multirate ConvLSTM of one layer."""
    return type(network) is MultirateConvLSTM and network.recurrence.num_layers == 1


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
        return self._network.onto_base(found, static[None])


class _ConvLSTM:
    """Gates of a day are made once; the recurrence runs on a shrinking square. See `mlssm.models.gates`."""

    def __init__(self, network: ConvLSTM, static: Tensor, changing: Sequence[int]) -> None:
        self._network = network
        self._layers = layers(network)
        self._changing = torch.tensor(list(changing), dtype=torch.long, device=static.device)
        first = self._layers[0]
        self._fixed: Tensor | None = None
        self._weight: Tensor | None = None
        if network.static_convolution is not None:
            whole = first.scaled(network.static_convolution.weight)
            fixed = static.clone()
            fixed[self._changing] = 0
            self._fixed = functional.conv2d(fixed[None], whole)
            self._weight = whole[:, self._changing] if len(changing) else None

    def day(self, frame: Tensor) -> Tensor:
        gates = self._layers[0].of_input(frame[None])
        return gates if self._fixed is None else gates.add_(self._fixed)

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        own = None if self._weight is None else functional.conv2d(static[self._changing][None], self._weight)
        states = _unrolled(self._layers[0], days, own)
        for layer in self._layers[1:]:
            states = _unrolled(layer, [layer.of_input(state) for state in states], None)
        return self._network.read(states[-1])


def layers(network: ConvLSTM) -> list[Gates]:
    """The weights of each layer, first layer first."""
    return [Gates(cell) for cell in network.cells if isinstance(cell, ConvLSTMCell)]


def _unrolled(layer: Gates, inputs: Sequence[Tensor], more: Tensor | None) -> list[Tensor]:
    """The hidden state after each step; `inputs` are the gates of each, and `more` is added to all of them."""
    hidden: list[Tensor] = []
    cell: Tensor | None = None
    for gates in inputs:
        if hidden:
            total = layer.of_state(hidden[-1])
            total += middle(gates, total)
        else:
            total = gates.clone()
        if more is not None:
            total += middle(more, total)
        state, cell = step(total.sigmoid_(), None if cell is None else middle(cell, total))
        hidden.append(state)
    return hidden


class Multirate:
    """What a day's weather adds to the recurrence is made once, and so is what static features that stay add to fusion.

    The recurrence is `torch.nn.LSTM` of one layer; as in `mlssm.models.gates` one sigmoid serves all gates.
    """

    def __init__(self, network: MultirateConvLSTM, static: Tensor, changing: Sequence[int]) -> None:
        """Take a network's weights; arguments as of `series`."""
        self._network = network
        self._changing = torch.tensor(list(changing), dtype=torch.long, device=static.device)
        hidden, own = network.recurrence.hidden_size, dict(network.recurrence.named_parameters())
        self._input = doubled(own["weight_ih_l0"], hidden).T
        self._hidden = doubled(own["weight_hh_l0"], hidden).T
        self._bias = doubled(own["bias_ih_l0"] + own["bias_hh_l0"], hidden)
        self._state, fusion = network.fusion.weight[:, :hidden], network.fusion.weight[:, hidden:]
        self._own = fusion[:, self._changing] if len(changing) else None
        fixed = static.clone()
        fixed[self._changing] = 0
        self._fixed = functional.conv2d(fixed[None], fusion, network.fusion.bias)
        self._of_fixed = averaged(fixed[None], network.ratio)[0].flatten(1).T @ self._input[-len(static) :]
        self._of_changing = self._input[-len(static) :][self._changing]

    def day(self, frame: Tensor) -> Tensor:
        """What a day's weather adds to the gates, [cells, 4 hidden]."""
        return torch.addmm(self._bias, frame.flatten(1).T, self._input[: len(frame)])

    def map(self, days: Sequence[Tensor], static: Tensor) -> Prediction:
        """See `Series`."""
        cells, state = self.cells(static), None
        for day in days:
            state = self.after(day, cells, state)
        assert state is not None
        return self.read(state, static)

    def cells(self, static: Tensor) -> Tensor:
        """What static features [static, H, W] add to the gates, [cells, 4 hidden]."""
        changing = static[self._changing][None]
        return torch.addmm(self._of_fixed, averaged(changing, self._network.ratio)[0].flatten(1).T, self._of_changing)

    def after(self, day: Tensor, cells: Tensor, state: State | None) -> State:
        """Hidden and cell state [cells, hidden] after a day; None before the first."""
        if state is None:
            return step((day + cells).sigmoid_(), None)
        gates = torch.addmm(day, state[0], self._hidden)
        return step(gates.add_(cells).sigmoid_(), state[1])

    def read(self, state: State, static: Tensor) -> Prediction:
        """The map after the last day, see `MultirateConvLSTM.predict`."""
        network, given = self._network, static[None]
        fused = functional.conv2d(network.at_pixels((state[0][None], state[1][None]), given), self._state)
        fused += self._fixed
        if self._own is not None:
            fused += functional.conv2d(given[:, self._changing], self._own)
        return network.read(fused.relu_())
