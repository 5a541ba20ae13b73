"""A U-Net with time as channels, of segmentation-models-pytorch, as a peer.

Ronneberger, O. et al. (2015), arXiv:1505.04597; https://github.com/qubvel-org/segmentation_models.pytorch.
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mlssm.config import Channels, ModelSettings
from mlssm.errors import ConfigError
from mlssm.models.frames import InputDropout, check_steps
from mlssm.models.prediction import Prediction
from mlssm.models.reach import probed_reach


class UNetSettings(ModelSettings):
    """Size and regularisation; `steps` are the window's, as they are channels here."""

    title: ClassVar[str] = "U-Net"

    steps: int = Field(ge=1)
    encoder: str
    decoder: tuple[int, ...] = Field(min_length=3, max_length=5)
    input_dropout: float = Field(ge=0, lt=1)

    @property
    def margin(self) -> int:
        """As much as its coarsest pixels cover; what is further it sees a little of."""
        return int(2 ** len(self.decoder))

    @property
    def coarsest_cell(self) -> int:
        """Each stage halves the map."""
        return int(2 ** len(self.decoder))

    def reach(self, steps: int) -> int | None:
        """What encoder and decoder see; None for an encoder that looks at the whole map, as one with attention does."""
        return _reach(self.encoder, len(self.decoder))

    def build(self, channels: Channels, *, spread: bool) -> UNet:
        """The network for these channels, with random weights.

        Raises:
            ConfigError: segmentation-models-pytorch is not installed, or has no such encoder.
        """
        inputs = self.steps * len(channels.dynamic) + len(channels.static)
        return UNet(_layers(self.encoder, self.decoder, inputs), self)


def _layers(encoder: str, decoder: tuple[int, ...], inputs: int) -> nn.Module:
    try:
        from segmentation_models_pytorch import Unet
    except ImportError:
        raise ConfigError("model=unet needs segmentation-models-pytorch: pip install 'mlssm[peers]'") from None
    channels = {"encoder_depth": len(decoder), "decoder_channels": decoder, "in_channels": inputs, "classes": 1}
    try:
        layers: nn.Module = Unet(encoder, encoder_weights=None, **channels)
    except KeyError:
        raise ConfigError(f"model.encoder={encoder} is not one of segmentation-models-pytorch's") from None
    return layers


@cache
def _reach(encoder: str, stages: int) -> int | None:
    with torch.random.fork_rng(devices=()):
        layers = _layers(encoder, (1,) * stages, 1)  # how many channels there are changes nothing
    return probed_reach(layers, int(2**stages))


class UNet(nn.Module):
    """Its layers, on sides that are brought to whole coarse pixels, and a sigmoid."""

    def __init__(self, layers: nn.Module, settings: UNetSettings) -> None:
        """Keep layers and settings."""
        super().__init__()
        self.layers, self.steps, self.whole = layers, settings.steps, settings.coarsest_cell
        self.input_dropout = InputDropout(settings.input_dropout)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """SSM in (0, 1)."""
        check_steps(dynamic, self.steps)
        joined = torch.cat([self.input_dropout(dynamic).flatten(1, 2), static], dim=1)
        height, width = joined.shape[-2:]
        # two coarse pixels at least: the statistics of a batch need more than one value
        bottom, right = (max(-side % self.whole, 2 * self.whole - side) for side in (height, width))
        padded = functional.pad(joined, (0, right, 0, bottom), mode="replicate")
        return Prediction(torch.sigmoid(self.layers(padded)[..., :height, :width]))
