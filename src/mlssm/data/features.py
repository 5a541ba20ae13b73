"""The model's inputs at a patch: weather of the antecedent window, terrain, soil and NDVI, scaled, in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mlssm.data.layers import ExtentLayers
from mlssm.data.moment import Moment, PrefitMaps
from mlssm.data.spec import FeatureSpec
from mlssm.data.usable import UsablePixels
from mlssm.grid import Floats, carried_on, cut_off, from_first, within
from mlssm.response.memory import MEMORY
from mlssm.retrieval.bands import bands
from mlssm.scratch import scratch
from mlssm.variables import AVAILABLE, is_of_kind, source_of, transformed
from mlssm.weather.field import WeatherField
from mlssm.weather.stations import VARIABLES

Array = npt.NDArray[np.float32]
RAIN = VARIABLES.index("precipitation")


@dataclass(frozen=True)
class Inputs:
    """A patch as the model sees it.

    Attributes:
        dynamic: Scaled weather, float32 [T, channel, rows, cols], oldest step first; of cells as the model wants it.
        static: Scaled terrain, soil and NDVI, float32 [channel, rows, cols].
        usable: Where no input is missing that the model cannot do without, bool [rows, cols].
    """

    dynamic: Array
    static: Array
    usable: npt.NDArray[np.bool_]


class FeatureSource:
    """Makes the inputs of any patch on any date."""

    def __init__(
        self, field: WeatherField, layers: tuple[ExtentLayers, ...], spec: FeatureSpec, weather_ratio: int = 1
    ) -> None:
        """Scale what does not change with the date, once.

        Args:
            field: The weather at pixels.
            layers: Terrain, soil and NDVI of each extent.
            spec: The channels and their scaling.
            weather_ratio: Pixels along a cell of the weather, see `ModelSettings.weather_ratio`.
        """
        self.weather_ratio = weather_ratio
        self.field, self.layers, self.spec = field, layers, spec
        self._scale = {
            name: (np.float32(mean), np.float32(std))
            for name, mean, std in zip((*spec.dynamic, *spec.static), spec.means, spec.stds, strict=True)
        }
        self._weather = [name for name in spec.dynamic if not name.endswith(AVAILABLE)]
        mean, std = np.array([self._scale[name] for name in self._weather]).reshape(-1, 2, 1, 1).swapaxes(0, 1)
        self._weather_mean, self._weather_std = mean, std
        # positions of the channels that may be missing
        self._optional = [i for i, name in enumerate(self._weather) if name + AVAILABLE in spec.dynamic]
        made = [*self._weather, *(self._weather[i] + AVAILABLE for i in self._optional)]
        self._order = [made.index(name) for name in spec.dynamic]
        self._prefit = [name for name in spec.static if is_of_kind(name, "prefit")]
        self._dated = [name for name in spec.static if is_of_kind(name, "dated", "age")]
        self._fixed = [
            self._fixed_channels(extent, *place.shape) for extent, place in zip(layers, field.places, strict=True)
        ]
        self.pixels = self._pixels()

    def patch(self, extent: int, moment: Moment, rows: slice, cols: slice) -> Inputs:
        """The inputs of rows and columns on a date; beyond the extent its outermost values, which are not usable."""
        static, usable = self.static(extent, moment, rows, cols)
        return Inputs(self._dynamic(extent, moment.window, rows, cols), static, usable)

    @property
    def changing(self) -> list[int]:
        """Positions of the static channels that differ between the dates of one command, in order."""
        kinds = [name for name in self._prefit if name not in MEMORY]
        sources = {source_of(name) for name in (*self._dated, *kinds)} - {source_of(name) for name in MEMORY}
        names = {*self._dated, *kinds, *(source + AVAILABLE for source in sources)}
        return [position for position, name in enumerate(self.spec.static) if name in names]

    def day(self, extent: int, values: Floats, rows: slice, cols: slice) -> Array:
        """The dynamic channels of one step, scaled [channel, rows, cols], of cells as the model wants it.

        Args:
            extent: Which extent.
            values: Of the stations [S, V], NaN where missing.
            rows: Of the extent; beyond its edge the outermost ones.
            cols: Likewise.
        """
        (frame,) = self._dynamic(extent, values[None], rows, cols)
        return np.asarray(frame)

    def static(self, extent: int, moment: Moment, rows: slice, cols: slice) -> tuple[Array, npt.NDArray[np.bool_]]:
        """The static channels, scaled [channel, rows, cols], and where all inputs are there, as `patch`."""
        static, usable = self._static(extent, moment, within(rows), within(cols))
        whole = from_first(rows), from_first(cols)
        return carried_on(static, *whole), cut_off(usable, *whole) & self.pixels.has_weather(moment)

    def usable(self, extent: int, moment: Moment) -> npt.NDArray[np.bool_]:
        """Where no input of a date is missing that the model cannot do without, [height, width] of the extent."""
        return self.pixels.on(extent, moment)

    def _pixels(self) -> UsablePixels:
        needed = [VARIABLES.index(name) for name in self._weather if name + AVAILABLE not in self.spec.dynamic]
        dated = [name for name in self._dated if source_of(name) + AVAILABLE not in self.spec.static]
        # what is fixed is large, and told by where it is
        layers = [replace(extent, fixed={}) for extent in self.layers]
        return UsablePixels([usable for _, usable in self._fixed], layers, dated, needed)

    def _dynamic(self, extent: int, window: Floats, rows: slice, cols: slice) -> Array:
        fields = self.field.at_pixels(window, extent, rows, cols, self._weather, self.weather_ratio)
        present = np.isfinite(fields)
        for i, name in enumerate(self._weather):
            fields[:, i] = transformed(name, fields[:, i])
        fields -= self._weather_mean
        fields /= self._weather_std
        if present.all() and not self._optional:
            return fields
        fields[~present] = 0  # the training mean
        available = present[:, self._optional].astype(np.float32)
        return np.concatenate([fields, available], axis=1)[:, self._order]

    def _static(self, extent: int, moment: Moment, rows: slice, cols: slice) -> tuple[Array, npt.NDArray[np.bool_]]:
        fixed, fixed_usable = self._fixed[extent]
        usable = fixed_usable[rows, cols]
        if not self._dated and not self._prefit:
            return fixed[:, rows, cols], usable
        static = fixed[:, rows, cols].copy()
        if self._prefit:
            self._fill_prefit(static, moment.maps[extent], rows, cols)
        for name in self._dated:
            present = self._fill(static, name, self.layers[extent].on(name, moment.day, rows, cols))
            if source_of(name) + AVAILABLE not in self.spec.static:
                usable = usable & present
        return static, usable

    def _fill(self, static: Array, name: str, values: Array) -> npt.NDArray[np.bool_]:
        """Put a channel in, and its availability if that is one; returns where it has values."""
        present = np.isfinite(values)
        static[self.spec.static.index(name)] = self._scaled(name, values)
        available = source_of(name) + AVAILABLE
        if available in self.spec.static:
            static[self.spec.static.index(available)] = present
        return present

    def _fill_prefit(self, static: Array, maps: PrefitMaps, rows: slice, cols: slice) -> None:
        """Put in what is fitted to labels; a pixel without any has the training mean of the memory."""
        for name in self._prefit:
            self._fill(static, name, maps[name][rows, cols])

    def _fixed_channels(self, extent: ExtentLayers, height: int, width: int) -> tuple[Array, npt.NDArray[np.bool_]]:
        """All static channels scaled, those of a date still 0; and where none is missing that has to be there."""
        channels: Array = scratch((len(self.spec.static), height, width), np.float32)
        usable = np.ones((height, width), bool)
        for rows in bands((height, width), len(self.spec.static) + 1):
            self._fill_fixed(channels[:, rows], usable[rows], {name: part[rows] for name, part in extent.fixed.items()})
        return channels, usable

    def _fill_fixed(self, channels: Array, usable: npt.NDArray[np.bool_], fixed: PrefitMaps) -> None:
        for position, name in enumerate(self.spec.static):
            if name in fixed:
                channels[position] = self._scaled(name, fixed[name])
                if source_of(name) + AVAILABLE not in self.spec.static:
                    usable &= np.isfinite(fixed[name])
            elif name.endswith(AVAILABLE):
                source = name.removesuffix(AVAILABLE)
                parts = [values for key, values in fixed.items() if source_of(key) == source]
                if parts:  # else it is of a date
                    channels[position] = np.isfinite(np.stack(parts)).all(axis=0)

    def _scaled(self, name: str, values: Array) -> Array:
        mean, std = self._scale[name]
        scaled = (transformed(name, values) - mean) / std
        return np.where(np.isfinite(scaled), scaled, np.float32(0))  # 0 is the training mean
