"""Storms: cells of rain that move across the area, and the rain that they leave behind in a day."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import interpolate, special

from mlssm.origins.simulation.arrays import Days, Floats

# Storms that begin on a day, by month: a Mediterranean year, nearly all between October and April.
STORMS_PER_DAY = (0.13, 0.13, 0.11, 0.06, 0.02, 0.005, 0.002, 0.003, 0.01, 0.05, 0.09, 0.12)
MEAN_EXTRA_DAYS = 1.0  # beyond the first day of a storm
MEAN_DEPTH_MM = 13.0  # a storm day's mean rain over the area
DEPTH_SHAPE = 1.2  # of the gamma distribution of that depth
SEASON_DEVIATION = 0.25  # of the log of a season's factor: wet years and dry years
CELL_SPACING_M = 3000.0  # between the tracks of cells, on average
CELL_RADIUS_M = (2000.0, 5000.0)  # standard deviation of a cell's Gaussian
CELL_STRENGTH_SHAPE = 2.0  # of the gamma distribution of a cell's strength, mean 1
NODE_M = 400.0  # a fifth of the smallest radius: a cubic spline then errs by less than 0.1 %
SPEED_M_PER_DAY = (40e3, 160e3)
HEADING_RAD = (-0.9, 0.5)  # where storms go, anticlockwise from east


@dataclass(frozen=True)
class Cells:
    """The rain cells of one day; arrays have one value for each cell, lengths in metres from the area's centre.

    Attributes:
        heading: Direction of travel, radians anticlockwise from east.
        across: Distance of the track to the left of the centre.
        start: Position along the track at the day's start.
        end: Position along the track at the day's end.
        radius: Standard deviation of the cell's Gaussian.
        depth: What a gauge on the track collects while the whole cell passes, mm.
    """

    heading: Floats
    across: Floats
    start: Floats
    end: Floats
    radius: Floats
    depth: Floats

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.depth)


def draw_cells(rng: np.random.Generator, heading: float, mean_depth: float, reach: float) -> Cells:
    """Cells of one storm day whose expected rain is `mean_depth` everywhere within reach of the centre.

    Tracks are a Poisson process with one track in each `spacing` across. The rain across a track adds up to
    depth * radius * sqrt(2 pi), so that mean_depth = depth * radius * sqrt(2 pi) / spacing (Campbell's theorem).
    A cell's day covers a length of its track anywhere near the area; more cells make up for those that end early.

    Args:
        rng: The stream to draw from.
        heading: Radians anticlockwise from east.
        mean_depth: mm.
        reach: Distance from the centre to the farthest point of interest, metres.
    """
    speed = rng.uniform(*SPEED_M_PER_DAY)
    edge = reach + 3 * CELL_RADIUS_M[1]
    path = speed + 2 * edge
    count = rng.poisson(2 * edge / CELL_SPACING_M * path / speed)
    radius = rng.uniform(*CELL_RADIUS_M, count)
    strength = rng.gamma(CELL_STRENGTH_SHAPE, 1 / CELL_STRENGTH_SHAPE, count)
    start = rng.uniform(-speed - edge, edge, count)
    depth = strength * mean_depth * CELL_SPACING_M / (radius * np.sqrt(2 * np.pi))
    return Cells(np.full(count, heading), rng.uniform(-edge, edge, count), start, start + speed, radius, depth)


def join(parts: list[Cells]) -> Cells:
    """The cells of several storms on one day."""
    names = ("heading", "across", "start", "end", "radius", "depth")
    columns = [np.concatenate([np.empty(0), *(getattr(part, name) for part in parts)]) for name in names]
    return Cells(*columns)


def draw_storms(rng: np.random.Generator, days: Days, reach: float) -> tuple[Cells, ...]:
    """The cells of each day, without any on most days.

    Args:
        rng: The stream to draw from.
        days: Consecutive days.
        reach: See `draw_cells`.
    """
    months = days.astype("datetime64[M]").astype(int) % 12
    seasons = (days.astype("datetime64[M]").astype(int) - 8) // 12  # from September
    factors = np.exp(rng.normal(-(SEASON_DEVIATION**2) / 2, SEASON_DEVIATION, seasons[-1] - seasons[0] + 1))
    parts: list[list[Cells]] = [[] for _ in days]
    for first, month in enumerate(months):
        if rng.random() >= STORMS_PER_DAY[month]:
            continue
        heading = rng.uniform(*HEADING_RAD)
        factor = MEAN_DEPTH_MM * factors[seasons[first] - seasons[0]]
        for day in range(first, min(first + 1 + rng.poisson(MEAN_EXTRA_DAYS), len(days))):
            depth = factor * rng.gamma(DEPTH_SHAPE, 1 / DEPTH_SHAPE)
            parts[day].append(draw_cells(rng, heading, depth, reach))
    return tuple(join(part) for part in parts)


def rain_of(cells: Cells, x: Floats, y: Floats) -> Floats:
    """A day's rain in mm at points: each cell's Gaussian integrated over its way, in closed form.

    A Gaussian of radius r that moves from a to b along its track leaves, at distance s along and c across,
    depth * exp(-c^2 / 2 r^2) * (Phi((b - s) / r) - Phi((a - s) / r)), with Phi the normal distribution function.

    Args:
        cells: The day's cells.
        x: Metres east of the centre, any shape.
        y: Metres north of the centre, a shape that broadcasts with x.

    Returns:
        float32 of the common shape.
    """
    total: npt.NDArray[Any] = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    columns = (cells.heading, cells.across, cells.start, cells.end, cells.radius, cells.depth)
    for heading, across, start, end, radius, depth in zip(*(column.tolist() for column in columns), strict=True):
        left = (y * np.cos(heading) - x * np.sin(heading) - across) / radius
        if np.abs(left).min() > 5:  # passes by; less than 4e-6 of its depth
            continue
        along = x * np.cos(heading) + y * np.sin(heading)
        passed = special.ndtr((end - along) / radius) - special.ndtr((start - along) / radius)
        total += depth * np.exp(-(left**2) / 2) * passed
    return total


def rain_on_grid(cells: Cells, east: Floats, north: Floats) -> Floats:
    """What `rain_of` gives, on a grid of pixel centres, by a cubic spline through nodes closer than a cell is wide.

    Args:
        cells: The day's cells.
        east: Metres east of the centre, ascending, one value a column.
        north: Metres north of the centre, descending, one value a row.

    Returns:
        float32 [row, column], at least 0.
    """
    if not cells.count:
        return np.zeros((len(north), len(east)), dtype=np.float32)
    columns, rows = _nodes(east[0], east[-1]), _nodes(north[-1], north[0])
    spline = interpolate.RectBivariateSpline(rows, columns, rain_of(cells, columns[None, :], rows[:, None]))
    return np.asarray(np.maximum(spline(north[::-1], east)[::-1], 0), dtype=np.float32)


def _nodes(first: float, last: float) -> Floats:
    return np.linspace(first, last, max(math.ceil((last - first) / NODE_M), 3) + 1)
