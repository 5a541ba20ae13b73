"""What a bundle says of its model: all that inference needs of the training, and nothing else of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import SerializeAsAny, field_validator

from mlssm import __version__
from mlssm.config import (
    DatamoduleConfig,
    FeaturesConfig,
    ImagesConfig,
    ModelSettings,
    Strict,
    TrainConfig,
    WeatherConfig,
    WindowConfig,
)
from mlssm.config.models import typed_settings
from mlssm.data.spec import FeatureSpec
from mlssm.errors import RunError


class Bundle(Strict):
    """What a model is, and how its inputs are made.

    A key that comes to one of the sections later needs a line in `mlssm.bundle.upgrades.LATER`.

    Attributes:
        model: The family and its settings.
        spread: Whether the network states its spread.
        window: The weather's window.
        channels: The network's input channels and their scaling.
        datamodule: The area that it was trained on: how to open it again, or another one of the same kind.
        features: Which features were wanted, and what happens where a value is missing.
        weather: Interpolation, and the share of a window that has to be there.
        images: How images become the model's grid, and what is masked.
        label_digest: Digest of the label parameters (dry and wet references, angle slope).
        cube_digest: Digest of the training cube's inputs.
        crs: CRS of the model's grid.
        pixel_m: Size of the model's pixels, metres.
        pass_is_evening: Whether the usual pass is in the afternoon or evening, so that a window ends with its day.
        fitted: What was fitted beside the weights, see `mlssm.inference.prefit`: nested values that name tensors; None
            for a model of before there was any.
        mlssm_version: The version that trained.
    """

    model: SerializeAsAny[ModelSettings]
    spread: bool
    window: WindowConfig
    channels: FeatureSpec
    datamodule: DatamoduleConfig  # before the features, which its layers may be
    features: FeaturesConfig
    weather: WeatherConfig
    images: ImagesConfig
    label_digest: str
    cube_digest: str
    crs: str
    pixel_m: float
    pass_is_evening: bool
    fitted: dict[str, Any] | None = None
    mlssm_version: str = __version__

    @property
    def knows_the_day(self) -> bool:
        """Whether a window ends with the mapped day itself, and not with the one before."""
        return self.pass_is_evening or self.window.end == "image_day"

    @field_validator("model", mode="plain")
    @classmethod
    def _model_is_of_its_family(cls, values: Any) -> ModelSettings:
        return typed_settings(values)

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        channels: FeatureSpec,
        *,
        label_digest: str,
        cube_digest: str,
        crs: str,
        pixel_m: float,
        pass_is_evening: bool,
        fitted: dict[str, Any] | None = None,
        channel: dict[str, float] | None = None,
    ) -> Bundle:
        """The record of a training; attributes as above. `channel` is what its images had of the wanted one."""
        images = {name: getattr(config.retrieval, name) for name in ImagesConfig.model_fields}
        images |= {} if channel is None else {"channel": channel}
        return cls(
            model=config.model,
            spread=config.loss.needs_spread,
            window=config.window,
            channels=channels,
            features=config.features,
            weather=config.weather,
            images=ImagesConfig(**images),
            datamodule=config.datamodule,
            label_digest=label_digest,
            cube_digest=cube_digest,
            crs=crs,
            pixel_m=pixel_m,
            pass_is_evening=pass_is_evening,
            fitted=fitted,
        )


def check_channels(kind: str, wanted: Sequence[str], found: Sequence[str]) -> None:
    """Refuse data whose channels are not those the model was trained on, in the same order.

    Args:
        kind: dynamic or static.
        wanted: The model's channels.
        found: Those of the data.

    Raises:
        RunError: Channels are missing, extra or in another order; the message names them.
    """
    if list(wanted) != list(found):
        raise RunError(f"the data do not fit the model: {kind} channels {_difference(wanted, found)}")


def _difference(wanted: Sequence[str], found: Sequence[str]) -> str:
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"not known to the model: {', '.join(extra)}"] if extra else []
    return "; ".join(parts) or f"are in the order {', '.join(found)}, the model's is {', '.join(wanted)}"
