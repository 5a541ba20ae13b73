"""From an area's sources to its cube: everything is put onto one grid, once."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import rasterio

from mlssm import __version__, cube
from mlssm.config import DatamoduleConfig, WeatherConfig
from mlssm.cube import Array, Cube
from mlssm.cube_writer import CubeWriter
from mlssm.errors import ConfigError, DataError
from mlssm.files import whole_or_nothing
from mlssm.grid import Grid, Window
from mlssm.manifest import FORMAT, Manifest
from mlssm.progress import track
from mlssm.provenance import digest
from mlssm.sources.backscatter import BackscatterIndex, index_backscatter, read_pass
from mlssm.sources.checks.backscatter import Units, check_polarisations
from mlssm.sources.checks.soil import check_class_count
from mlssm.sources.checks.terrain import check_stations, elevation_files
from mlssm.sources.faults import BadFiles, OnBadFile
from mlssm.sources.folder import raster_files
from mlssm.sources.inventory import OPTIONAL, source_digests, tell_left_out
from mlssm.sources.ndvi import NdviImage, index_ndvi, read_ndvi
from mlssm.sources.passes import Pass
from mlssm.sources.static import elevation_at, read_incidence, read_soil, read_terrain
from mlssm.sources.stations import WeatherReport, load_weather
from mlssm.sources.weather_notes import tell_station_errors_anew, weather_notes
from mlssm.variables import of_kind
from mlssm.weather.agreement import height_warnings
from mlssm.weather.stations import StationWeather
from mlssm.weather.windows import window_end

log = logging.getLogger(__name__)

DIGESTS = "digests.json"  # of source files, beside the cubes
# a source that reaches fewer of the images' pixels is said to have gaps, and of even fewer warned
WHOLE, MOSTLY = 0.99, 0.9


def prepare(config: DatamoduleConfig, on_bad_file: OnBadFile, interpolation: WeatherConfig | None = None) -> Cube:
    """Make the cube of an area, or find the one that was made from the same inputs.

    Args:
        config: The area.
        on_bad_file: Whether a file that cannot be read stops the run or is left out.
        interpolation: How the stations' values will be interpolated, which the notes judge; None: as by default. The
            cube itself does not depend on it.

    Raises:
        ConfigError: A pattern, CRS or time zone is not one.
        DataError: A source is missing, unreadable or does not fit.
    """
    config.require_root()
    bad = BadFiles(on_bad_file)
    files = source_digests(config, bad, config.cubes / DIGESTS)
    settings = config.model_dump(mode="json", exclude={"root", "cubes", "simulation"})
    identity = digest({"format": FORMAT, "files": files, "settings": settings, "on_bad_file": on_bad_file})
    path = config.cubes / f"{config.root.resolve().name}-{identity[:12]}.zarr"
    tell_left_out(config)
    if path.is_dir():
        log.info("cube %s is there already: nothing to prepare", path)
        found = Cube.open(path)
        for line in found.manifest.corrected:
            log.warning(line)
        tell_station_errors_anew(found.manifest.weather_notes, found.weather, found.station_xy, interpolation)
        return found
    # a folder of thousands of images is not to be listed anew for each
    with whole_or_nothing(path) as partial, rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"):
        _write(partial, config, identity, files, bad, interpolation)
    log.info("cube %s written", path)
    return Cube.open(path)


def _write(
    path: Path,
    config: DatamoduleConfig,
    identity: str,
    files: dict[str, str],
    bad: BadFiles,
    interpolation: WeatherConfig | None,
) -> None:
    # a simulated area may be of years to come
    latest = None if config.simulation is None else dt.datetime.max.replace(tzinfo=dt.UTC)
    index = index_backscatter(config.root, config.backscatter, config.grid, bad, latest)
    middles = [index.grid.crop(area).geographic_centre() for area in index.areas]
    weather, report = load_weather(config.root / config.weather.folder, bad.policy, middles)
    ndvi = [] if config.ndvi is None else index_ndvi(config.root / config.ndvi.folder, config.ndvi_pattern, bad, latest)
    zone = time_zone(config.time_zone, index.grid)
    writer = CubeWriter(path, index.grid)
    features = _write_static(writer, config, index, bad)
    if config.dem is not None:
        heights = elevation_files(raster_files(config.root / config.dem.folder, bad), bad)
        _check_heights(heights, weather, index.grid, bad)
    _write_times(writer, _write_backscatter(writer, config, index, bad), zone)
    _write_incidence(writer, index, bad)
    _write_ndvi(writer, ndvi, index, bad)
    _write_weather(writer, weather)
    manifest = Manifest(
        format=FORMAT,
        mlssm=__version__,
        digest=identity,
        files=files,
        skipped=tuple(dict.fromkeys((*bad.skipped, *report.skipped))),
        corrected=bad.corrections(),
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
        weather_notes=_weather_notes(weather, report, index, interpolation),
    )
    writer.finish(manifest)
    for line in manifest.corrected:
        log.warning(line)


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
            layers = _layers(overpass, index, area, units, bad)
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


def _layers(overpass: Pass, index: BackscatterIndex, area: Window, units: Units, bad: BadFiles) -> list[Array | None]:
    """One pass on one area, dB, in the order of the polarisations; all None where they contradict each other."""
    layers = [read_pass(overpass, pol, index.grid, area, units, bad) for pol in index.polarisations]
    path = overpass.images[0].path
    with bad.handled(path):
        check_polarisations(path, dict(zip(index.polarisations, layers, strict=True)))
        return layers
    return [None for _ in layers]


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
        files = elevation_files(raster_files(config.root / config.dem.folder, bad), bad)
        terrain = [read_terrain(files, index.grid, area, bad) for area in index.areas]
        layers |= {name: [found[name] for found in terrain] for name in terrain[0]}
        _check_reached("dem", files, layers["elevation"], bad)
    if config.soil is not None:
        files = raster_files(config.root / config.soil.folder, bad)
        layers["soil"] = [read_soil(files, index.grid, area, bad) for area in index.areas]
        _check_reached("soil", files, layers["soil"], bad)
        codes = np.unique(np.concatenate([np.unique(values) for values in layers["soil"]]))
        check_class_count(config.root / config.soil.folder, codes[np.isfinite(codes)])
    units = ", ".join([*(f"{item.name} {item.unit}" for item in of_kind("fixed")), "soil class code"])
    array = writer.raster("static", ("feature",), (len(layers),), None, units)
    for position, parts in enumerate(layers.values()):
        for area, values in zip(index.areas, parts, strict=True):
            array[position, *area.slices] = values
    return tuple(layers)


def _check_heights(files: Sequence[Path], weather: StationWeather, grid: Grid, bad: BadFiles) -> None:
    """Hold the DEM against the heights that the stations state: another unit shows."""
    x, y = grid.project(weather.longitude, weather.latitude)
    terrain = elevation_at(files, grid, x, y, bad)
    if warning := check_stations(files[0], terrain, np.asarray(weather.elevation_m)):
        log.warning(warning)
    for warning in height_warnings(weather, terrain):
        log.warning(warning)


def _check_reached(key: str, files: Sequence[Path], layers: Sequence[Array], bad: BadFiles) -> None:
    """Refuse a source without a single value on the images.

    Raises:
        DataError: None of its files can be read, or none overlaps the images.
    """
    place = files[0] if len(files) == 1 else files[0].parent
    known = [np.isfinite(values) for values in layers]
    if any(values.any() for values in known):
        share = sum(values.sum() for values in known) / sum(values.size for values in known)
        if share < WHOLE:
            level = logging.INFO if share > MOSTLY else logging.WARNING  # water has no soil
            log.log(level, "%s reaches %.0f %% of the images' pixels; elsewhere %s is missing", place, 100 * share, key)
        return
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


def _weather_notes(
    weather: StationWeather, report: WeatherReport, index: BackscatterIndex, interpolation: WeatherConfig | None
) -> tuple[str, ...]:
    station_xy = np.stack(index.grid.project(weather.longitude, weather.latitude), axis=1)
    areas = [index.grid.crop(area).bounds for area in index.areas]
    return weather_notes(weather, report, station_xy, areas, interpolation)


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
