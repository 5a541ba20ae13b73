"""The convolutional gated recurrent unit, with static features at every step.

Ballas, N. et al. (2016): Delving Deeper into Convolutional Networks for Learning Video Representations. ICLR,
arXiv:1511.06432, equations 5 to 8, with * a convolution and o the product by element:

    z_t = sigmoid(W_z * X_t + U_z * H_(t-1))
    r_t = sigmoid(W_r * X_t + U_r * H_(t-1))
    G_t = tanh(W * X_t + U * (r_t o H_(t-1)))
    H_t = (1 - z_t) o H_(t-1) + z_t o G_t
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mlssm.config import Channels, ModelSettings
from mlssm.models.convlstm import margin_of
from mlssm.models.frames import InputDropout, frames
from mlssm.models.prediction import Prediction


class ConvGRUSettings(ModelSettings):
    """Size and regularisation."""

    title: ClassVar[str] = "ConvGRU"

    hidden: int = Field(ge=1)
    kernel: Literal[1, 3, 5, 7]
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)

    @property
    def margin(self) -> int:
        """As the ConvLSTM's."""
        return margin_of(self.kernel)

    def reach(self, steps: int) -> int | None:
        """Two kernels a step, as the state passes one to the reset gate and one to the candidate."""
        return (2 * steps - 1) * (self.kernel // 2)

    def build(self, channels: Channels, *, spread: bool) -> ConvGRU:
        """The network for these channels."""
        return ConvGRU(len(channels.dynamic) + len(channels.static), self)


class ConvGRU(nn.Module):
    """One layer, and a sigmoid head."""

    def __init__(self, inputs: int, settings: ConvGRUSettings) -> None:
        """Build the convolutions; beyond the edge they see the outermost values."""
        super().__init__()
        hidden, kernel = settings.hidden, settings.kernel

        def convolution(before: int, after: int, *, bias: bool) -> nn.Conv2d:
            return nn.Conv2d(before, after, kernel, padding="same", padding_mode="replicate", bias=bias)

        self.hidden = hidden
        self.input_convolution = convolution(inputs, 3 * hidden, bias=True)
        self.gate_convolution = convolution(hidden, 2 * hidden, bias=False)
        self.state_convolution = convolution(hidden, hidden, bias=False)
        self.input_dropout, self.dropout = InputDropout(settings.input_dropout), nn.Dropout2d(settings.dropout)
        self.head = nn.Conv2d(hidden, 1, kernel_size=1)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """SSM in (0, 1) after the last step."""
        sequence = frames(self.input_dropout(dynamic), static)
        state = sequence.new_zeros(len(sequence), self.hidden, *sequence.shape[-2:])
        for frame in sequence.unbind(dim=1):
            state = self.step(frame, state)
        return Prediction(torch.sigmoid(self.head(self.dropout(state))))

    def step(self, frame: Tensor, state: Tensor) -> Tensor:
        """The state H_t from X_t, [B, inputs, H, W], and H_(t-1), [B, hidden, H, W]."""
        gates, candidate = self.input_convolution(frame).split([2 * self.hidden, self.hidden], dim=1)
        z, r = torch.sigmoid(gates + self.gate_convolution(state)).chunk(2, dim=1)
        return torch.lerp(state, torch.tanh(candidate + self.state_convolution(r * state)), z)
