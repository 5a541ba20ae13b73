"""An LSTM of single pixels: what a network knows without any neighbour."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mlssm.config import Channels, ModelSettings
from mlssm.models.frames import InputDropout, frames
from mlssm.models.prediction import Prediction


class LSTMSettings(ModelSettings):
    """Size and regularisation."""

    title: ClassVar[str] = "LSTM of pixels"

    hidden: int = Field(ge=1)
    layers: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)

    def reach(self, steps: int) -> int | None:
        """No neighbour."""
        return 0

    def build(self, channels: Channels, *, spread: bool) -> PixelLSTM:
        """The network for these channels."""
        return PixelLSTM(len(channels.dynamic) + len(channels.static), self)


class PixelLSTM(nn.Module):
    """`torch.nn.LSTM` at each pixel, static features at every step, and a sigmoid head."""

    def __init__(self, inputs: int, settings: LSTMSettings) -> None:
        """Build layers and head."""
        super().__init__()
        between = settings.dropout if settings.layers > 1 else 0.0
        self.layers = nn.LSTM(inputs, settings.hidden, settings.layers, dropout=between)
        self.input_dropout, self.dropout = InputDropout(settings.input_dropout), nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden, 1)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """SSM in (0, 1) after the last step."""
        sequence = frames(self.input_dropout(dynamic), static).permute(1, 0, 3, 4, 2)  # [T, B, H, W, C]
        _, (state, _) = self.layers(sequence.flatten(1, 3))
        mean = torch.sigmoid(self.head(self.dropout(state[-1])))
        return Prediction(mean.reshape(len(dynamic), 1, *dynamic.shape[-2:]))
