"""The channels that models can be fed with: one record each, which everything else reads.

A new weather variable is a record here and an element of its reader (`mlssm.sources.weather.ghcn.ELEMENTS`). A static
feature is a record here and its reader: one of `mlssm.sources.static.TERRAIN`, where it is derived from elevation.
Another package adds its own with `add`, before it imports other modules of this one.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy.typing as npt

Kind = Literal["daily", "fixed", "classes", "dated", "prefit"]
AVAILABLE = "_available"


@dataclass(frozen=True)
class Variable:
    """A channel, or what becomes several of them.

    Attributes:
        name: As it stands in configurations, cubes and bundles.
        long_name: In words.
        unit: Of its values; of one day, where a window sums it up.
        kind: `daily` weather of stations; `fixed` values of a pixel; `classes`, whose shares are a channel each, named
            `<name>_<code>`; `dated` images, of which the latest before the day counts; `prefit` maps of a day, made by
            what is fitted to labels before a network is trained.
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
        Variable("soil", "share of a soil class", "share, 0..1", "classes", 0, 1),
        Variable("ndvi", "vegetation index NDVI", "-1..1", "dated", -1, 1),
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


def of_kind(*kinds: Kind, features: bool = False) -> tuple[Variable, ...]:
    """The channels of some kinds, in their order; with `features` those alone that a model can be fed with."""
    global _read
    _read = True
    return tuple(item for item in _ALL.values() if item.kind in kinds and (item.feature or not features))


def named(channel: str) -> Variable:
    """The record of a channel, also of a class or of an availability ("soil_3", "terrain_available").

    Raises:
        KeyError: There is none.
    """
    if channel in _ALL:
        return _ALL[channel]
    name, _, code = channel.rpartition("_")
    if code.lstrip("-").isdigit() and name in _ALL and _ALL[name].kind == "classes":
        return _ALL[name]
    raise KeyError(channel)


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
