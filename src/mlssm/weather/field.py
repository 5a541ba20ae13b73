"""The weather at the pixels of an extent's patches, made from its stations when asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlssm.config import WeatherConfig
from mlssm.grid import carried_on
from mlssm.weather.interpolation import LAPSE_RATE, Booleans, PixelWeights, Rectangle, weigh_window
from mlssm.weather.stations import VARIABLES, Days, Floats, StationWeather
from mlssm.weather.weight_cache import WeightCache
from mlssm.weather.windows import antecedent

TEMPERATURE, SNOW = VARIABLES.index("temperature"), VARIABLES.index("snow_depth")
MIN_TEMPERATURE = VARIABLES.index("min_temperature")
# pixels of a rectangle from which on the stations around them are looked for once, for all sets that have values, and
# weights are float32: a tile of maps has tens of sets, of which most must be kept
SHARED = 2**15
# times the neighbours of a pixel: how many stations around it are known then
KNOWN = 2


@dataclass(frozen=True)
class ExtentPixels:
    """Where an extent's pixels lie.

    Attributes:
        x: Easting of each column's centre, metres [width].
        y: Northing of each row's centre, metres [height].
        elevation: Metres, [height, width]; NaN where unknown.
    """

    x: Floats
    y: Floats
    elevation: npt.NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.y), len(self.x)

    def at(self, rows: slice, cols: slice, ratio: int = 1) -> tuple[Floats, Floats, npt.NDArray[np.float32]]:
        """Easting, northing and elevation of rows and columns, as of means over cells; see `WeatherField.at_pixels`."""
        everything = slice(None)
        x = carried_on(self.x[None], everything, cols)[0]
        y = carried_on(self.y[:, None], rows, everything)[:, 0]
        elevation = carried_on(self.elevation, rows, cols)
        if ratio == 1:
            return x, y, elevation
        known = np.isfinite(elevation)
        total, count = (_sums(_sums(v, ratio, 0), ratio, 1) for v in (np.where(known, elevation, 0), known))
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        x, y = (_sums(v, ratio, 0) / _sums(np.ones(len(v)), ratio, 0) for v in (x, y))
        return x, y, mean.astype(np.float32)


def _sums(values: npt.NDArray[np.generic], ratio: int, axis: int) -> Floats:
    """Sums over each `ratio` values along an axis; the last ones may be fewer."""
    found: Floats = np.add.reduceat(values, np.arange(0, values.shape[axis], ratio), axis=axis, dtype=np.float64)
    return found


@dataclass(frozen=True)
class WeatherField:
    """Station weather that can be asked for at pixels.

    Attributes:
        weather: The stations' record.
        station_xy: Easting and northing of the stations, metres [S, 2].
        places: The extents.
        config: How it is interpolated.
        bridged: Days of the record that were drawn from those around, by quantity, see `mlssm.weather.bridging`.
        cache: Weights of patches that were asked for before.
    """

    weather: StationWeather
    station_xy: Floats
    places: tuple[ExtentPixels, ...]
    config: WeatherConfig
    bridged: Mapping[str, Days] = dataclasses.field(default_factory=dict, compare=False)
    cache: WeightCache = dataclasses.field(default_factory=WeightCache, repr=False, compare=False)

    def windows(self, ends: npt.NDArray[np.datetime64], lag: int, mode: Literal["sequence", "aggregate"]) -> Floats:
        """Station values of the windows that end on the days `ends`; [N, T, S, V], NaN where missing."""
        return antecedent(self.weather, ends, lag, mode, self.config.min_coverage)

    def at_pixels(
        self,
        window: Floats,
        extent: int,
        rows: slice,
        cols: slice,
        variables: Sequence[str] = VARIABLES,
        ratio: int = 1,
    ) -> npt.NDArray[np.float32]:
        """One window's station values at the pixels of an extent's rows and columns.

        Args:
            window: Station values of all variables, NaN = missing [T, S, V].
            extent: Which extent.
            rows: Its rows; beyond its edge the outermost ones.
            cols: Its columns likewise.
            variables: The wanted variables.
            ratio: Pixels along a cell: above 1 the weather is that of cells, at their middle and mean elevation.

        Returns:
            Float32 [T, wanted variable, ceil(rows / ratio), ceil(cols / ratio)].
        """
        place, config = self.places[extent], self.config
        stations = (self.station_xy[:, 0], self.station_xy[:, 1], self.weather.elevation_m)
        targets = place.at(rows, cols, ratio)
        pixels = Rectangle(stations, *targets, config.neighbours, config.power)
        where = (extent, rows.start, rows.stop, rows.step, cols.start, cols.stop, cols.step, ratio)

        def made(present: Booleans) -> PixelWeights:
            if pixels.elevation.size < SHARED:
                return pixels.weigh(present)
            most = KNOWN * config.neighbours
            nearest = self.cache.find((*where, "nearest"), lambda: pixels.nearest(most))
            return pixels.weigh(present, nearest).narrow()

        def weigh(present: Booleans) -> PixelWeights:
            return self.cache.find((*where, present.tobytes()), lambda: made(present))

        wanted = window if variables is VARIABLES else window[:, :, [VARIABLES.index(name) for name in variables]]
        return weigh_window(wanted, variables, weigh, pixels.elevation.shape)

    def coldest(self, day: Floats, extent: int) -> float:
        """A bound from below of the air temperature in an extent, degC, from one day's station values [S, V]."""
        known = np.isfinite(day[:, TEMPERATURE])
        if not known.any():
            return np.inf
        heights = self.weather.elevation_m[known]
        lowest_station = float(np.nanmin(heights, initial=np.inf))
        highest_pixel = float(np.nanmax(self.places[extent].elevation, initial=-np.inf))
        rise = max(highest_pixel - lowest_station, 0) if np.isfinite([highest_pixel, lowest_station]).all() else 0
        return float(day[known, TEMPERATURE].min()) - LAPSE_RATE * rise
