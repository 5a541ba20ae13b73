"""From an area's sources to its cube: everything is put onto one grid, once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import rasterio

from mlssm import __version__, cube
from mlssm.config import DatamoduleConfig
from mlssm.cube import Array, Cube, Manifest
from mlssm.cube_writer import CubeWriter
from mlssm.errors import ConfigError, DataError
from mlssm.files import whole_or_nothing
from mlssm.grid import Grid, Window
from mlssm.progress import track
from mlssm.provenance import digest, file_digests
from mlssm.sources.backscatter import BackscatterIndex, Pass, index_backscatter, read_pass
from mlssm.sources.faults import BadFiles, OnBadFile
from mlssm.sources.ndvi import NdviImage, index_ndvi, read_ndvi
from mlssm.sources.raster import raster_files
from mlssm.sources.static import read_elevation, read_incidence, read_soil
from mlssm.sources.stations import WeatherReport, load_weather
from mlssm.weather.interpolation import leave_one_station_out
from mlssm.weather.stations import UNITS, StationWeather
from mlssm.weather.windows import window_end

log = logging.getLogger(__name__)

OPTIONAL = ("dem", "soil", "ndvi")
# files beside a raster in which GDAL looks for its CRS, its missing value or its mask
SIDECARS = (".aux.xml", ".msk")
DIGESTS = "digests.json"  # of source files, beside the cubes


def prepare(config: DatamoduleConfig, on_bad_file: OnBadFile) -> Cube:
    """Make the cube of an area, or find the one that was made from the same inputs.

    Args:
        config: The area.
        on_bad_file: Whether a file that cannot be read stops the run or is left out.

    Raises:
        ConfigError: A pattern, CRS or time zone is not one.
        DataError: A source is missing, unreadable or does not fit.
    """
    if not config.root.is_dir():
        raise DataError(f"datamodule.root={config.root} is not a folder; set it to the area's folder")
    files = file_digests(config.root, _source_files(config), config.cubes / DIGESTS)
    settings = config.model_dump(mode="json", exclude={"root", "cubes", "simulation"})
    identity = digest({"format": cube.FORMAT, "files": files, "settings": settings, "on_bad_file": on_bad_file})
    path = config.cubes / f"{config.root.resolve().name}-{identity[:12]}.zarr"
    _tell_left_out(config)
    if path.is_dir():
        log.info("cube %s is there already: nothing to prepare", path)
        return Cube.open(path)
    # a folder of thousands of images is not to be listed anew for each
    with whole_or_nothing(path) as partial, rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"):
        _write(partial, config, identity, files, on_bad_file)
    log.info("cube %s written", path)
    return Cube.open(path)


def _source_files(config: DatamoduleConfig) -> list[Path]:
    weather = config.root / config.weather
    if not weather.is_dir():
        raise DataError(f"weather folder {weather} is missing; put the stations' CSV files there")
    rasters = raster_files(config.root / config.backscatter.folder)
    for name in (config.dem, config.soil, config.ndvi):
        if name is not None:
            rasters += raster_files(config.root / name)
    beside = (path.with_name(path.name + suffix) for path in rasters for suffix in SIDECARS)
    return [*rasters, *(path for path in beside if path.is_file()), *weather.glob("*.csv")]


def _tell_left_out(config: DatamoduleConfig) -> None:
    for name in OPTIONAL:
        if getattr(config, name) is None and (config.root / name).exists():
            log.info(
                "%s is there, but datamodule.%s=null leaves it out; datamodule.%s=%s uses it",
                *(config.root / name, name, name, name),
            )


def _write(path: Path, config: DatamoduleConfig, identity: str, files: dict[str, str], on_bad_file: OnBadFile) -> None:
    bad = BadFiles(on_bad_file)
    index = index_backscatter(config.root, config.backscatter, config.grid, bad)
    weather, report = load_weather(config.root / config.weather, on_bad_file)
    ndvi = [] if config.ndvi is None else index_ndvi(config.root / config.ndvi, config.ndvi_pattern, bad)
    zone = time_zone(config.time_zone, index.grid)
    writer = CubeWriter(path, index.grid)
    features = _write_static(writer, config, index, bad)
    _write_times(writer, _write_backscatter(writer, config, index, bad), zone)
    _write_incidence(writer, index, bad)
    _write_ndvi(writer, ndvi, index, bad)
    _write_weather(writer, weather)
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
        left_out=tuple(name for name in OPTIONAL if getattr(config, name) is None),
        weather_notes=_weather_notes(weather, report, index.grid),
    )
    writer.finish(manifest)


def _write_backscatter(
    writer: CubeWriter, config: DatamoduleConfig, index: BackscatterIndex, bad: BadFiles
) -> tuple[Pass, ...]:
    """Write the passes that have a value anywhere, and return them."""
    lead = (len(index.passes), len(index.polarisations))
    array = writer.raster("backscatter", ("time", "polarisation"), lead, cube.BACKSCATTER_SCALE, "dB")
    units = config.backscatter.units
    kept: list[Pass] = []
    for overpass in track(index.passes, "backscatter onto the grid"):
        measured = False
        for area in index.areas:
            layers = [read_pass(overpass, pol, index.grid, area, units, bad) for pol in index.polarisations]
            if any(layer is not None for layer in layers):
                packed = [_packed(layer, area, cube.BACKSCATTER_SCALE) for layer in layers]
                array[len(kept), :, *area.slices] = np.stack(packed)
                measured = True
        if measured:
            kept.append(overpass)
        else:
            log.warning("the pass of %s has no valid pixel: left out", overpass.acquired)
    if not kept:
        raise DataError(
            f"no image in {config.root / config.backscatter.folder} has a valid pixel; "
            f"check datamodule.backscatter.units={units} and the images' missing value"
        )
    array.resize((len(kept), *array.shape[1:]))
    return tuple(kept)


def _packed(layer: Array | None, area: Window, scale: float) -> cube.Packed:
    return np.full(area.shape, cube.FILL) if layer is None else cube.pack(layer, scale)


def _write_times(writer: CubeWriter, passes: Sequence[Pass], zone: ZoneInfo) -> None:
    local = [overpass.acquired.astimezone(zone) for overpass in passes]
    seconds = np.array([int(overpass.acquired.timestamp()) for overpass in passes], np.int64)
    meaning = {"units": "seconds since 1970-01-01", "long_name": "acquisition, UTC"}
    writer.array("time", seconds, ("time",), meaning)
    writer.days("local_day", (moment.date() for moment in local), "time")
    writer.days("window_end", (window_end(moment) for moment in local), "time")
    writer.array("orbit", np.array([overpass.orbit for overpass in passes], np.int64), ("time",))


def _write_static(
    writer: CubeWriter, config: DatamoduleConfig, index: BackscatterIndex, bad: BadFiles
) -> tuple[str, ...]:
    """Write the static features that the configuration has, and return their names."""
    layers: dict[str, list[Array]] = {}
    if config.dem is not None:
        files = raster_files(config.root / config.dem)
        pairs = [read_elevation(files, index.grid, area, bad) for area in index.areas]
        layers["elevation"], layers["slope"] = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        _check_reached("dem", files, layers["elevation"], bad)
    if config.soil is not None:
        files = raster_files(config.root / config.soil)
        layers["soil"] = [read_soil(files, index.grid, area, bad) for area in index.areas]
        _check_reached("soil", files, layers["soil"], bad)
    units = "elevation m, slope degrees, soil class code"
    array = writer.raster("static", ("feature",), (len(layers),), None, units)
    for position, parts in enumerate(layers.values()):
        for area, values in zip(index.areas, parts, strict=True):
            array[position, *area.slices] = values
    return tuple(layers)


def _check_reached(key: str, files: Sequence[Path], layers: Sequence[Array], bad: BadFiles) -> None:
    """Refuse a source without a single value on the images.

    Raises:
        DataError: None of its files can be read, or none overlaps the images.
    """
    if any(np.isfinite(values).any() for values in layers):
        return
    place = files[0] if len(files) == 1 else files[0].parent
    if all(path.name in bad.skipped for path in files):
        raise DataError(f"nothing in {place} can be read; replace it, or set datamodule.{key}=null to leave it out")
    raise DataError(f"{place} does not overlap the images; give {key} of the same place, or set datamodule.{key}=null")


def _write_incidence(writer: CubeWriter, index: BackscatterIndex, bad: BadFiles) -> None:
    if not index.incidence:
        return
    lead = (len(index.incidence),)
    array = writer.raster("incidence", ("incidence_orbit",), lead, cube.ANGLE_SCALE, "degrees")
    for position, orbit in enumerate(sorted(index.incidence)):
        for area in index.areas:
            angle = read_incidence(index.incidence[orbit], index.grid, area, bad)
            array[position, *area.slices] = cube.pack(angle, cube.ANGLE_SCALE)


def _write_ndvi(writer: CubeWriter, images: Sequence[NdviImage], index: BackscatterIndex, bad: BadFiles) -> None:
    if not images:
        return
    array = writer.raster("ndvi", ("ndvi_time",), (len(images),), cube.NDVI_SCALE, "1")
    kept: list[NdviImage] = []
    for image in track(images, "NDVI onto the grid"):
        layers = [read_ndvi(image, index.grid, area, bad) for area in index.areas]
        # a day without a value would hide the one before it
        if any(np.isfinite(values).any() for values in layers):
            for area, values in zip(index.areas, layers, strict=True):
                array[len(kept), *area.slices] = cube.pack(values, cube.NDVI_SCALE)
            kept.append(image)
    if not kept:
        _check_reached("ndvi", [path for image in images for path in image.paths], [], bad)
    array.resize((len(kept), *array.shape[1:]))
    writer.days("ndvi_time", (image.day for image in kept), "ndvi_time")


def _write_weather(writer: CubeWriter, weather: StationWeather) -> None:
    x, y = writer.grid.project(weather.longitude, weather.latitude)
    stations = np.stack([weather.longitude, weather.latitude, weather.elevation_m, x, y], axis=1)
    writer.array("station", stations, ("station", "property"))
    writer.array("weather", weather.values, ("day", "station", "variable"))
    writer.days("day", weather.days, "day")


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
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as America
        raise ConfigError(f"datamodule.time_zone={name} is not an IANA time zone such as America/Los_Angeles") from None
