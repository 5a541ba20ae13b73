"""A recurrence on a coarse grid, where the weather has its own resolution, whose state meets the terrain once.

Interpolated weather is smooth over kilometres, so that a recurrence on every pixel repeats itself. Here it runs on
cells of `ratio` x `ratio` pixels, as a ConvLSTM with kernels of 1 x 1, which is `torch.nn.LSTM` at each cell. The last
state is brought to the pixels (bilinear) and fused with the static features there. A long window costs little more than
a short one, and the state can be carried from day to day.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mlssm.config import Channels, ModelSettings
from mlssm.models.convlstm import PaddingMode, bounded_spread
from mlssm.models.frames import InputDropout
from mlssm.models.prediction import Prediction

State = tuple[Tensor, Tensor]
"""Hidden and cell state, [layers, B * cells, hidden]."""


class MultirateSettings(ModelSettings):
    """Size and regularisation of the network; see `MultirateConvLSTM`."""

    title: ClassVar[str] = "Multirate ConvLSTM"
    states_spread: ClassVar[bool] = True

    ratio: int = Field(ge=1)
    hidden: int = Field(ge=1)
    layers: int = Field(ge=1)
    fused: int = Field(ge=1)
    kernel: Literal[1, 3, 5, 7]
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)
    padding: PaddingMode

    @property
    def weather_ratio(self) -> int:
        """It is fed with the weather of its own cells."""
        return self.ratio

    @property
    def margin(self) -> int:
        """What the fusion reaches."""
        return self.kernel // 2

    def reach(self, steps: int) -> int | None:
        """The fusion's kernel, and from there the nearer two cells along each axis, of which one may lie farther."""
        return self.kernel // 2 + 3 * self.ratio // 2

    def build(self, channels: Channels, *, spread: bool) -> nn.Module:
        """The network for these channels; with `spread` it has a second head."""
        return self.network(channels, spread=spread)

    def network(self, channels: Channels, *, spread: bool, bounded: bool = True) -> MultirateConvLSTM:
        """The same, or for a residual without a bound; see `MultirateConvLSTM`."""
        return MultirateConvLSTM(len(channels.dynamic), len(channels.static), self, spread, bounded)


class MultirateConvLSTM(nn.Module):
    """A recurrence on cells, and a head of two convolutions on pixels."""

    def __init__(
        self, dynamic: int, static: int, settings: MultirateSettings, spread: bool, bounded: bool = True
    ) -> None:
        """Build recurrence and head.

        Args:
            dynamic: Channels of each step.
            static: Channels that do not change over the steps; may be 0.
            settings: Sizes and regularisation.
            spread: Whether a second head states the spread of the error.
            bounded: Whether a sigmoid keeps the mean in (0, 1); else it is any number, as a residual is.
        """
        super().__init__()
        self.bounded = bounded
        self.ratio, hidden, fused = settings.ratio, settings.hidden, settings.fused
        between = settings.dropout if settings.layers > 1 else 0.0
        self.recurrence = nn.LSTM(dynamic + static, hidden, settings.layers, dropout=between)
        self.input_dropout, self.dropout = InputDropout(settings.input_dropout), nn.Dropout2d(settings.dropout)
        self.fusion = nn.Conv2d(hidden + static, fused, settings.kernel, padding="same", padding_mode=settings.padding)
        self.head = nn.Conv2d(fused, 1, kernel_size=1)
        self.variance_head = nn.Conv2d(fused, 1, kernel_size=1) if spread else None
        for name, bias in self.recurrence.named_parameters():
            if name.startswith("bias"):  # torch adds two; the forget gate's sum starts at 1 (Jozefowicz et al. 2015)
                nn.init.zeros_(bias)
                nn.init.constant_(bias[hidden : 2 * hidden], 0.5)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """Predict the map that follows the last step.

        Args:
            dynamic: Oldest step first, at pixels, [B, T, dynamic, H, W], or at cells of `ratio` pixels from the first
                row and column on, [B, T, dynamic, ceil(H / ratio), ceil(W / ratio)].
            static: [B, static, H, W].

        Returns:
            SSM in (0, 1), unless it is not bounded, and with the second head its spread.
        """
        return self.predict(self.carry(None, self.input_dropout(dynamic), static), static)

    def carry(self, state: State | None, dynamic: Tensor, static: Tensor) -> State:
        """The recurrence's state, some days further: a year of daily maps then costs one pass over the weather.

        Args:
            state: What this gave for the days before; None before the first.
            dynamic: The weather of the days that follow, as in `forward`.
            static: [B, static, H, W].
        """
        frames = self._at_cells(dynamic, static)
        fixed = averaged(static, self.ratio)[:, None].expand(-1, frames.shape[1], -1, -1, -1)
        joined = torch.cat([frames, fixed], dim=2).permute(1, 0, 3, 4, 2)  # [T, B, rows, cols, channel]
        _, carried = self.recurrence(joined.flatten(1, 3), state)
        return carried  # type: ignore[no-any-return]

    def predict(self, state: State, static: Tensor) -> Prediction:
        """The map after the last day carried: that of `forward` on all of its days, whose number is not bounded."""
        fine = self.dropout(self.at_pixels(state, static))
        return self.read(torch.relu(self.fusion(torch.cat([fine, static], dim=1))))

    def at_pixels(self, state: State, static: Tensor) -> Tensor:
        """The last layer's hidden state, bilinear between its cells, [B, hidden, H, W]."""
        (batch, _, height, width), ratio = static.shape, self.ratio
        rows, cols = -(-height // ratio), -(-width // ratio)
        coarse = state[0][-1].reshape(batch, rows, cols, -1).movedim(-1, 1)
        size = rows * ratio, cols * ratio
        return functional.interpolate(coarse, size, mode="bilinear", align_corners=False)[..., :height, :width]

    def read(self, fused: Tensor) -> Prediction:
        """What both heads make of the fused features, [B, fused, H, W]."""
        found = self.head(fused)
        mean = torch.sigmoid(found) if self.bounded else found
        return Prediction(mean, None if self.variance_head is None else bounded_spread(self.variance_head(fused)))

    def _at_cells(self, dynamic: Tensor, static: Tensor) -> Tensor:
        if dynamic.shape[-2:] != static.shape[-2:]:
            return dynamic
        cells = averaged(dynamic.flatten(0, 1), self.ratio)
        return cells.reshape(*dynamic.shape[:2], *cells.shape[1:])


def averaged(values: Tensor, ratio: int) -> Tensor:
    """Means of cells of `ratio` pixels, [B, C, ceil(H / ratio), ceil(W / ratio)]; the last ones may have fewer."""
    rows, cols = (-(-side // ratio) for side in values.shape[-2:])
    if not values.numel():
        return values.new_zeros(*values.shape[:2], rows, cols)
    return functional.avg_pool2d(values, ratio, ceil_mode=True, count_include_pad=False)
