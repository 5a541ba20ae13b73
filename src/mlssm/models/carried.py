"""Recurrent networks whose state is carried from day to day, so that a day's map costs a step and not a window.

Static features that change with the date enter at each step as they are on its own day, where in a window those of the
mapped day enter at all steps: maps differ a little from a window's (docs/maps.md says by how much). Of a state that
began some days ago the pixels shrink with each step by what a convolution reaches, until after the last step those are
left whose map is wanted. Steps are made in strips of rows, see `mlssm.models.gates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlssm.models.convlstm import ConvLSTM
from mlssm.models.gates import Gates, step, strips
from mlssm.models.multirate import MultirateConvLSTM
from mlssm.models.multirate import State as CellState
from mlssm.models.prediction import Prediction
from mlssm.models.response import ResponseNetwork
from mlssm.models.series import Multirate, is_of_two_rates, is_plain, layers


class Carrier(Protocol):
    """A network on some pixels. A state is its own, and changes in place."""

    def begin(self, days: int) -> Any:
        """A state before the first of so many days."""

    def advance(self, frame: Tensor, static: Tensor, states: Sequence[Any]) -> None:
        """Take states a day further.

        Args:
            frame: The day's weather, scaled, [dynamic, h, w], of cells for a network of two rates.
            static: [static, H, W] as on that day.
            states: Those that the day is a step of.
        """

    def map(self, state: Any, static: Tensor) -> Prediction:
        """The map after the last step, [1, 1, h, w]; less at each side what the longest chain reaches, or fewer."""


def carries(network: nn.Module) -> bool:
    """Whether `carrier` knows a network."""
    if type(network) is ResponseNetwork:
        return network.residual is not None and carries(network.residual)
    return is_plain(network) or is_of_two_rates(network)


def is_faster(network: nn.Module) -> bool:
    """Whether carrying makes maps faster: a recurrence on cells costs next to nothing, and days before the first do."""
    return carries(network) and not is_of_two_rates(
        network.residual if isinstance(network, ResponseNetwork) else network
    )


def carrier(network: nn.Module, static: Tensor, changing: Sequence[int], most: int) -> Carrier:
    """A network on some pixels.

    Args:
        network: In evaluation mode, one that `carries`.
        static: Static features [static, H, W], scaled, on the network's device; of a day that is taken a step,
            only those at `changing` may differ.
        changing: Positions of the channels that change with the date.
        most: Days of the longest chain.

    Raises:
        ValueError: The network does not carry a state.
    """
    if type(network) is ResponseNetwork and network.residual is not None:
        return _Response(network, carrier(network.residual, static, changing, most))
    if is_plain(network):
        return _ConvLSTM(network, static, changing, most)
    if is_of_two_rates(network):
        return _Multirate(network, static, changing)
    raise ValueError(f"{type(network).__name__} does not carry a state")


class _Response:
    """Base and residual."""

    def __init__(self, network: ResponseNetwork, residual: Carrier) -> None:
        self._network, self._residual = network, residual

    def begin(self, days: int) -> Any:
        return self._residual.begin(days)

    def advance(self, frame: Tensor, static: Tensor, states: Sequence[Any]) -> None:
        self._residual.advance(frame, static, states)

    def map(self, state: Any, static: Tensor) -> Prediction:
        return self._network.onto_base(self._residual.map(state, static), static[None])


class _Multirate:
    """The recurrence runs on cells: all of them at each step."""

    def __init__(self, network: MultirateConvLSTM, static: Tensor, changing: Sequence[int]) -> None:
        self._series = Multirate(network, static, changing)

    def begin(self, days: int) -> list[CellState]:
        return []

    def advance(self, frame: Tensor, static: Tensor, states: Sequence[list[CellState]]) -> None:
        day, cells = self._series.day(frame), self._series.cells(static)
        for state in states:
            state[:] = [self._series.after(day, cells, state[0] if state else None)]

    def map(self, state: list[CellState], static: Tensor) -> Prediction:
        return self._series.read(state[0], static)


class _LayerState:
    """Hidden and cell state of a layer, of which the middle is known."""

    def __init__(self, channels: int, like: Tensor) -> None:
        self.cell, self.hidden, self._next = (like.new_empty(1, channels, *like.shape[-2:]) for _ in range(3))
        self.begun = False

    def put(self, layer: Gates, gates: Tensor, rows: slice, cols: slice) -> None:
        """A step of some rows and columns; `gates` are those of its input there, and stay as they are."""
        if self.begun:
            around = slice(rows.start - layer.reach, rows.stop + layer.reach)
            beside = slice(cols.start - layer.reach, cols.stop + layer.reach)
            total = layer.of_state(self.hidden[..., around, beside]).add_(gates).sigmoid_()
        else:
            total = gates.sigmoid()
        hidden, cell = step(total, self.cell[..., rows, cols] if self.begun else None)
        self._next[..., rows, cols], self.cell[..., rows, cols] = hidden, cell

    def end_step(self) -> None:
        """All rows are put."""
        self.hidden, self._next, self.begun = self._next, self.hidden, True


class _State:
    """Of all layers, and how many days follow."""

    def __init__(self, days: int, states: list[_LayerState]) -> None:
        self.left, self.layers = days, states


class _ConvLSTM:
    """All states that a day is a step of share what the day adds to the gates, strip by strip."""

    def __init__(self, network: ConvLSTM, static: Tensor, changing: Sequence[int], most: int) -> None:
        self._network, self._layers, self._most = network, layers(network), most
        self._shape, self._like = static.shape[-2:], static[:1]
        self._changing = torch.tensor(list(changing), dtype=torch.long, device=static.device)
        first, parts = self._layers[0], []
        self._fixed: Tensor | None = None
        if network.static_convolution is not None:
            whole = first.scaled(network.static_convolution.weight)
            fixed = static.clone()
            fixed[self._changing] = 0
            self._fixed = functional.conv2d(fixed[None], whole)
            parts = [whole[:, self._changing]]
        self._weight = torch.cat([first.input, *parts], dim=1)

    def begin(self, days: int) -> _State:
        return _State(days, [_LayerState(layer.hidden, self._like) for layer in self._layers])

    def advance(self, frame: Tensor, static: Tensor, states: Sequence[_State]) -> None:
        for state in states:
            state.left -= 1
        given = torch.cat([frame, static[self._changing]] if self._fixed is not None else [frame])[None]
        widest = max(states, key=lambda state: state.left)
        rows, cols = self._region(widest, 0)
        for part in strips(rows, cols.stop - cols.start, given.device):
            gates = self._of_day(given, part, cols)
            for state in states:
                self._first(state, gates, part, cols)
        for state in states:
            state.layers[0].end_step()
            for number, (below, own) in enumerate(pairwise(state.layers), 1):
                self._next(state, number, below, own)

    def map(self, state: _State, static: Tensor) -> Prediction:
        edge = self._layers[0].reach * (len(self._layers) - 1 + self._most)
        height, width = self._shape
        return self._network.read(state.layers[-1].hidden[..., edge : height - edge, edge : width - edge])

    def _region(self, state: _State, number: int) -> tuple[slice, slice]:
        """Rows and columns of a layer's state that the days that follow need."""
        off = self._layers[0].reach * (self._most - state.left + number)
        height, width = self._shape
        return slice(off, height - off), slice(off, width - off)

    def _of_day(self, given: Tensor, rows: slice, cols: slice) -> Tensor:
        """What weather and static features add to the gates of some rows and columns."""
        first = self._layers[0]
        around = slice(rows.start - first.reach, rows.stop + first.reach)
        beside = slice(cols.start - first.reach, cols.stop + first.reach)
        gates = functional.conv2d(given[..., around, beside], self._weight, first.bias)
        if self._fixed is None:
            return gates
        # a convolution's reach is off it
        fixed = slice(around.start, rows.stop - first.reach), slice(beside.start, cols.stop - first.reach)
        return gates.add_(self._fixed[..., *fixed])

    def _first(self, state: _State, gates: Tensor, rows: slice, cols: slice) -> None:
        """The first layer's step, of what of some rows and columns the state needs."""
        wanted, beside = self._region(state, 0)
        own = slice(max(rows.start, wanted.start), min(rows.stop, wanted.stop))
        if own.start < own.stop:
            part = slice(own.start - rows.start, own.stop - rows.start)
            across = slice(beside.start - cols.start, beside.stop - cols.start)
            state.layers[0].put(self._layers[0], gates[..., part, across], own, beside)

    def _next(self, state: _State, number: int, below: _LayerState, own: _LayerState) -> None:
        """The step of a layer on top of another."""
        layer = self._layers[number]
        rows, cols = self._region(state, number)
        beside = slice(cols.start - layer.reach, cols.stop + layer.reach)
        for part in strips(rows, cols.stop - cols.start, own.cell.device):
            around = slice(part.start - layer.reach, part.stop + layer.reach)
            own.put(layer, layer.of_input(below.hidden[..., around, beside]), part, cols)
        own.end_step()
