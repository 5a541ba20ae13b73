"""Reading gridded weather (NetCDF, zarr): each cell around the extents is a station, and all that follows is the same.

ERA5-Land, MRMS, PRISM, Daymet and IMERG are known by their attributes, and so is any file that follows CF. Units are
those that a file states; one that states none is refused unless the settings do.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.weather.by_day import by_day, partly
from mlssm.sources.weather.grid_cells import Blocks, Cells, blocks_of
from mlssm.sources.weather.grid_files import Part, read_file
from mlssm.sources.weather.grid_times import (
    Axis,
    accumulated,
    ends_of,
    is_daily,
    local_days,
    of_the_hour,
)
from mlssm.sources.weather.hours import Hours, days_of, step_of
from mlssm.sources.weather.quantities import QUANTITIES, range_of
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.site import Site
from mlssm.sources.weather.unit_checks import OF_GRIDS, check_units
from mlssm.weather.stations import Days, Floats

log = logging.getLogger(__name__)

MAX_BEYOND_RANGE = 0.01
MANY_DAYS, LITTLE_MM = 200, 2.0
ROUNDING_MM = 0.05  # below zero, as packing and interpolation leave it
CURE = "state the unit in datamodule.weather.columns, e.g. columns: {precipitation: {column: tp, unit: m}}"


@dataclass
class Grid:
    """What files say of the same cells.

    Attributes:
        name: Of its producer, or of its first file.
        cells: Which cells these are.
        parts: Of each quantity, what each file has.
        elevation: Metres; NaN where unknown [C].
        notes: What is to be said, each line once.
    """

    name: str
    cells: Cells
    parts: dict[str, list[Part]] = field(default_factory=dict)
    elevation: Floats | None = None
    notes: dict[str, None] = field(default_factory=dict)

    def tell(self, *lines: str) -> None:
        """Remember lines, each once."""
        self.notes |= dict.fromkeys(lines)


def read_grids(files: Sequence[Path], source: WeatherSource, site: Site, bad: BadFiles) -> list[StationRecord]:
    """The cells around the extents as stations; files of the same cells are joined, by quantity and by time.

    Args:
        files: NetCDF files and zarr stores.
        source: What variables are meant, when their values are of, and how many cells there may be.
        site: The extents, their time zone, and the day that hours are summed to.
        bad: What a bad file does.

    Raises:
        DataError: A file cannot be read, has no cell around the extents, or its variables, units or times are
            uncertain.
    """
    grids: dict[bytes, Grid] = {}
    for path in files:
        with bad.handled(path):
            found = read_file(path, source, site.boxes)
            where = np.round([found.cells.latitude, found.cells.longitude], 4).tobytes()
            grid = grids.setdefault(where, Grid(found.producer or path.stem, found.cells))
            if found.elevation is not None:
                grid.elevation = found.elevation
            for quantity, part in found.parts.items():
                grid.parts.setdefault(quantity, []).append(part)
            grid.tell(*found.notes)
    records = []
    for grid in grids.values():
        if grid.parts:
            records += _records(grid, source, site)
        else:
            log.warning("%s: its %d cells have heights, and no weather", grid.name, len(grid.cells.row))
    return records


def _records(grid: Grid, source: WeatherSource, site: Site) -> list[StationRecord]:
    blocks = blocks_of(grid.cells, source.most_stations)
    days: dict[str, tuple[Days, Floats]] = {}
    hours: dict[float, dict[str, tuple[Days, Floats]]] = {}
    for quantity, parts in grid.parts.items():
        axis, values = _joined(parts, grid)
        step, values = _of_steps(quantity, parts[0], axis, blocks.mean(values), source, grid)
        if step is None:
            found, lines = local_days(axis, source.time, parts[0].producer, site)
            days[quantity] = (found, values)
        else:
            found, lines = ends_of(axis, step, source.time, parts[0].producer)
            hours.setdefault(step, {})[quantity] = (found, values)
        grid.tell(*lines)
    for step, found_hours in hours.items():
        days |= _summed(step, found_hours, site, grid)
    return _stations(grid, blocks, days, hourly=bool(hours))


def _joined(parts: Sequence[Part], grid: Grid) -> tuple[Axis, Floats]:
    """One quantity's values of all files in the order of time, each time once: the first file's.

    Raises:
        DataError: Files disagree on a time that both have, or their units differ.
    """
    if len({part.unit for part in parts}) > 1:
        raise DataError(f"{parts[0].where} and {parts[-1].where} have different units; bring them to one")
    stamps = np.concatenate([part.axis.stamps for part in parts])
    values = np.concatenate([part.values for part in parts])
    bounds = None
    if all(part.axis.bounds is not None for part in parts):
        bounds = np.concatenate([part.axis.bounds for part in parts if part.axis.bounds is not None])
    order = np.argsort(stamps, kind="stable")
    again = np.r_[False, np.diff(stamps[order]) == np.timedelta64(0, "s")]
    if again.any():
        first, second = values[order][:-1][again[1:]], values[order][again]
        if not np.allclose(first, second, rtol=1e-3, atol=1e-6, equal_nan=True):
            when = stamps[order][again][0]
            raise DataError(f"{parts[0].where}: files disagree on {when}; take one of them away")
        grid.tell(f"{int(again.sum())} times of {parts[0].where} are in several files: read once")
    kept = order[~again]
    axis = Axis(None, stamps[kept], None if bounds is None else bounds[kept])
    return axis, values[kept]


def _of_steps(
    quantity: str, part: Part, axis: Axis, raw: Floats, source: WeatherSource, grid: Grid
) -> tuple[float | None, Floats]:
    """The step's hours (None: days), and values in the quantity's unit.

    Raises:
        DataError: They are impossible in the file's unit.
    """
    daily = is_daily(axis.stamps, part.where)
    step = 24.0 if daily else step_of(axis.stamps, part.where)
    if not daily and QUANTITIES[quantity].day == "sum" and part.unit.per_hours is None:
        ends, _ = ends_of(axis, step, source.time, part.producer)
        since = source.time.accumulated or accumulated(ends, raw, part.where)
        raw = of_the_hour(ends, step, raw, since)
        if since != "hour":
            begin = "midnight UTC" if since == "since_midnight" else "the start of the forecast"
            grid.tell(f"{part.where}: its sums are since {begin}, and were taken apart into hours")
    values = part.unit.convert(raw, step)
    if quantity == "precipitation":
        values = np.where((values < 0) & (values > -ROUNDING_MM), 0.0, values)
    low, high = range_of(quantity)
    beyond = (values < low - 1e-6) | (values > high + 1e-6)
    known = int(np.isfinite(values).sum())
    if beyond.sum() > MAX_BEYOND_RANGE * known:
        raise DataError(
            f"{part.where}: {int(beyond.sum())} of {known} values are impossible in {part.written!r}, e.g. "
            f"{raw[beyond][0]:g}; {CURE}"
        )
    if beyond.any():
        grid.tell(f"{int(beyond.sum())} values of {part.where} are impossible in {part.written!r}: left out")
    return (None if daily else step), np.where(beyond, np.nan, values)


def _summed(
    step: float, found: dict[str, tuple[Days, Floats]], site: Site, grid: Grid
) -> dict[str, tuple[Days, Floats]]:
    """Days from steps of one length."""
    ends = np.unique(np.concatenate([times for times, _ in found.values()]))
    aligned = {}
    for quantity, (times, values) in found.items():
        aligned[quantity] = np.full((len(ends), values.shape[1]), np.nan)
        aligned[quantity][np.searchsorted(ends, times)] = values
    days, values_by_day, scaled = days_of(Hours(ends, step, aligned), site)
    grid.tell(*partly(scaled))
    return {quantity: (days, values) for quantity, values in values_by_day.items()}


def _stations(grid: Grid, blocks: Blocks, days: dict[str, tuple[Days, Floats]], hourly: bool) -> list[StationRecord]:
    longitude, latitude = blocks.mean(grid.cells.longitude), blocks.mean(grid.cells.latitude)
    unknown = np.full(len(grid.cells.row), np.nan)
    elevation = blocks.mean(unknown if grid.elevation is None else grid.elevation)
    if blocks.factor > 1:
        grid.tell(f"{len(grid.cells.row)} cells are averaged to {blocks.count}, {blocks.factor} x {blocks.factor} each")
    if not np.isfinite(elevation).all():
        grid.tell(
            "its cells' heights are unknown: no FAO-56 evapotranspiration, and temperatures without height; put a file "
            "of its elevation (m) or geopotential into the folder"
        )
    known = np.any([np.isfinite(values).any(axis=0) for _, values in days.values()], axis=0)
    if not known.all():
        grid.tell(f"{int((~known).sum())} of {blocks.count} cells have no value at all, as of the sea: left out")
    name, group = (grid.name or "grid").lower(), f"{grid.name}, {int(known.sum())} cells"
    records = []
    for cell in np.flatnonzero(known):
        columns = {
            quantity: pd.Series(values[:, cell], pd.DatetimeIndex(on)) for quantity, (on, values) in days.items()
        }
        table = pd.DataFrame(columns)
        observations = by_day(pd.DatetimeIndex(table.index), {str(key): table[key].to_numpy() for key in table})
        identifier = f"{name}_{latitude[cell]:.4f}_{longitude[cell]:.4f}"
        at = float(longitude[cell]), float(latitude[cell]), float(elevation[cell])
        records.append(StationRecord(identifier, *at, observations, 0, tuple(grid.notes), group, hourly))
    if records:
        _judge(grid, records[len(records) // 2])
    return records


def _judge(grid: Grid, record: StationRecord) -> None:
    """Hold a cell's days against what climates have.

    Raises:
        DataError: They are in another unit than the file states.
    """
    check_units(Path(grid.name), record.observations, record.latitude, "metric", CURE, OF_GRIDS)
    rain = record.observations["precipitation"].dropna()
    if len(rain) >= MANY_DAYS and rain.max() < LITTLE_MM:
        log.warning(
            "%s: no day of %d has more than %.2g mm of rain; is its unit right? %s",
            *(grid.name, len(rain), rain.max(), CURE),
        )
