"""Which channels a model gets, and their mean and standard deviation on the training dates."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.config import FeaturesConfig
from mlssm.data.layers import ExtentLayers
from mlssm.data.moment import Moment
from mlssm.data.spec import FeatureSpec
from mlssm.variables import AVAILABLE, is_of_kind, source_of, transformed
from mlssm.weather.field import WeatherField
from mlssm.weather.stations import VARIABLES

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]

# pixels along an extent's side that the weather's mean and spread are taken from: the fields are smooth
SAMPLED = 12
ROWS = 256  # of a map that are summed at once


@dataclass
class _Moments:
    """Streaming mean and spread of one channel, float64."""

    count: int = 0
    total: float = 0.0
    square: float = 0.0

    def add(self, values: npt.NDArray[np.floating]) -> None:
        for part in np.split(values, range(ROWS, len(values), ROWS)):
            known = part[np.isfinite(part)].astype(float)
            self.count += known.size
            self.total += float(known.sum())
            self.square += float((known**2).sum())

    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation; 1 for the second where the values do not vary."""
        if self.count == 0:
            return 0.0, 1.0
        mean = self.total / self.count
        variance = self.square / self.count - mean**2
        return mean, math.sqrt(variance) if variance > 1e-12 * max(1.0, mean**2) else 1.0


def fit_spec(
    field: WeatherField,
    layers: Sequence[ExtentLayers],
    moments: Sequence[Moment],
    training: npt.NDArray[np.bool_],
    config: FeaturesConfig,
    prefit: Sequence[str] = (),
) -> FeatureSpec:
    """Choose the channels and fit their scaling.

    A source that is missing somewhere gets an availability channel under `on_missing=fill`; the log names it. Under
    `drop` it gets none, so that pixels and dates without it are masked.

    Args:
        field: The weather at pixels.
        layers: Terrain, soil and NDVI.
        moments: All dates that are used, for what is missing.
        training: Which of them are training dates, for the scaling.
        config: The wanted features.
        prefit: Names of the wanted maps of `mlssm.data.prefit`.
    """
    dynamic: list[str] = list(config.dynamic)
    static = [*layers[0].channels, *prefit]
    _say_left_out(static, config)
    if config.on_missing == "fill":
        dynamic += [name + AVAILABLE for name in _missing_weather(moments, dynamic)]
        static += [name + AVAILABLE for name in _missing_layers(layers, moments, static)]
    if any(source_of(name) == "previous" for name in prefit):
        static.append("previous" + AVAILABLE)  # the first image of a season has none
    chosen = [moment for moment, train in zip(moments, training, strict=True) if train]
    scales = {**_weather_scales(field, chosen, config.dynamic), **_layer_scales(layers, chosen, static)}
    scales |= {name: _prefit_scale(name, chosen) for name in prefit}
    pairs = [scales.get(name, (0.0, 1.0)) for name in (*dynamic, *static)]
    log.info("features: %s; static %s", ", ".join(dynamic), ", ".join(static) or "none")
    means, stds = zip(*pairs, strict=True)
    return FeatureSpec(tuple(dynamic), tuple(static), tuple(means), tuple(stds))


def _say_left_out(names: Sequence[str], config: FeaturesConfig) -> None:
    there = {source_of(name) for name in names} | set(names)
    left_out = [name for name in config.static if name not in there]
    if left_out:
        log.info("left out, as the datamodule has no source for it: %s", ", ".join(left_out))


def _missing_weather(moments: Sequence[Moment], names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        column = VARIABLES.index(name)
        gaps = [bool(np.isnan(moment.window[:, :, column]).all(axis=1).any()) for moment in moments]
        if any(gaps):
            found.append(name)
            text = "%s is missing at every station in the window of %d dates: training mean and availability channel"
            log.warning(text, name, sum(gaps))
    return found


def _missing_layers(layers: Sequence[ExtentLayers], moments: Sequence[Moment], names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        source = source_of(name)
        if source in found:
            continue
        if is_of_kind(name, "prefit"):
            continue
        if is_of_kind(name, "dated", "age"):
            missing = any(np.isnan(values).any() for values in _of_images(layers, moments, source))
        else:
            missing = any(np.isnan(extent.fixed[name]).any() for extent in layers)
        if missing:
            found.append(source)
            log.warning("%s is missing in places: filled with its mean, and an availability channel", source)
    return found


def _weather_scales(
    field: WeatherField, moments: Sequence[Moment], names: Sequence[str]
) -> dict[str, tuple[float, float]]:
    sums = {name: _Moments() for name in names}
    for extent, place in enumerate(field.places):
        rows, cols = (slice(None, None, max(1, side // SAMPLED)) for side in place.shape)
        for moment in moments:
            fields = field.at_pixels(moment.window, extent, rows, cols)
            for name, found in sums.items():
                found.add(transformed(name, fields[:, VARIABLES.index(name)]))
    return {name: found.scale() for name, found in sums.items()}


def _of_images(layers: Sequence[ExtentLayers], moments: Sequence[Moment], name: str) -> Iterator[Array]:
    """The dated images that some moments see, each once; of a moment without one, NaN."""
    for image in sorted({layers[0].dated[name].image(moment.day) for moment in moments}):
        for extent in layers:
            yield extent.dated[name].values(image)


def _layer_scales(
    layers: Sequence[ExtentLayers], moments: Sequence[Moment], names: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Of classes, which are shares, and of availability there are none."""
    scales = {}
    for name in names:
        found = _Moments()
        if is_of_kind(name, "fixed"):
            parts: Iterable[Array] = (extent.fixed[name] for extent in layers)
        elif is_of_kind(name, "dated"):
            parts = _of_images(layers, moments, name)
        elif is_of_kind(name, "age"):
            parts = (extent.on(name, moment.day) for moment in moments for extent in layers)
        else:
            continue
        for values in parts:
            found.add(values)
        scales[name] = found.scale()
    return scales


def _prefit_scale(name: str, moments: Sequence[Moment]) -> tuple[float, float]:
    found = _Moments()
    for moment in moments:
        for maps in moment.maps:
            found.add(maps[name])
    return found.scale()
