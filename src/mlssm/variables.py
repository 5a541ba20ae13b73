"""The channels that models can be fed with: one record each, which everything else reads.

A new weather variable is a record here and an element of its reader (`mlssm.sources.weather.ghcn.ELEMENTS`). A static
feature is a record here and its reader: one of `mlssm.sources.terrain.TERRAIN`, where it is derived from elevation.
Another package adds its own with `add`, before other modules of this one are imported: from a module that the
environment variable `MLSSM_PLUGINS` names (docs/extending.md). The layers that a configuration names
(`datamodule.layers`) are `declare`d when it is typed: then their channels have records as well.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy.typing as npt

Kind = Literal["daily", "fixed", "classes", "dated", "age", "prefit"]
AVAILABLE = "_available"
AGE = "_age"
LAYER_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Variable:
    """A channel, or what becomes several of them.

    Attributes:
        name: As it stands in configurations, cubes and bundles.
        long_name: In words.
        unit: Of its values; of one day, where a window sums it up.
        kind: `daily` weather of stations; `fixed` values of a pixel; `classes`, whose shares are a channel each, named
            `<name>_<class>`; `dated` images, of which the latest before the day counts; `age` of the value that a dated
            source has at a pixel; `prefit` maps of a day, made by what is fitted to labels before a network is trained.
        low: Least value that can be.
        high: Greatest value that can be; of one day.
        group: What is missing or available together with it; by default it stands alone.
        log: Whether its logarithm log(1 + value) is scaled, as it is skewed.
        summed: Whether an aggregated window is its sum; else its mean.
        lapsed: Whether it falls with height as air temperature does, and is interpolated at sea level.
        feature: Whether a model can be fed with it; else it serves masks alone.
    """

    name: str
    long_name: str
    unit: str
    kind: Kind
    low: float
    high: float
    group: str = ""
    log: bool = False
    summed: bool = False
    lapsed: bool = False
    feature: bool = True

    @property
    def source(self) -> str:
        """What is missing or available together with it."""
        return self.group or self.name


_ALL = {
    variable.name: variable
    for variable in (
        # ranges: the world records that bound GHCN-Daily's own checks; wind at nearly twice hurricane force
        Variable("precipitation", "rain and melted snow", "mm/day", "daily", 0, 1828.8, log=True, summed=True),
        Variable("evapotranspiration", "reference evapotranspiration", "mm/day", "daily", 0, 25, summed=True),
        Variable("temperature", "mean air temperature", "degC", "daily", -89.4, 57.7, lapsed=True),
        Variable("vapour_pressure", "vapour pressure", "kPa", "daily", 0, 10),
        Variable("wind", "mean wind speed", "m/s", "daily", 0, 60),
        Variable("snow_depth", "depth of snow", "mm", "daily", 0, 11460, feature=False),
        Variable("min_temperature", "least air temperature", "degC", "daily", -89.4, 57.7, lapsed=True, feature=False),
        Variable("elevation", "height above sea level", "m", "fixed", -500, 9000, group="terrain"),
        Variable("slope", "slope of the terrain", "degrees", "fixed", 0, 90, group="terrain"),
        Variable("northness", "cosine of the aspect, 0 where it is flat", "-1..1", "fixed", -1, 1, group="terrain"),
        Variable("eastness", "sine of the aspect, 0 where it is flat", "-1..1", "fixed", -1, 1, group="terrain"),
        Variable("curvature", "curvature of the terrain, above 0 on ridges", "1/100 m", "fixed", -100, 100, "terrain"),
        Variable("profile_curvature", "curvature down the slope", "1/100 m", "fixed", -100, 100, "terrain"),
        Variable("plan_curvature", "curvature across the slope", "1/100 m", "fixed", -100, 100, "terrain"),
        Variable("wetness", "topographic wetness index", "ln(m)", "fixed", -10, 40, group="terrain"),
        Variable("soil", "share of a soil class", "share, 0..1", "classes", 0, 1),
        Variable("ndvi", "vegetation index NDVI", "-1..1", "dated", -1, 1),
        Variable("ndvi_age", "age of the NDVI", "days", "age", 0, 36600, group="ndvi"),
        Variable("base", "forecast of the closed-form response", "SSM, 0..1", "prefit", 0, 1),
        Variable("mean_ssm", "mean of the pixel's labels", "SSM, 0..1", "prefit", 0, 1, group="memory"),
        Variable("response", "SSM per unit of the driver", "SSM", "prefit", -100, 100, group="memory"),
        Variable("span", "wet less dry reference", "dB", "prefit", 0, 100, group="memory"),
        Variable("spread", "standard deviation of the pixel's labels", "SSM", "prefit", 0, 1, group="memory"),
        Variable(
            "previous_residual",
            "label less forecast on the latest earlier image",
            "SSM",
            "prefit",
            -1,
            1,
            group="previous",
        ),
        Variable(
            "previous_mean", "the same, weighted mean of earlier images", "SSM", "prefit", -1, 1, group="previous"
        ),
        Variable("previous_age", "age of the latest earlier image", "days", "prefit", 0, 366, group="previous"),
    )
}
_read = False  # whether a module has taken what it needs
_layers: dict[str, Variable] = {}  # those of a configuration


def add(variable: Variable) -> None:
    """Add a channel.

    Raises:
        ValueError: Its name is taken, or other modules have read the channels already.
    """
    if variable.name in _ALL:
        raise ValueError(f"there is a channel '{variable.name}' already")
    if _read:
        raise ValueError(f"add the channel '{variable.name}' before importing other modules of mlssm")
    _ALL[variable.name] = variable


def declare(variables: Iterable[Variable]) -> None:
    """Make the channels of a configuration's layers known; a name that is declared again takes the earlier one's place.

    Raises:
        ValueError: A name is that of another channel, or could be taken for a part of one.
    """
    declared = tuple(variables)
    for variable in declared:
        _check_layer_name(variable, (*_ALL.values(), *declared))
    _layers.update({variable.name: variable for variable in declared})


def is_layer(name: str) -> bool:
    """Whether a channel is that of a declared layer, or a class or the age of one."""
    try:
        return named(name).name in _layers
    except KeyError:
        return False


def _check_layer_name(variable: Variable, others: Iterable[Variable]) -> None:
    name = variable.name
    if not LAYER_NAME.fullmatch(name) or name.endswith(AVAILABLE):
        raise ValueError(f"a layer cannot be named '{name}'; give small letters, digits and _, e.g. land_cover")
    if name in _ALL:
        raise ValueError(f"there is a channel '{name}' already; name the layer otherwise")
    for other in others:
        short, long = sorted((variable, other), key=lambda item: len(item.name))
        if short.kind == "classes" and long.name.startswith(f"{short.name}_"):
            raise ValueError(f"'{long.name}' could be taken for a class of '{short.name}'; name the layer otherwise")


def of_kind(*kinds: Kind, features: bool = False) -> tuple[Variable, ...]:
    """The channels of some kinds, in their order; with `features` those alone that a model can be fed with."""
    global _read
    _read = True
    known = (*_ALL.values(), *_layers.values())
    return tuple(item for item in known if item.kind in kinds and (item.feature or not features))


def named(channel: str) -> Variable:
    """The record of a channel, also of a class ("soil_3", "soil_clay").

    Raises:
        KeyError: There is none, as for an availability.
    """
    found = _ALL.get(channel) or _layers.get(channel)
    if found is None and not channel.endswith(AVAILABLE):
        classes = (item for item in (*_ALL.values(), *_layers.values()) if item.kind == "classes")
        found = next((item for item in classes if channel.startswith(f"{item.name}_")), None)
    if found is None:
        raise KeyError(channel)
    return found


def is_of_kind(channel: str, *kinds: Kind) -> bool:
    """Whether a channel is of one of some kinds; an availability is of none."""
    try:
        return named(channel).kind in kinds
    except KeyError:
        return False


def source_of(channel: str) -> str:
    """What a channel comes from, that is missing or available together; of an availability itself."""
    try:
        return named(channel).source
    except KeyError:
        return channel


def transformed(channel: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What is done to a channel before it is scaled."""
    import numpy as np  # not where a command only shows its help

    return np.log1p(values) if _is_log(channel) else values


def back(channel: str, value: float) -> float:
    """The inverse of `transformed`."""
    return math.expm1(value) if _is_log(channel) else value


def unit_of(channel: str, *, aggregated: bool = False) -> str:
    """The unit of a channel as a model is given it; `aggregated` where a window is one step."""
    if channel.endswith(AVAILABLE):
        return "0 or 1"
    found = named(channel)
    return f"{found.unit.removesuffix('/day')} in the window" if aggregated and found.summed else found.unit


def check_feature(name: str, *kinds: Kind) -> str:
    """A name, once it is known to be that of a feature of some kinds.

    Raises:
        ValueError: It is none; the message lists them.
    """
    known = [item.name for item in of_kind(*kinds, features=True)]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"Input should be {', '.join(repr(item) for item in known)}{hint}")
    return name


def _is_log(channel: str) -> bool:
    try:
        return named(channel).log
    except KeyError:
        return False
