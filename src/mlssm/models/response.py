"""The closed-form response with a residual network on top, which starts at zero.

SSM = base + r: the base is fitted before the training (`mlssm.response`) and comes as a channel, the residual r is what
a network learns of what the base leaves. Its head starts at zero, so that the untrained network is the base.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mlssm.config import Channels
from mlssm.models.convlstm import ConvLSTM, ConvLSTMSettings
from mlssm.models.multirate import MultirateConvLSTM, MultirateSettings
from mlssm.models.prediction import Prediction

BASE = "base"
Residual = ConvLSTM | MultirateConvLSTM


class ResponseSettings(ConvLSTMSettings):
    """Which network learns the residual, and its size and regularisation.

    Of a multirate ConvLSTM, `hidden` has a number a layer, all the same, and `ratio` is that of its cells.
    """

    title: ClassVar[str] = "Response"
    needs_response: ClassVar[bool] = True
    starts_as_response: ClassVar[bool] = True

    residual: Literal["convlstm", "multirate_convlstm", "none"]
    ratio: int = Field(default=8, ge=1)

    @property
    def weather_ratio(self) -> int:
        """That of the residual network; without one no weather is looked at."""
        return 1 if self.residual == "convlstm" else self.ratio

    @property
    def margin(self) -> int:
        """That of the residual network."""
        if self.residual == "none":
            return 0
        return self._multirate().margin if self.residual == "multirate_convlstm" else super().margin

    def reach(self, steps: int) -> int | None:
        """That of the residual network."""
        if self.residual == "none":
            return 0
        return self._multirate().reach(steps) if self.residual == "multirate_convlstm" else super().reach(steps)

    def build(self, channels: Channels, *, spread: bool) -> nn.Module:
        """The network for these channels; the residual is 0 until it is trained."""
        position = channels.static.index(BASE)
        scale = len(channels.dynamic) + position
        residual = self._residual(channels, spread=spread)
        return ResponseNetwork(position, channels.means[scale], channels.stds[scale], residual)

    def _residual(self, channels: Channels, *, spread: bool) -> Residual | None:
        if self.residual == "none":
            return None
        if self.residual == "multirate_convlstm":
            return self._multirate().network(channels, spread=spread, bounded=False)
        return self.network(channels, spread=spread, bounded=False)

    def _multirate(self) -> MultirateSettings:
        values = self.model_dump(include={"kernel", "dropout", "input_dropout", "padding", "ratio", "family"})
        sizes = {"hidden": self.hidden[0], "layers": len(self.hidden), "fused": self.hidden[0]}
        return MultirateSettings(**values, **sizes)


class ResponseNetwork(nn.Module):
    """Base and residual."""

    base_mean: Tensor
    base_std: Tensor

    def __init__(self, position: int, mean: float, std: float, residual: Residual | None) -> None:
        """Set the residual's head to zero.

        Args:
            position: Of the base among the static channels.
            mean: That the base was scaled by.
            std: Likewise.
            residual: The network that learns it, not bounded; None for none.
        """
        super().__init__()
        self.position, self.residual = position, residual
        # no part of the state: weights of another run (warm_start) must not bring that run's scaling of the base
        self.register_buffer("base_mean", torch.tensor(mean), persistent=False)
        self.register_buffer("base_std", torch.tensor(std), persistent=False)
        if residual is not None:
            nn.init.zeros_(residual.head.weight)
            assert residual.head.bias is not None
            nn.init.zeros_(residual.head.bias)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """Predict the map that follows the last step.

        Args:
            dynamic: [B, T, dynamic, H, W], oldest step first; of cells for a multirate residual.
            static: [B, static, H, W], with the base.

        Returns:
            SSM, and the residual network's spread if it states one.
        """
        if self.residual is None:
            return Prediction(self.base(static))
        found: Prediction = self.residual(dynamic, static)
        return self.onto_base(found, static)

    def onto_base(self, residual: Prediction, static: Tensor) -> Prediction:
        """The residual on top of the base, of whose pixels it may have the middle alone."""
        base = Prediction(self.base(static)).middle(residual.mean)
        return Prediction(base.mean + residual.mean, residual.spread)

    def base(self, static: Tensor) -> Tensor:
        """The base in SSM units, [B, 1, H, W], of the scaled static features."""
        return static[:, self.position : self.position + 1] * self.base_std + self.base_mean
