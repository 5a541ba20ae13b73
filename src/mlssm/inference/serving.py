"""A trained network as a function of features in their physical units. Knows nothing of tracking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mlssm.config import WindowConfig
from mlssm.data.spec import FeatureSpec
from mlssm.errors import RunError
from mlssm.inference.certainty import NO_INTERVALS, Wanted, restored_calibration, sure_parts
from mlssm.inference.restore import Restored, restore
from mlssm.models.prediction import Prediction, predict
from mlssm.variables import AVAILABLE, back, is_of_kind, named, source_of, transformed

Array = npt.NDArray[np.float32]
DYNAMIC = "dynamic"
STATIC = "static"
SPAN = "span"
EXAMPLE_SIDE = 2  # pixels; as text a number takes up to 35 bytes in each of two files
DIGITS = 4  # of the example's numbers
TOLERANCE = 1e-3  # of ranges, for rounding


@dataclass(frozen=True)
class Scaler:
    """Brings channels to what the network was trained on.

    Attributes:
        names: The channels, in order.
        means: Training means, float32 [channel, 1, 1].
        stds: Training standard deviations, float32 [channel, 1, 1].
        days: That a value of a summed channel is the sum of.
    """

    names: tuple[str, ...]
    means: Array
    stds: Array
    days: int = 1

    def scale(self, values: Array) -> Array:
        """Scale channels, as in training: (x - mean) / std, of rain's logarithm log(1 + mm).

        Where `<channel>_available` is 0 the channel takes its training mean, and may be NaN.

        Args:
            values: In physical units, [..., channel, height, width].

        Raises:
            RunError: A value is missing or not finite where it is said to be available, or no value of its channel.
        """
        scaled = np.empty(values.shape, np.float32)
        for position, name in enumerate(self.names):
            self._check(name, values[..., position, :, :])
            known = transformed(name, values[..., position, :, :])
            scaled[..., position, :, :] = (known - self.means[position]) / self.stds[position]
        for position, name in enumerate(self.names):
            if name.endswith(AVAILABLE):
                self._fill(scaled, values[..., position, :, :], name.removesuffix(AVAILABLE))
        self._check_missing(scaled)
        return scaled

    def refuse_impossible(self, values: Array) -> None:
        """Refuse what no value of a channel can be, such as temperatures in kelvin.

        Args:
            values: In physical units, [..., channel, height, width]; what is missing or not available may be anything.

        Raises:
            RunError: A value lies outside its channel's range.
        """
        for position, name in enumerate(self.names):
            if not name.endswith(AVAILABLE):
                own, there = values[..., position, :, :], source_of(name) + AVAILABLE
                said = values[..., self.names.index(there), :, :] != 0 if there in self.names else True
                self._check_range(name, own[np.isfinite(own) & said])

    def _check_range(self, name: str, known: Array) -> None:
        variable = named(name)
        high = variable.high * (self.days if variable.summed else 1)
        outside = known[(known < variable.low - TOLERANCE) | (known > high + TOLERANCE)]
        if outside.size:
            raise RunError(
                f"channel '{name}' has a value of {outside[0]:g}, and none is outside {variable.low:g}..{high:g} "
                f"({variable.unit}); see its unit"
            )

    def _check(self, name: str, values: Array) -> None:
        if np.isinf(values).any():
            raise RunError(f"channel '{name}' has infinite values; give finite ones")
        if name.endswith(AVAILABLE) and not np.isin(values, (0, 1)).all():
            raise RunError(f"channel '{name}' has values other than 0 and 1; give 1 where {name[: -len(AVAILABLE)]} is")
        if not name.endswith(AVAILABLE) and named(name).low == 0 and (values < 0).any():
            raise RunError(f"channel '{name}' has negative values; give them in {named(name).unit}, not scaled")

    def _fill(self, scaled: Array, available: Array, source: str) -> None:
        """Put the training mean where a source is not available; of several channels those that are known stay."""
        own = [i for i, name in enumerate(self.names) if source_of(name) == source]
        for position in own:
            channel = scaled[..., position, :, :]
            missing = available == 0
            channel[missing & np.isnan(channel) if len(own) > 1 else missing] = 0

    def _check_missing(self, scaled: Array) -> None:
        for position, name in enumerate(self.names):
            missing = int(np.isnan(scaled[..., position, :, :]).sum())
            if missing:
                source = source_of(name) + AVAILABLE
                cure = f"set {source} to 0 there" if source in self.names else "leave such pixels and days out"
                raise RunError(f"channel '{name}' has {missing} missing values (NaN); {cure}")


class SoilMoistureModel:
    """Predicts surface soil moisture from unscaled features.

    Attributes:
        restored: The network, its channels and scaling.
        steps: Steps of the weather's window.
        calibration: Of the intervals; None where the bundle has none.
    """

    def __init__(self, restored: Restored) -> None:
        """Prepare the scaling."""
        self.restored = restored
        self.steps, spec = restored.bundle.window.steps, restored.bundle.channels
        self.calibration = restored_calibration(restored.fitted)
        count = len(spec.dynamic)
        window = restored.bundle.window
        days = window.lag if window.mode == "aggregate" else 1
        self._dynamic = Scaler(spec.dynamic, _column(spec.means[:count]), _column(spec.stds[:count]), days)
        self._static = Scaler(spec.static, _column(spec.means[count:]), _column(spec.stds[count:]))

    @classmethod
    def load(cls, folder: Path) -> SoilMoistureModel:
        """Read a model bundle.

        Raises:
            MlssmError: It cannot be read, or another version wrote it.
        """
        return cls(restore(folder))

    def predict(self, inputs: Mapping[str, npt.ArrayLike]) -> Array:
        """Map relative surface soil moisture.

        Args:
            inputs: In physical units, channels in the bundle's order: `dynamic` [batch, time, channel, height, width],
                oldest step first; `static` [batch, channel, height, width], left out by a model that has none.

        Returns:
            SSM, 0..1, float32 [batch, height, width].

        Raises:
            RunError: An input is missing, unknown, of a wrong shape or not finite.
        """
        return np.asarray(self._predict(inputs).ssm[:, 0].numpy())

    def predict_intervals(
        self, inputs: Mapping[str, npt.ArrayLike], level: float, thresholds: Sequence[float]
    ) -> dict[str, Array]:
        """Map soil moisture, and how sure it is.

        The driver's leverage is that of the usual date: inputs do not tell it. So is wet - dry, where the model has no
        channel `span`.

        Args:
            inputs: As in `predict`.
            level: Of the intervals, above 0 and below 1.
            thresholds: Of the probabilities, each above 0 and below 1.

        Returns:
            `ssm`, `lower`, `upper`, `standard_error`, float32 [batch, height, width]; and with thresholds
            `exceedance`, P(SSM > threshold), [threshold, batch, height, width].

        Raises:
            RunError: As `predict`, or the model keeps no calibration, or a level or threshold is out of its range.
        """
        if self.calibration is None:
            raise RunError(NO_INTERVALS)
        outside = [value for value in (level, *thresholds) if not 0 < value < 1]
        if outside:
            raise RunError(f"level and thresholds must be above 0 and below 1, not {outside[0]:g}")
        found = self._predict(inputs)
        mean = found.ssm[:, 0].numpy().astype(float)
        spread = None if found.spread is None else found.spread[:, 0].numpy()
        deviation = self.calibration.scale.deviation(mean, self._span(inputs, mean.shape), np.array(np.nan), spread)
        parts = sure_parts(self.calibration, mean, deviation, Wanted(level, tuple(thresholds)))
        lower, upper, error, *above = (part.astype(np.float32) for part in parts)
        said = {"ssm": mean.astype(np.float32), "lower": lower, "upper": upper, "standard_error": error}
        return {**said, "exceedance": np.stack(above)} if above else said

    def _predict(self, inputs: Mapping[str, npt.ArrayLike]) -> Prediction:
        dynamic, static = self.scaled(inputs)
        return predict(self.restored.network, torch.from_numpy(dynamic), torch.from_numpy(static))

    def _span(self, inputs: Mapping[str, npt.ArrayLike], shape: tuple[int, ...]) -> Array:
        """Wet - dry of the pixels, dB; NaN where they do not tell."""
        if SPAN not in self._static.names:
            return np.full(shape, np.nan, np.float32)
        return _array(STATIC, inputs[STATIC], 4)[:, self._static.names.index(SPAN)]

    def scaled(self, inputs: Mapping[str, npt.ArrayLike]) -> tuple[Array, Array]:
        """What the network sees; arguments and errors as in `predict`."""
        wanted = (DYNAMIC, STATIC) if self._static.names else (DYNAMIC,)
        if set(inputs) != set(wanted):
            raise RunError(f"the inputs are {_listed(sorted(inputs))}, the model takes {_listed(wanted)}")
        dynamic = _array(DYNAMIC, inputs[DYNAMIC], 5)
        batch, time, _, height, width = dynamic.shape
        self._check_channels(DYNAMIC, dynamic.shape[2], self._dynamic.names)
        if time != self.steps:
            raise RunError(f"'{DYNAMIC}' has {time} steps, the model's window has {self.steps}")
        if not self._static.names:
            return self._scaled(self._dynamic, dynamic), np.zeros((batch, 0, height, width), np.float32)
        static = _array(STATIC, inputs[STATIC], 4)
        self._check_channels(STATIC, static.shape[1], self._static.names)
        if (static.shape[0], *static.shape[2:]) != (batch, height, width):
            raise RunError(
                f"'{STATIC}' {list(static.shape)} and '{DYNAMIC}' {list(dynamic.shape)} differ in batch or pixels"
            )
        return self._scaled(self._dynamic, dynamic), self._scaled(self._static, static)

    @staticmethod
    def _scaled(scaler: Scaler, values: Array) -> Array:
        scaled = scaler.scale(values)
        scaler.refuse_impossible(values)
        return scaled

    def _check_channels(self, name: str, found: int, names: Sequence[str]) -> None:
        if found != len(names):
            raise RunError(f"'{name}' has {found} channels, the model takes {len(names)}: {', '.join(names)}")


def example(spec: FeatureSpec, window: WindowConfig) -> dict[str, Array]:
    """Inputs like those of `SoilMoistureModel.predict`: the training means on a few pixels, all sources available."""
    physical = _physical_means(spec)
    dynamic, static = physical[: len(spec.dynamic)], physical[len(spec.dynamic) :]
    plane = (EXAMPLE_SIDE, EXAMPLE_SIDE)
    inputs = {DYNAMIC: np.broadcast_to(dynamic, (1, window.steps, *dynamic.shape[:1], *plane)).copy()}
    if spec.static:
        inputs[STATIC] = np.broadcast_to(static, (1, *static.shape[:1], *plane)).copy()
    return inputs


def _physical_means(spec: FeatureSpec) -> Array:
    """[channel, 1, 1]; the first class of a source covers all, since a class has no mean."""
    names = spec.dynamic + spec.static
    classes = {named(name).name: name for name in reversed(names) if is_of_kind(name, "classes")}
    values = np.array(spec.means)
    for position, name in enumerate(names):
        if name.endswith(AVAILABLE) or name in classes.values():
            values[position] = 1
        else:
            values[position] = back(name, values[position])
    return _column([float(f"{value:.{DIGITS}g}") for value in values])


def _column(values: Sequence[float]) -> Array:
    return np.array(values, np.float32).reshape(-1, 1, 1)


def _array(name: str, values: npt.ArrayLike, dimensions: int) -> Array:
    try:
        found = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise RunError(f"'{name}' is not an array of numbers: {error}") from None
    if found.ndim != dimensions or 0 in found.shape:
        raise RunError(f"'{name}' has the shape {list(found.shape)}; give {dimensions} dimensions, none of them empty")
    return found


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names) or "empty"
