"""torchgeo's ConvLSTM (https://torchgeo.readthedocs.io): static features at every step, zeros beyond the edge."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mlssm.config import Channels, ModelSettings
from mlssm.models.convlstm import margin_of
from mlssm.models.frames import InputDropout, frames
from mlssm.models.prediction import Prediction


class TorchgeoConvLSTMSettings(ModelSettings):
    """Size and regularisation."""

    title: ClassVar[str] = "torchgeo ConvLSTM"

    hidden: tuple[int, ...] = Field(min_length=1)
    kernel: Literal[1, 3, 5, 7]
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)

    @property
    def margin(self) -> int:
        """As the ConvLSTM's."""
        return margin_of(self.kernel)

    def reach(self, steps: int) -> int | None:
        """One kernel a layer for its input, and one a step after the first for its state."""
        return (len(self.hidden) + steps - 1) * (self.kernel // 2)

    def build(self, channels: Channels, *, spread: bool) -> TorchgeoConvLSTM:
        """The network for these channels."""
        from torchgeo.models import ConvLSTM  # seconds: not where another model is trained

        inputs = len(channels.dynamic) + len(channels.static)
        layers = ConvLSTM(inputs, list(self.hidden), self.kernel, len(self.hidden))
        return TorchgeoConvLSTM(layers, self)


class TorchgeoConvLSTM(nn.Module):
    """Its layers, and a sigmoid head."""

    def __init__(self, layers: nn.Module, settings: TorchgeoConvLSTMSettings) -> None:
        """Add the head to the layers."""
        super().__init__()
        self.layers, self.input_dropout = layers, InputDropout(settings.input_dropout)
        self.dropout = nn.Dropout2d(settings.dropout)
        self.head = nn.Conv2d(settings.hidden[-1], 1, kernel_size=1)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """SSM in (0, 1) after the last step."""
        (states,), _ = self.layers(frames(self.input_dropout(dynamic), static))
        return Prediction(torch.sigmoid(self.head(self.dropout(states[:, -1]))))
