"""The search space, in Hydra's override grammar; its borders and steps are those that Hydra itself would sweep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer

from mlssm.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = None | bool | int | float | str
STEP_DIGITS = 12
RESERVED = ("trial", "seeds")  # the search sets them itself


@dataclass(frozen=True)
class _Listed:
    """What has its values one by one."""

    values: Sequence[Any]

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.values)

    @property
    def first(self) -> Any:
        """A value of it."""
        return self.values[0]


@dataclass(frozen=True)
class Choice(_Listed):
    """One of some values; `texts` are the same as Hydra reads them."""

    values: tuple[Value, ...]
    texts: tuple[str, ...]

    def distribution(self) -> BaseDistribution:
        """As Optuna knows it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def snap(self, value: Any) -> Any:
        """A choice has nothing between its values."""
        return value

    def text(self, value: Any) -> str:
        """A value as Hydra reads it."""
        return self.texts[self.values.index(value)]

    def describe(self) -> str:
        """In one line."""
        return f"choice({','.join(self.texts)})"


@dataclass(frozen=True)
class Steps(_Listed):
    """Equally spaced numbers, ascending; with `log` they are drawn evenly on a logarithmic axis."""

    values: Sequence[int] | Sequence[float]
    log: bool

    def distribution(self) -> BaseDistribution:
        """As Optuna knows it; its own log axes have no steps, so there `snap` keeps them."""
        from optuna.distributions import FloatDistribution, IntDistribution

        first, last = self.values[0], self.values[-1]
        if isinstance(self.values, range):
            return IntDistribution(int(first), int(last), log=self.log, step=1 if self.log else self.values.step)
        if self.log or self.size == 1:
            return FloatDistribution(first, last, log=self.log)
        return FloatDistribution(first, self._high(), step=self._step())

    def snap(self, value: Any) -> Any:
        """The nearest of the values, less what Hydra's rounding puts above the border that Optuna knows."""
        nearest = self._nearest(value)
        return nearest if isinstance(self.values, range) else min(nearest, self._high())

    def text(self, value: Any) -> str:
        """A value as Hydra reads it."""
        return repr(self._nearest(value))

    def _nearest(self, value: Any) -> Any:
        first, last = self.values[0], self.values[-1]
        if self.size == 1:
            return first
        place = round((value - first) / (last - first) * (self.size - 1))
        return self.values[min(max(place, 0), self.size - 1)]

    def _step(self) -> float:
        """Without the rounding of the values, which Optuna would take for a last step that is too short."""
        exact = (Decimal(repr(self.values[-1])) - Decimal(repr(self.values[0]))) / (self.size - 1)
        return float(round(exact, STEP_DIGITS)) or float(exact)

    def _high(self) -> float:
        """The last value, by whole steps from the first one."""
        if self.log or self.size == 1:
            return self.values[-1]
        return float(Decimal(repr(self.values[0])) + Decimal(repr(self._step())) * (self.size - 1))

    def describe(self) -> str:
        """In one line."""
        step = f" of {self.size}" if self.size > 1 else ""
        return f"{'log ' if self.log else ''}steps({self.values[0]!r}..{self.values[-1]!r}{step})"


@dataclass(frozen=True)
class Interval:
    """All numbers from `low` to `high`, both of them included."""

    low: float
    high: float
    log: bool

    @property
    def size(self) -> int | None:
        """None: there is no end of them."""
        return 1 if self.low == self.high else None

    @property
    def values(self) -> tuple[float, ...]:
        """The one value of an interval without width."""
        return (self.low,)

    @property
    def first(self) -> float:
        """A value of it."""
        return self.low

    def distribution(self) -> BaseDistribution:
        """As Optuna knows it."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def snap(self, value: Any) -> Any:
        """Inside the borders, which rounding may have left."""
        return min(max(float(value), self.low), self.high)

    def text(self, value: Any) -> str:
        """A value as Hydra reads it."""
        return repr(self.snap(value))

    def describe(self) -> str:
        """In one line."""
        return f"{'log ' if self.log else ''}interval({self.low!r},{self.high!r})"


Dimension = Choice | Steps | Interval
Point = tuple[str, ...]  # a text for each dimension: what tells two trials apart


@dataclass(frozen=True)
class Space:
    """Dimensions by the key that they set; a key stands as in an override, so it may begin with +."""

    dimensions: Mapping[str, Dimension]

    @property
    def size(self) -> int | None:
        """Number of points; None where there is no end of them."""
        sizes = [dimension.size for dimension in self.dimensions.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def distributions(self) -> dict[str, BaseDistribution]:
        """As Optuna knows them."""
        return {key: dimension.distribution() for key, dimension in self.dimensions.items()}

    def snap(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Values on their steps and inside their borders."""
        return {key: dimension.snap(params[key]) for key, dimension in self.dimensions.items()}

    def point(self, params: Mapping[str, Any]) -> Point | None:
        """What a trial's values are as a point; None where they do not make one (yet)."""
        if not all(key in params for key in self.dimensions):
            return None
        return tuple(dimension.text(params[key]) for key, dimension in self.dimensions.items())

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """What Hydra is told for a trial's values."""
        return [f"{key}={dimension.text(params[key])}" for key, dimension in self.dimensions.items()]

    def grid(self) -> Iterator[dict[str, Any]]:
        """All points of a finite space, the last key fastest."""
        values = [dimension.values for dimension in self.dimensions.values()]
        return (dict(zip(self.dimensions, point, strict=True)) for point in itertools.product(*values))

    def describe(self) -> dict[str, str]:
        """A line for each key."""
        return {key: dimension.describe() for key, dimension in self.dimensions.items()}


def read_space(params: Mapping[str, Any], arguments: Sequence[str], loader: ConfigLoader) -> tuple[Space, list[str]]:
    """The space, and the overrides that all trials have in common.

    Args:
        params: `hydra.sweeper.params`: key to its value or sweep.
        arguments: Overrides of the command line; they replace those of `params` with the same key.
        loader: Hydra's, which resolves globs.

    Raises:
        ConfigError: There is nothing to search, or a range cannot be searched.
    """
    parser = OverridesParser.create(config_loader=loader)
    lines = [f"{key}={'null' if value is None else value}" for key, value in params.items()]
    merged = {(item.key_or_group, item.package): item for item in parser.parse_overrides([*lines, *arguments])}
    dimensions = {str(item.get_key_element()): _dimension(item) for item in merged.values() if item.is_sweep_override()}
    if not dimensions:
        raise ConfigError(
            "nothing to search: give a range on the command line, as model.lag='range(1,30)', "
            "or in hydra.sweeper.params, as +search=convlstm does"
        )
    return Space(dimensions), [str(item.input_line) for item in merged.values() if not item.is_sweep_override()]


def _dimension(item: Override) -> Dimension:
    sweep = item.value()
    if item.key_or_group in RESERVED:
        raise ConfigError(f"{item.input_line}: the search sets {item.key_or_group} itself; search other keys")
    tags: set[str] = getattr(sweep, "tags", set())
    if tags - {"log"} or ("log" in tags and isinstance(sweep, ChoiceSweep)):
        raise ConfigError(f"{item.input_line}: the only tag is log, on a range or an interval")
    log = "log" in tags
    if isinstance(sweep, RangeSweep):
        return _steps(item, sweep, log)
    if isinstance(sweep, IntervalSweep):
        return _interval(item, sweep, log)
    return _choice(item)


def _steps(item: Override, sweep: RangeSweep, log: bool) -> Steps:
    if not sweep.step:
        raise ConfigError(f"{item.input_line}: the step is 0")
    numbers = sweep.range()
    values = numbers if isinstance(numbers, range) else tuple(numbers)
    if not len(values):
        raise ConfigError(f"{item.input_line}: the range is empty; its end does not belong to it")
    values = values if values[0] <= values[-1] else values[::-1]
    _check_log(item, values[0], log)
    return Steps(values, log)


def _interval(item: Override, sweep: IntervalSweep, log: bool) -> Dimension:
    low, high = sweep.start, sweep.end
    if low is None or high is None or not low <= high or not math.isfinite(high - low):
        raise ConfigError(f"{item.input_line}: the interval is empty or has no end; give interval(low,high)")
    _check_log(item, low, log)
    if isinstance(low, int) and isinstance(high, int):
        return Steps(range(low, high + 1), log)
    return Interval(float(low), float(high), log)


def _check_log(item: Override, low: float, log: bool) -> None:
    if log and low <= 0:
        raise ConfigError(f"{item.input_line}: a logarithmic range begins above 0, not at {low}")


def _choice(item: Override) -> Choice:
    found = {Transformer.str(value): value for value in item.sweep_iterator()}
    if not found:
        raise ConfigError(f"{item.input_line}: there is nothing to choose from")
    texts = tuple(found)
    plain = [value for value in found.values() if value is None or isinstance(value, bool | int | float | str)]
    values: tuple[Value, ...] = tuple(plain) if len(plain) == len(found) else texts
    # Optuna takes 1, 1.0 and true for one another, and knows no NaN
    distinct = len(set(values)) == len(values) and all(value == value for value in values)
    return Choice(values if distinct else texts, texts)
