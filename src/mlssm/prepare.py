"""From an area's sources to its cube: everything is put onto one grid, once."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import zarr
from rich.progress import track

from mlssm import __version__, cube
from mlssm.config import DatamoduleConfig
from mlssm.cube import Cube, Manifest
from mlssm.errors import ConfigError, DataError
from mlssm.files import whole_or_nothing
from mlssm.grid import Grid, Window
from mlssm.provenance import digest, file_digests
from mlssm.sources.backscatter import BackscatterIndex, index_backscatter, read_pass
from mlssm.sources.ndvi import NdviImage, index_ndvi, read_ndvi
from mlssm.sources.raster import BadFiles, OnBadFile, raster_files
from mlssm.sources.static import read_elevation, read_incidence, read_soil
from mlssm.weather.folder import WeatherReport, load_weather
from mlssm.weather.interpolation import leave_one_station_out
from mlssm.weather.stations import UNITS, StationWeather
from mlssm.weather.windows import window_end

log = logging.getLogger(__name__)

CHUNK = 256
OPTIONAL = ("dem", "soil", "ndvi")


def prepare(config: DatamoduleConfig, on_bad_file: OnBadFile) -> Cube:
    """Make the cube of an area, or find the one that was made from the same inputs.

    Args:
        config: The area.
        on_bad_file: Whether a file that cannot be read stops the run or is left out.

    Raises:
        DataError: A source is missing, unreadable or does not fit.
    """
    if not config.root.is_dir():
        raise DataError(f"datamodule.root={config.root} is not a folder; set it to the area's folder")
    files = file_digests(config.root, _source_files(config))
    settings = config.model_dump(mode="json", exclude={"root", "cubes", "simulation"})
    identity = digest({"format": cube.FORMAT, "files": files, "settings": settings, "on_bad_file": on_bad_file})
    path = config.cubes / f"{config.root.resolve().name}-{identity[:12]}.zarr"
    if path.is_dir():
        log.info("cube %s is there already: nothing to prepare", path)
        return Cube.open(path)
    with whole_or_nothing(path) as partial:
        _write(partial, config, identity, files, on_bad_file)
    log.info("cube %s written", path)
    return Cube.open(path)


def _source_files(config: DatamoduleConfig) -> list[Path]:
    weather = config.root / config.weather
    if not weather.is_dir():
        raise DataError(f"weather folder {weather} is missing; put the stations' CSV files there")
    found = [*raster_files(config.root / config.backscatter.folder), *weather.glob("*.csv")]
    for name in (config.dem, config.soil, config.ndvi):
        if name is not None:
            found += raster_files(config.root / name)
    return found


def _write(path: Path, config: DatamoduleConfig, identity: str, files: dict[str, str], on_bad_file: OnBadFile) -> None:
    bad = BadFiles(on_bad_file)
    index = index_backscatter(config.root, config.backscatter, config.grid, bad)
    weather, report = load_weather(config.root / config.weather, on_bad_file)
    ndvi = _ndvi_images(config, index.grid, bad)
    zone = time_zone(config.time_zone, index.grid)
    group = zarr.create_group(path, zarr_format=3)
    writer = _Writer(group, index.grid)
    features = _write_static(writer, config, index)
    _write_backscatter(writer, config, index, bad)
    _write_days(group, index, zone)
    _write_incidence(writer, index)
    _write_ndvi(writer, ndvi, index, bad)
    _write_weather(group, weather, index.grid)
    writer.coordinates()
    left_out = tuple(name for name in OPTIONAL if getattr(config, name) is None)
    manifest = Manifest(
        format=cube.FORMAT,
        mlssm=__version__,
        digest=identity,
        files=files,
        skipped=(*bad.skipped, *report.skipped),
        crs=index.grid.crs,
        origin=index.grid.origin,
        pixel=index.grid.pixel,
        shape=index.grid.shape,
        areas=tuple((area.row, area.col, *area.shape) for area in index.areas),
        time_zone=zone.key,
        polarisations=index.polarisations,
        features=features,
        orbits=tuple(sorted(index.incidence)),
        stations=weather.ids,
        variables=weather.variables,
        looks=config.backscatter.looks,
        left_out=left_out,
        weather_notes=_weather_notes(weather, report, index.grid),
    )
    group.attrs.update(manifest.model_dump(mode="json"))


class _Writer:
    """Creates the cube's arrays on the grid and writes one area at a time."""

    def __init__(self, group: zarr.Group, grid: Grid) -> None:
        self.group, self.grid = group, grid

    def create(self, name: str, dims: tuple[str, ...], lead: tuple[int, ...], scale: float | None, units: str) -> Any:
        packing = {"scale_factor": scale, "_FillValue": int(cube.FILL)} if scale else {}
        return self.group.create_array(
            name,
            shape=(*lead, *self.grid.shape),
            chunks=(*(1 for _ in lead), min(CHUNK, self.grid.height), min(CHUNK, self.grid.width)),
            dtype="int16" if scale else "float32",
            fill_value=int(cube.FILL) if scale else np.nan,
            dimension_names=(*dims, "y", "x"),
            attributes={"units": units, **packing},
        )

    def coordinates(self) -> None:
        x, y = self.grid.centres(self.grid.full)
        _axis(self.group, "x", x, "x", {"units": "m"})
        _axis(self.group, "y", y, "y", {"units": "m"})


def _axis(group: zarr.Group, name: str, values: npt.NDArray[Any], dim: str, attributes: dict[str, Any]) -> None:
    group.create_array(name, data=values, dimension_names=(dim,), attributes=attributes)


def _write_backscatter(writer: _Writer, config: DatamoduleConfig, index: BackscatterIndex, bad: BadFiles) -> None:
    lead = (len(index.passes), len(index.polarisations))
    array = writer.create("backscatter", ("time", "polarisation"), lead, cube.BACKSCATTER_SCALE, "dB")
    units = config.backscatter.units
    for time, overpass in enumerate(track(index.passes, "backscatter onto the grid", transient=True)):
        for pol, polarisation in enumerate(index.polarisations):
            for area in index.areas:
                values = read_pass(overpass, polarisation, index.grid, area, units, bad)
                if values is not None:
                    array[time, pol, *area.slices] = cube.pack(values, cube.BACKSCATTER_SCALE)


def _write_days(group: zarr.Group, index: BackscatterIndex, zone: ZoneInfo) -> None:
    local = [overpass.acquired.astimezone(zone) for overpass in index.passes]
    epoch = {"units": "days since 1970-01-01"}
    seconds = np.array([int(overpass.acquired.timestamp()) for overpass in index.passes], np.int64)
    _axis(group, "time", seconds, "time", {"units": "seconds since 1970-01-01", "long_name": "acquisition, UTC"})
    _axis(group, "local_day", _days(moment.date() for moment in local), "time", epoch)
    _axis(group, "window_end", _days(window_end(moment) for moment in local), "time", epoch)
    _axis(group, "orbit", np.array([overpass.orbit for overpass in index.passes], np.int64), "time", {})


def _days(days: Iterable[dt.date]) -> npt.NDArray[np.int64]:
    return np.array(list(days), "datetime64[D]").astype(np.int64)


def _write_static(writer: _Writer, config: DatamoduleConfig, index: BackscatterIndex) -> tuple[str, ...]:
    layers: dict[str, list[tuple[Window, cube.Array]]] = {}
    if config.dem is not None:
        files = raster_files(config.root / config.dem)
        for area in index.areas:
            elevation, slope = read_elevation(files, index.grid, area)
            layers.setdefault("elevation", []).append((area, elevation))
            layers.setdefault("slope", []).append((area, slope))
    if config.soil is not None:
        files = raster_files(config.root / config.soil)
        layers["soil"] = [(area, read_soil(files, index.grid, area)) for area in index.areas]
    for name, parts in layers.items():
        if all(np.isnan(values).all() for _, values in parts):
            source = config.root / str(config.soil if name == "soil" else config.dem)
            raise DataError(
                f"{source} does not overlap the images; give one of the same place, or null to leave it out"
            )
    array = writer.create("static", ("feature",), (len(layers),), None, "elevation m, slope degrees, soil class code")
    for position, parts in enumerate(layers.values()):
        for area, values in parts:
            array[position, *area.slices] = values
    return tuple(layers)


def _write_incidence(writer: _Writer, index: BackscatterIndex) -> None:
    if not index.incidence:
        return
    array = writer.create("incidence", ("incidence_orbit",), (len(index.incidence),), cube.ANGLE_SCALE, "degrees")
    for position, orbit in enumerate(sorted(index.incidence)):
        for area in index.areas:
            angle = read_incidence(index.incidence[orbit], index.grid, area)
            array[position, *area.slices] = cube.pack(angle, cube.ANGLE_SCALE)


def _ndvi_images(config: DatamoduleConfig, grid: Grid, bad: BadFiles) -> list[NdviImage]:
    if config.ndvi is None:
        return []
    return index_ndvi(config.root / config.ndvi, config.ndvi_pattern, grid.crs, bad)


def _write_ndvi(writer: _Writer, images: list[NdviImage], index: BackscatterIndex, bad: BadFiles) -> None:
    if not images:
        return
    array = writer.create("ndvi", ("ndvi_time",), (len(images),), cube.NDVI_SCALE, "1")
    reached = False
    for position, image in enumerate(track(images, "NDVI onto the grid", transient=True)):
        for area in index.areas:
            with bad.handled(image.path):
                values = read_ndvi(image, index.grid, area)
                reached |= bool(np.isfinite(values).any())
                array[position, *area.slices] = cube.pack(values, cube.NDVI_SCALE)
    if not reached:
        raise DataError(f"{images[0].path.parent} does not overlap the images; give NDVI of the same place, or null")
    days = _days(image.day for image in images)
    _axis(writer.group, "ndvi_time", days, "ndvi_time", {"units": "days since 1970-01-01"})


def _write_weather(group: zarr.Group, weather: StationWeather, grid: Grid) -> None:
    x, y = grid.project(weather.longitude, weather.latitude)
    stations = np.stack([weather.longitude, weather.latitude, weather.elevation_m, x, y], axis=1)
    group.create_array("station", data=stations, dimension_names=("station", "property"))
    group.create_array("weather", data=weather.values, dimension_names=("day", "station", "variable"))
    _axis(group, "day", weather.days.astype(np.int64), "day", {"units": "days since 1970-01-01"})


def _weather_notes(weather: StationWeather, report: WeatherReport, grid: Grid) -> tuple[str, ...]:
    """How evapotranspiration was found, what was rejected, and how well stations predict each other."""
    notes = [
        f"{days.station}: evapotranspiration by FAO-56 on {days.fao56} days, Hargreaves on {days.hargreaves}"
        for days in report.evapotranspiration
    ]
    notes += [f"{quality.station}: {quality.rejected} values rejected" for quality in report.quality]
    errors = leave_one_station_out(weather, *grid.project(weather.longitude, weather.latitude))
    for name, error in errors.items():
        if error.n:
            note = (
                f"{name}: leave-one-station-out RMSE {error.rmse:.2f}, bias {error.bias:.2f} {UNITS[name]}, n {error.n}"
            )
            log.info(note)
            notes.append(note)
    return tuple(notes)


def time_zone(name: str | None, grid: Grid) -> ZoneInfo:
    """The area's time zone: the one that was set, or the one at the grid's middle.

    Raises:
        ConfigError: The name is not an IANA time zone.
        DataError: The place has no time zone.
    """
    if name is None:
        from timezonefinder import TimezoneFinder

        longitude, latitude = grid.geographic_centre()
        name = TimezoneFinder().timezone_at(lng=longitude, lat=latitude)
        if name is None:
            raise DataError(f"no time zone at {longitude:.2f} E {latitude:.2f} N; set datamodule.time_zone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"datamodule.time_zone={name} is not an IANA time zone such as America/Los_Angeles") from None
