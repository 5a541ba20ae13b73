"""The convolutional LSTM of Shi et al. 2015, with static features that enter once.

Shi, X. et al. (2015): Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting. NeurIPS 28,
equation 3, with * a convolution and o the product by element:

    i_t = sigmoid(W_xi * X_t + W_hi * H_(t-1) + W_ci o C_(t-1) + b_i)
    f_t = sigmoid(W_xf * X_t + W_hf * H_(t-1) + W_cf o C_(t-1) + b_f)
    C_t = f_t o C_(t-1) + i_t o tanh(W_xc * X_t + W_hc * H_(t-1) + b_c)
    o_t = sigmoid(W_xo * X_t + W_ho * H_(t-1) + W_co o C_t + b_o)
    H_t = o_t o tanh(C_t)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mlssm.config import Channels, ModelSettings
from mlssm.models.frames import InputDropout
from mlssm.models.prediction import Prediction

DEVIATIONS = (0.01, 1.0)
"""Least and most standard deviation of its own error that a network can state, SSM units."""


MARGIN = 4
"""Pixels for each that a kernel reaches: with it a patch and a map differ by less than 1e-4 SSM."""


def margin_of(kernel: int) -> int:
    """The margin of a recurrence of convolutions, pixels."""
    return MARGIN * (kernel // 2)


PaddingMode = Literal["zeros", "replicate"]
"""What a convolution sees beyond the edge: zeros, which draw a frame, or the outermost values."""


class ConvLSTMSettings(ModelSettings):
    """Size and regularisation of the network; see `ConvLSTM`."""

    title: ClassVar[str] = "ConvLSTM"
    states_spread: ClassVar[bool] = True

    hidden: tuple[int, ...] = Field(min_length=1)
    kernel: int = Field(ge=1)
    peepholes: bool
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)
    padding: PaddingMode = "zeros"  # of models from before there was a choice

    @property
    def margin(self) -> int:
        """It reaches further with each step, but what is beyond this many pixels it hardly sees (docs/method.md)."""
        return margin_of(self.kernel)

    def reach(self, steps: int) -> int | None:
        """One kernel a layer for its input, and one a step after the first for its state."""
        return (len(self.hidden) + steps - 1) * (self.kernel // 2)

    @model_validator(mode="after")
    def _kernel_is_odd(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even; an odd one keeps the size of the map")
        return self

    def build(self, channels: Channels, *, spread: bool) -> nn.Module:
        """The network for these channels; with `spread` it has a second head."""
        return self.network(channels, spread=spread)

    def network(self, channels: Channels, *, spread: bool, bounded: bool = True) -> ConvLSTM:
        """The same, or for a residual without a bound; see `ConvLSTM`."""
        return ConvLSTM(
            len(channels.dynamic),
            len(channels.static),
            hidden=self.hidden,
            kernel=self.kernel,
            peepholes=self.peepholes,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            spread=spread,
            bounded=bounded,
            padding_mode=self.padding,
        )


class State(NamedTuple):
    """The recurrent state: hidden H and cell C, both [B, hidden, H, W]."""

    hidden: Tensor
    cell: Tensor


class Peepholes(nn.Module):
    """The weights W_ci, W_cf, W_co, [hidden, 1, 1]: one a channel, not one a pixel as the paper's, so any size fits."""

    def __init__(self, hidden_channels: int) -> None:
        """Start at zero, where the cell equals one without peepholes."""
        super().__init__()
        self.input = nn.Parameter(torch.zeros(hidden_channels, 1, 1))
        self.forget = nn.Parameter(torch.zeros(hidden_channels, 1, 1))
        self.output = nn.Parameter(torch.zeros(hidden_channels, 1, 1))


class ConvLSTMCell(nn.Module):
    """One layer's gates and recurrence (Shi et al. 2015, equation 3), gates in `torch.nn.LSTM`'s order: i, f, g, o."""

    def __init__(
        self,
        input_channels: int,
        hidden_channels: int,
        kernel: int,
        *,
        peepholes: bool = False,
        padding: int | Literal["same"] = "same",
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        """Build the two convolutions; the forget gate's bias starts at 1 (Jozefowicz et al. 2015), the others at 0.

        Args:
            input_channels: Channels of each step's input.
            hidden_channels: Channels of hidden and cell state.
            kernel: Side of both convolutions' kernels, pixels.
            peepholes: Whether the gates see the cell state.
            padding: Of the input convolution, pixels; the recurrent one always keeps the size.
            padding_mode: What both see beyond the edge.
        """
        super().__init__()
        self.hidden_channels = hidden_channels
        gates, mode = 4 * hidden_channels, padding_mode
        self.input_convolution = nn.Conv2d(input_channels, gates, kernel, padding=padding, padding_mode=mode)
        self.hidden_convolution = nn.Conv2d(
            hidden_channels, gates, kernel, padding="same", bias=False, padding_mode=mode
        )
        self.peepholes = Peepholes(hidden_channels) if peepholes else None
        bias = self.input_convolution.bias
        assert bias is not None
        nn.init.zeros_(bias)
        nn.init.ones_(bias[hidden_channels : 2 * hidden_channels])

    def initial_state(self, like: Tensor) -> State:
        """The zero state as one pixel that broadcasts: the first step's recurrent convolution then costs nothing.

        Its (zero) gradient still reaches the recurrent weights, which DDP needs where a sequence has a single step.
        """
        zeros = like.new_zeros(1, self.hidden_channels, 1, 1)
        return State(zeros, zeros)

    def forward(self, frame: Tensor, state: State | None = None, static_gates: Tensor | None = None) -> State:
        """One step of the recurrence.

        Args:
            frame: The step's input X_t, [B, input, H, W].
            state: The state after the step before; the zero state if None.
            static_gates: What is added to the four gates at every step, [B, 4 hidden, H, W].

        Returns:
            The state after this step.
        """
        gates = self.input_convolution(frame)
        state = self.initial_state(gates) if state is None else state
        gates += self.hidden_convolution(state.hidden)  # in place: a step's gates are its largest tensor
        if static_gates is not None:
            gates += static_gates
        i, f, g, o = gates.chunk(4, dim=1)
        if self.peepholes is not None:
            i = i + self.peepholes.input * state.cell
            f = f + self.peepholes.forget * state.cell
        cell = torch.sigmoid(f) * state.cell + torch.sigmoid(i) * torch.tanh(g)
        if self.peepholes is not None:
            o = o + self.peepholes.output * cell
        return State(torch.sigmoid(o) * torch.tanh(cell), cell)

    def unroll(self, frames: Tensor, static_gates: Tensor | None = None) -> list[State]:
        """Run over a sequence from the zero state, step by step: the gates of all steps at once fit no cache.

        Args:
            frames: The inputs, steps first: [T, B, input, H, W].
            static_gates: As in `forward`.

        Returns:
            The state after each step.
        """
        state: State | None = None
        states = []
        for frame in frames:
            state = self(frame, state, static_gates)
            states.append(state)
        return states


class ConvLSTM(nn.Module):
    """Stacked ConvLSTM layers and a sigmoid head: from weather sequences and static features to a map of SSM."""

    def __init__(
        self,
        dynamic_channels: int,
        static_channels: int,
        hidden: Sequence[int],
        kernel: int,
        peepholes: bool,
        dropout: float,
        input_dropout: float = 0.0,
        spread: bool = False,
        bounded: bool = True,
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        """Build the layers.

        Args:
            dynamic_channels: Channels of each step.
            static_channels: Channels that do not change over the steps; may be 0.
            hidden: Hidden channels of each layer, first layer first.
            kernel: Side of the kernels, pixels, odd.
            peepholes: Whether the gates see the cell state.
            dropout: Share of channels that are dropped after each layer while training, 0..1.
            input_dropout: Share of weather variables that are set to their mean (0) over a whole patch and window while
                training, 0..1. Few dates are soon told apart by any one variable; this keeps the network from it.
            spread: Whether a second head states the spread of the error.
            bounded: Whether a sigmoid keeps the mean in (0, 1); else it is any number, as a residual is.
            padding_mode: What the convolutions see beyond the edge.
        """
        super().__init__()
        inputs = (dynamic_channels, *hidden[:-1])
        self.cells = nn.ModuleList(
            ConvLSTMCell(channels, size, kernel, peepholes=peepholes, padding_mode=padding_mode)
            for channels, size in zip(inputs, hidden, strict=True)
        )
        self.static_convolution = (
            nn.Conv2d(static_channels, 4 * hidden[0], kernel, padding="same", bias=False, padding_mode=padding_mode)
            if static_channels
            else None
        )
        self.dropout = nn.Dropout2d(dropout)
        self.input_dropout = InputDropout(input_dropout)
        self.head = nn.Conv2d(hidden[-1], 1, kernel_size=1)
        self.bounded = bounded
        self.variance_head = nn.Conv2d(hidden[-1], 1, kernel_size=1) if spread else None

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """Predict the map that follows the last step.

        Args:
            dynamic: [B, T, dynamic_channels, H, W], oldest step first.
            static: [B, static_channels, H, W]; not read where `static_channels` is 0.

        Returns:
            SSM in (0, 1), unless it is not bounded, and with the second head its spread, between `DEVIATIONS`.
        """
        return self.read(self.dropout(self._unroll(dynamic, static)[-1]))

    def read(self, hidden: Tensor) -> Prediction:
        """What both heads make of the last layer's hidden state, [B, hidden[-1], H, W]."""
        state = self.head(hidden)
        mean = torch.sigmoid(state) if self.bounded else state
        return Prediction(mean, None if self.variance_head is None else bounded_spread(self.variance_head(hidden)))

    def states(self, dynamic: Tensor, static: Tensor) -> Tensor:
        """The last layer's hidden state after each step, [B, T, hidden[-1], H, W]; arguments as in `forward`."""
        return torch.stack(self._unroll(dynamic, static), dim=1)

    def _unroll(self, dynamic: Tensor, static: Tensor) -> list[Tensor]:
        # W * [X_t, S] = W_x * X_t + W_s * S, and the second term is the same at every step
        gates = None if self.static_convolution is None else self.static_convolution(static)
        first, *others = (cell for cell in self.cells if isinstance(cell, ConvLSTMCell))
        states = first.unroll(self.input_dropout(dynamic).transpose(0, 1), gates)
        for cell in others:
            frames = self.dropout(torch.cat([state.hidden for state in states]))
            states = cell.unroll(frames.unflatten(0, (len(states), -1)))
        return [state.hidden for state in states]


def bounded_spread(state: Tensor) -> Tensor:
    """A standard deviation between `DEVIATIONS`: a sigmoid keeps its logarithm there, where a clamp has no gradient."""
    least, most = (math.log(deviation) for deviation in DEVIATIONS)
    return (least + (most - least) * torch.sigmoid(state)).exp()
