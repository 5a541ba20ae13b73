"""Inverse-distance interpolation from stations to pixels (Shepard 1968), with a lapse rate for temperature.

Interpolation is linear in the station values, so a window is aggregated at the stations first and a patch's field is
one small matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from mlssm.variables import named
from mlssm.weather.stations import Floats, StationWeather

NEIGHBOURS, POWER = 8, 2.0
MOST_JUDGED = 32  # stations, each of which is interpolated from all others
LAPSE_RATE = 0.0065  # K/m, the International Standard Atmosphere's

Booleans = npt.NDArray[np.bool_]
StationPlaces = tuple[Floats, Floats, Floats]
"""Easting and northing in metres and elevation in metres (NaN = unknown) of the stations, each [S]."""


def inverse_distance(
    values: Floats, station_xy: Floats, target_xy: Floats, neighbours: int = NEIGHBOURS, power: float = POWER
) -> Floats:
    """Interpolate columns of station values to targets.

    Each target is the mean of the nearest `neighbours` stations that have a value in the column, weighted by
    distance^-power. It is exact at a station.

    Args:
        values: One column a field, NaN = missing there [S, C].
        station_xy: Projected coordinates, metres [S, 2].
        target_xy: Projected coordinates, metres [N, 2].
        neighbours: Stations used at most, >= 1.
        power: Exponent of the distance, > 0.

    Returns:
        Float64 [N, C]; NaN only in columns that no station has a value in.
    """
    result = np.full((len(target_xy), values.shape[1]), np.nan)
    # columns with the same stations share one tree query and one product
    patterns, pattern_of_column = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        stations = np.flatnonzero(pattern)
        if stations.size:
            columns = np.flatnonzero(pattern_of_column.ravel() == number)
            weights = inverse_distance_weights(station_xy[stations], target_xy, neighbours, power)
            result[:, columns] = weights @ values[np.ix_(stations, columns)]
    return result


def inverse_distance_weights(station_xy: Floats, target_xy: Floats, neighbours: int, power: float) -> Floats:
    """The weights of all stations at the targets [N, S], 0 beyond the nearest; rows sum to 1. Arguments as above."""
    near = Nearest.of(station_xy, target_xy, neighbours)
    return _weights(near.distance, near.station, len(station_xy), power)


def _weights(distance: Floats, station: npt.NDArray[np.integer], number: int, power: float) -> npt.NDArray[np.float64]:
    """Weights of `number` stations [N, S] from the distances and positions of the nearest [N, K]."""
    nearest = relative_weights(distance, distance[:, :1], power)
    weights = np.zeros((len(distance), number))
    np.put_along_axis(weights, station, nearest / nearest.sum(axis=1, keepdims=True), axis=1)
    return weights


@dataclass(frozen=True)
class Nearest:
    """The stations around targets, the nearest first.

    Attributes:
        distance: Metres [N, K].
        station: Their positions [N, K].
        number: Of all stations.
    """

    distance: Floats
    station: npt.NDArray[np.integer]
    number: int

    @classmethod
    def of(cls, station_xy: Floats, target_xy: Floats, most: int) -> Nearest:
        """At most so many stations of each target; coordinates are metres [S, 2] and [N, 2]."""
        number = len(station_xy)
        distance, station = cKDTree(station_xy).query(target_xy, k=np.arange(1, min(most, number) + 1))
        return cls(distance, station.astype(np.min_scalar_type(number)), number)

    @property
    def nbytes(self) -> int:
        """Memory, bytes."""
        return self.distance.nbytes + self.station.nbytes

    def among(self, present: Booleans, most: int) -> Nearest | None:
        """Those of the stations that `present` [S] names; None where that takes stations further away than are known.

        Positions count the present ones alone.
        """
        number = int(present.sum())
        wanted = min(most, number)
        has = present[self.station]
        rank = has.cumsum(axis=1, dtype=np.int32)
        if (rank[:, -1] < wanted).any():
            return None
        taken = has & (rank <= wanted)
        position = (np.cumsum(present) - 1)[self.station[taken]]
        return Nearest(self.distance[taken].reshape(-1, wanted), position.reshape(-1, wanted), number)


def relative_weights(distance: Floats, nearest: Floats, power: float) -> Floats:
    """Inverse-distance weights relative to the nearest station's: (nearest / distance)^power.

    1 at the nearest station; at distance 0 it is 1 there and 0 elsewhere, which makes the mean exact. No distance is
    too small or large to be represented.

    Args:
        distance: To each station, metres.
        nearest: The smallest distance, broadcastable to `distance`.
        power: Exponent, > 0.
    """
    distance, nearest = np.broadcast_arrays(distance, nearest)
    ratio = np.divide(nearest, distance, out=np.ones(distance.shape), where=distance > 0)
    return np.asarray(ratio**power, dtype=np.float64)


@dataclass(frozen=True)
class PixelWeights:
    """How the stations that have a value weigh at the pixels of a rectangle.

    Attributes:
        stations: Positions of the stations that weigh at any of the pixels [K].
        weights: Their weights [K, N], float64 or float32; columns sum to 1.
        lapse: What brings a temperature from the stations' heights to the pixels', K [N]; 0 where that is unknown.
    """

    stations: npt.NDArray[np.intp]
    weights: npt.NDArray[np.floating]
    lapse: npt.NDArray[np.floating]

    @property
    def nbytes(self) -> int:
        """Memory, bytes."""
        return self.stations.nbytes + self.weights.nbytes + self.lapse.nbytes

    def narrow(self) -> PixelWeights:
        """The same in half the memory, and to 7 digits, as fields have them in any case."""
        return PixelWeights(self.stations, self.weights.astype(np.float32), self.lapse.astype(np.float32))


@dataclass(frozen=True)
class Rectangle:
    """The pixels of a rectangle that station values are interpolated to.

    Attributes:
        stations: Easting, northing, elevation of the stations, each [S].
        x: Easting of the columns, metres [w].
        y: Northing of the rows, metres [h].
        elevation: Of the pixels, metres, NaN = unknown [h, w].
        neighbours: Stations used at most for a value.
        power: Exponent of the distance.
    """

    stations: StationPlaces
    x: Floats
    y: Floats
    elevation: npt.NDArray[np.floating]
    neighbours: int
    power: float

    def nearest(self, most: int) -> Nearest:
        """The stations around the pixels, at most so many of each."""
        east, north, _ = self.stations
        return Nearest.of(np.column_stack([east, north]), self._targets(), most)

    def weigh(self, present: Booleans, nearest: Nearest | None = None) -> PixelWeights:
        """The weights of the stations that have a value.

        Args:
            present: Which those are [S], one at least.
            nearest: The stations around the pixels, of which the present ones are taken; None: they are looked for.
        """
        east, north, height = (values[present] for values in self.stations)
        near = None if nearest is None else nearest.among(present, self.neighbours)
        if near is None:
            near = Nearest.of(np.column_stack([east, north]), self._targets(), self.neighbours)
        weights = _weights(near.distance, near.station, near.number, self.power)
        known = np.isfinite(height)
        station_height = weights @ np.where(known, height, 0.0)
        lapse = LAPSE_RATE * (station_height - (weights @ known) * self.elevation.ravel())
        weighing = weights.any(axis=0)
        kept = np.ascontiguousarray(weights.T[weighing])
        return PixelWeights(np.flatnonzero(present)[weighing], kept, np.where(np.isfinite(lapse), lapse, 0.0))

    def _targets(self) -> Floats:
        return np.column_stack([axis.ravel() for axis in np.meshgrid(self.x, self.y)])


def weigh_window(
    window: Floats, variables: Sequence[str], weigh: Callable[[Booleans], PixelWeights], shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Interpolate a window's station values to pixels with given weights.

    Temperatures are taken to sea level by `LAPSE_RATE`, interpolated and brought back with the DEM. Where
    the DEM has no elevation they are interpolated as they are; a station of unknown elevation counts as if it lay at
    the pixel's. The other variables are interpolated as they are, and as weights are not negative, rain stays so.

    Args:
        window: Station values, NaN = missing [T, S, V].
        variables: Names along V.
        weigh: Gives the weights of the stations that have a value, see `Rectangle.weigh`.
        shape: Rows and columns of the pixels.

    Returns:
        Float32 [T, V, h, w]; NaN where no station has a value of that variable at that step.
    """
    steps, number, kinds = window.shape
    columns = np.ascontiguousarray(window.transpose(0, 2, 1)).reshape(steps * kinds, number)
    lapsed = [number for number, name in enumerate(variables) if named(name).lapsed]
    result = np.full((steps * kinds, math.prod(shape)), np.nan, np.float32)
    for present, rows in _by_stations(columns):
        found = weigh(present)
        fields = columns[np.ix_(rows, found.stations)].astype(found.weights.dtype) @ found.weights
        fields[np.isin(rows % kinds, lapsed)] += found.lapse
        result[rows] = fields
    return result.reshape(steps, kinds, *shape)


def _by_stations(columns: Floats) -> Iterator[tuple[Booleans, npt.NDArray[np.intp]]]:
    """Rows of `columns` [C, S] that have values at the same stations, at one at least, and which stations those are."""
    number = columns.shape[1]
    present = np.isfinite(columns).tobytes()
    groups: dict[bytes, list[int]] = {}
    for row in range(len(columns)):
        groups.setdefault(present[row * number : (row + 1) * number], []).append(row)
    for pattern, rows in groups.items():
        stations = np.frombuffer(pattern, bool)
        if stations.any():
            yield stations, np.array(rows)


@dataclass(frozen=True)
class LeaveOneOutError:
    """How well a variable is interpolated to a station from the others, in the variable's unit.

    Attributes:
        n: Station days with a value and an interpolated one.
        bias: Mean of interpolated minus measured; NaN if n is 0, like the next two.
        mae: Mean absolute error.
        rmse: Root of the mean squared error.
        correlation: Pearson's; NaN if n is below 2 or either side does not vary.
    """

    n: int
    bias: float
    mae: float
    rmse: float
    correlation: float


def leave_one_station_out(
    weather: StationWeather,
    x: Floats,
    y: Floats,
    neighbours: int = NEIGHBOURS,
    power: float = POWER,
    lapse_rate: float = LAPSE_RATE,
) -> dict[str, LeaveOneOutError]:
    """The error of interpolating each station's days from the other stations.

    Of more than 32 stations (a grid's cells) 32 that are spread evenly over their list are judged.

    Args:
        weather: The stations' record.
        x: Easting of the stations, metres [S].
        y: Northing of the stations, metres [S].
        neighbours: Stations used at most for a value.
        power: Exponent of the distance.
        lapse_rate: K/m, taken off temperature as in `weigh_window`.

    Returns:
        The error of each of the weather's variables over all stations and days.
    """
    interpolated = np.full_like(weather.values, np.nan)
    places = np.column_stack([x, y])
    lapsed = [number for number, name in enumerate(weather.variables) if named(name).lapsed]
    count = len(weather.ids)
    for station in np.unique(np.linspace(0, count - 1, min(count, MOST_JUDGED)).round().astype(int)):
        others = np.arange(len(weather.ids)) != station
        values = weather.values[:, others].copy()
        climb = weather.elevation_m[others] - weather.elevation_m[station]
        values[:, :, lapsed] += lapse_rate * np.where(np.isfinite(climb), climb, 0.0)[:, None]
        distance = np.hypot(*(places[others] - places[station]).T)
        interpolated[:, station] = _to_one_target(values, distance, neighbours, power)
    return {
        name: _error(interpolated[:, :, number], weather.values[:, :, number])
        for number, name in enumerate(weather.variables)
    }


def _to_one_target(values: Floats, distance: Floats, neighbours: int, power: float) -> Floats:
    """The same as `inverse_distance` for one target [D, V] and many patterns of gaps: all days at once, no trees."""
    order = np.argsort(distance, kind="stable")
    values, distance = values[:, order], distance[order, None]
    present = np.isfinite(values)
    used = present & (np.cumsum(present, axis=1) <= neighbours)
    nearest = np.where(used, distance, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    weights = np.where(used, relative_weights(distance, np.where(np.isfinite(nearest), nearest, 0.0), power), 0.0)
    total = weights.sum(axis=1)
    weighted = (weights * np.where(used, values, 0.0)).sum(axis=1)
    return np.asarray(np.divide(weighted, total, out=np.full(total.shape, np.nan), where=used.any(axis=1)))


def _error(interpolated: Floats, measured: Floats) -> LeaveOneOutError:
    both = np.isfinite(interpolated) & np.isfinite(measured)
    estimate, truth = interpolated[both], measured[both]
    if not truth.size:
        return LeaveOneOutError(0, *[float("nan")] * 4)
    error = estimate - truth
    # both: a constant's variance can round above 0, and that of tiny numbers underflows to 0
    varies = all(np.ptp(side) > 0 and side.var() > 0 for side in (estimate, truth))
    return LeaveOneOutError(
        n=int(truth.size),
        bias=float(error.mean()),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        correlation=float(np.corrcoef(estimate, truth)[0, 1]) if varies else float("nan"),
    )
