"""The model: which family it is of, its settings, and the window of weather that it is fed with."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field

from mlssm.config.base import Strict
from mlssm.config.dotted import imported

if TYPE_CHECKING:
    from torch import nn

# what the models are compared with; in tables of scores a name stands for one of them
BASELINES = ("pixel mean", "climatology", "persistence", "antecedent rain", "ridge", "gradient boosting")


class WindowConfig(Strict):
    """The antecedent window of weather. The user's words for it are `model.lag`, `model.window` and `model.window_end`.

    Attributes:
        lag: Days.
        mode: `sequence`, the days one by one, oldest first; or `aggregate`, summed or averaged into one step.
        end: `acquisition`, the last day that is over or nearly so when the image is taken: the image's own in the
            afternoon or evening, the one before in the morning; or `image_day`, always the image's own, as in
            Hosseinizadeh et al. 2025.
    """

    lag: int = Field(ge=1, le=366)
    mode: Literal["sequence", "aggregate"] = Field(alias="window")
    end: Literal["acquisition", "image_day"] = Field(default="acquisition", alias="window_end")

    @property
    def steps(self) -> int:
        """Steps of the window: a day each, or all days in one."""
        return self.lag if self.mode == "sequence" else 1


class Channels(Protocol):
    """A network's input channels, x' = (x - mean) / std, as `mlssm.data.spec.FeatureSpec` has them."""

    @property
    def dynamic(self) -> tuple[str, ...]:
        """Names of the channels of each step, in order."""

    @property
    def static(self) -> tuple[str, ...]:
        """Names of the channels that hold for the whole window, in order."""

    @property
    def means(self) -> tuple[float, ...]:
        """Training mean of each channel, dynamic then static, in its unit."""

    @property
    def stds(self) -> tuple[float, ...]:
        """Training standard deviation likewise."""


class ModelSettings(Strict, ABC):
    """The settings of a family of models, and what the family declares of itself.

    A family is one file with a subclass of this, and one YAML in the group `model` that names the class as `family`,
    beside its settings and `lag` and `window`. All that trains, scores, serves and maps asks this class.

    Attributes:
        title: The family's name in tables, figures and maps; no baseline's.
        states_spread: Whether its networks can state how far off they may be, which `loss=nll` learns by.
        needs_response: Whether the closed-form response is fitted before the training, and its forecast (`base`) and
            the pixel memory are channels of the network.
        starts_as_response: Whether an untrained network already is the response: it is then scored before the first
            epoch, and kept if no epoch is better.
        family: Where the class is, e.g. `mlssm.models.convlstm.ConvLSTMSettings`.
    """

    title: ClassVar[str]
    states_spread: ClassVar[bool] = False
    needs_response: ClassVar[bool] = False
    starts_as_response: ClassVar[bool] = False

    family: str

    @property
    def margin(self) -> int:
        """Pixels around a patch or tile that its networks see beside it where they score or map: they look so far."""
        return 0

    @property
    def weather_ratio(self) -> int:
        """Pixels along a cell of the weather that its networks are fed with; 1: that of each pixel."""
        return 1

    @property
    def coarsest_cell(self) -> int:
        """Pixels along the coarsest cells that its networks make of a map, counted from the map's corner."""
        return self.weather_ratio

    def reach(self, steps: int) -> int | None:
        """How far from a pixel an input can lie that its value depends on at all, pixels.

        Tiles that see so much around them, and whose cells of `coarsest_cell` pixels lie alike, give the very map that
        the whole area gives at once. None: it is not bounded or not known, and tiles are blended.

        Args:
            steps: Of the window, see `WindowConfig.steps`.
        """
        return None

    @abstractmethod
    def build(self, channels: Channels, *, spread: bool) -> nn.Module:
        """A network of random weights, drawn from torch's global generator.

        Its `forward(dynamic, static)` takes [B, T, dynamic, H, W], oldest step first, and [B, static, H, W], both
        scaled and of any B, H and W, and gives a `mlssm.models.prediction.Prediction`. Its state is tensors alone.
        With a `weather_ratio` above 1 it takes [B, T, dynamic, ceil(H / ratio), ceil(W / ratio)] as well.

        Args:
            channels: Its input channels.
            spread: Whether it has to state its spread; only asked of a family with `states_spread`.
        """


class _Family(BaseModel):
    """The one key that all families have."""

    model_config = ConfigDict(extra="ignore")

    family: str


def typed_settings(values: Any) -> ModelSettings:
    """Settings by the class that they name as their `family`; settings that are typed already stay as they are.

    Raises:
        ValidationError: They name no family, or the family does not allow them.
        ValueError: The family cannot be imported, or is none.
    """
    if isinstance(values, ModelSettings):
        return values
    return family_class(_Family.model_validate(values).family).model_validate(values)


def family_class(name: str) -> type[ModelSettings]:
    """Import a family's class by its dotted name.

    Raises:
        ValueError: There is no such class, it is not a whole subclass of `ModelSettings`, or its title is a baseline's.
    """
    found = imported("family", name, "package.module.SomeSettings")
    whole = isinstance(found, type) and issubclass(found, ModelSettings) and hasattr(found, "title")
    if not whole or inspect.isabstract(found):
        raise ValueError(
            f"family={name} is no family of models; name a subclass of mlssm.config.ModelSettings with title and build"
        )
    if found.title.strip().casefold() in BASELINES:
        raise ValueError(f"family={name} has the title {found.title!r}, which is a baseline's; give it another title")
    return cast("type[ModelSettings]", found)


def window_part(values: Any) -> Any:
    """What of the section `model` belongs to the weather's window."""
    return _part(values, window=True)


def settings_part(values: Any) -> Any:
    """What of the section `model` belongs to the family."""
    return _part(values, window=False)


def _part(values: Any, *, window: bool) -> Any:
    if not isinstance(values, Mapping):
        return values
    own = {field.alias or name for name, field in WindowConfig.model_fields.items()}
    return {key: value for key, value in values.items() if (key in own) == window}
