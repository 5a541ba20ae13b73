"""A convolutional predictor without recurrence, after SimVP with the temporal attention unit.

Gao, Z. et al. (2022): SimVP, CVPR, arXiv:2206.05099; Tan, C. et al. (2023): Temporal Attention Unit, CVPR,
arXiv:2206.12126, equations 4 to 7. The encoder sees each day by itself, the translator all days as channels, and the
decoder gives one map. Nothing is made coarser, as patches are small already.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mlssm.config import Channels, ModelSettings
from mlssm.models.frames import InputDropout, check_steps, frames
from mlssm.models.prediction import Prediction


class SimVPSettings(ModelSettings):
    """Size and regularisation; `steps` are the window's, as they are channels here."""

    title: ClassVar[str] = "SimVP-TAU"

    steps: int = Field(ge=1)
    hidden: int = Field(ge=1)
    translator: int = Field(ge=1)
    units: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)

    @property
    def margin(self) -> int:
        """What one unit's two kernels reach; what further units add is faint."""
        return 11

    def build(self, channels: Channels, *, spread: bool) -> SimVP:
        """The network for these channels."""
        return SimVP(len(channels.dynamic) + len(channels.static), self)


class AttentionUnit(nn.Module):
    """Static attention by large kernels within a map, times dynamic attention over its channels (Tan et al. 2023)."""

    def __init__(self, channels: int) -> None:
        """The paper's 5 x 5, 7 x 7 with gaps of 3, and 1 x 1."""
        super().__init__()
        depthwise = {"groups": channels, "padding": "same", "padding_mode": "replicate"}
        self.static = nn.Sequential(
            nn.Conv2d(channels, channels, 5, **depthwise),  # type: ignore[arg-type]
            nn.Conv2d(channels, channels, 7, dilation=3, **depthwise),  # type: ignore[arg-type]
            nn.Conv2d(channels, channels, 1),
        )
        squeezed = max(channels // 4, 1)
        self.dynamic = nn.Sequential(
            nn.Conv2d(channels, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, channels, 1), nn.Sigmoid()
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """`hidden`, [B, channels, H, W], and what attention adds to it."""
        weights = self.static(hidden) * self.dynamic(hidden.mean(dim=(-2, -1), keepdim=True))
        attended: Tensor = hidden + weights * hidden
        return attended


class SimVP(nn.Module):
    """Encoder, translator and decoder."""

    def __init__(self, inputs: int, settings: SimVPSettings) -> None:
        """Build them."""
        super().__init__()
        hidden, wide = settings.hidden, settings.translator
        self.steps = settings.steps
        self.input_dropout, self.dropout = InputDropout(settings.input_dropout), nn.Dropout2d(settings.dropout)
        self.encoder = nn.Conv2d(inputs, hidden, 3, padding="same", padding_mode="replicate")
        self.enter = nn.Conv2d(settings.steps * hidden, wide, kernel_size=1)
        self.units = nn.Sequential(*(AttentionUnit(wide) for _ in range(settings.units)))
        self.leave = nn.Conv2d(wide, hidden, kernel_size=1)
        self.head = nn.Conv2d(2 * hidden, 1, kernel_size=1)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """SSM in (0, 1) after the last step."""
        check_steps(dynamic, self.steps)
        sequence = frames(self.input_dropout(dynamic), static)
        encoded = torch.relu(self.encoder(sequence.flatten(0, 1))).reshape(*sequence.shape[:2], -1, *sequence.shape[3:])
        translated = torch.relu(self.leave(self.units(self.enter(encoded.flatten(1, 2)))))
        # SimVP's skip from the encoder: here that of the last day
        joined = torch.cat([translated, encoded[:, -1]], dim=1)
        return Prediction(torch.sigmoid(self.head(self.dropout(joined))))
