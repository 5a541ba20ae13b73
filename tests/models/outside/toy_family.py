"""A family of models from outside the package: rain of the window and one slope a channel, without a bounded head."""

from typing import ClassVar

from torch import Tensor, nn

from mlssm.config import Channels, ModelSettings
from mlssm.models.prediction import Prediction


class Linear(nn.Module):
    def __init__(self, dynamic: int, static: int, offset: float) -> None:
        super().__init__()
        self.dynamic = nn.Conv2d(dynamic, 1, 1, bias=False)
        self.static = nn.Conv2d(static, 1, 1)
        self.offset = offset

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        return Prediction(self.offset + self.dynamic(dynamic.mean(dim=1)) + self.static(static))


class LinearSettings(ModelSettings):
    title: ClassVar[str] = "Linear"

    offset: float = 0.5

    def build(self, channels: Channels, *, spread: bool) -> Linear:
        return Linear(len(channels.dynamic), len(channels.static), self.offset)
