"""An area's cube: found, or made from its sources."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import rasterio

from mlssm import __version__
from mlssm.builds import Build, one_build, sweep_builds
from mlssm.config import DaskConfig, DatamoduleConfig, WeatherConfig
from mlssm.cube import Cube
from mlssm.cube_writer import CubeWriter
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid
from mlssm.manifest import FORMAT, Manifest
from mlssm.prepare.backscatter import create_backscatter, write_backscatter, write_times
from mlssm.prepare.heights import check_heights
from mlssm.prepare.land import Land, create_land, gap_days, plan_land, write_land
from mlssm.prepare.land_task import LandTask
from mlssm.prepare.passes import Beside, PassTask, Places
from mlssm.prepare.settle import settle
from mlssm.prepare.task import CACHE, CUBE
from mlssm.prepare.wanted import Wanted, tell_of_older, tell_of_other_formats
from mlssm.prepare.weather import notes_on_weather, read_weather, write_weather
from mlssm.shards import in_batches
from mlssm.sources.backscatter import BackscatterIndex, index_backscatter
from mlssm.sources.checks.terrain import elevation_files
from mlssm.sources.faults import BadFiles, OnBadFile
from mlssm.sources.folder import raster_files
from mlssm.sources.inventory import OPTIONAL, tell_left_out
from mlssm.sources.layers import index_layers
from mlssm.sources.ndvi import NdviImage, index_ndvi
from mlssm.sources.weather.load import WeatherReport
from mlssm.weather.stations import StationWeather
from mlssm.workers import Workers, open_workers

log = logging.getLogger(__name__)


def prepare(
    config: DatamoduleConfig,
    on_bad_file: OnBadFile,
    interpolation: WeatherConfig | None = None,
    dask: DaskConfig | None = None,
    beside: Beside | None = None,
) -> Cube:
    """Make the cube of an area, or find the one that was made from the same inputs.

    Args:
        config: The area.
        on_bad_file: Whether a file that cannot be read stops the run or is left out.
        interpolation: How the stations' values will be interpolated, which the notes judge; None: as by default. The
            cube itself does not depend on it.
        dask: Where passes are worked on; None: threads.
        beside: What else is made of each pass while it is read; nothing where the cube is there already.

    Raises:
        ConfigError: A pattern, CRS or time zone is not one.
        DataError: A source is missing, unreadable or does not fit.
        ChangedError: A file changed while it was read.
        WorkerError: Workers died.
    """
    config.require_root()
    config, area = settle(config)
    wanted = Wanted(config, BadFiles(on_bad_file), () if area is None else area.provenance)
    tell_left_out(config)
    if (found := wanted.found(interpolation)) is not None:
        sweep_builds(config.cubes)
        return found
    # a folder of thousands of images is not to be listed anew for each
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE", GDAL_CACHEMAX=CACHE), in_batches():
        sources = read_sources(wanted, interpolation)
        tell_of_other_formats(wanted)
        name = wanted.build_name(sources.index, sources.land.plan())
        with one_build(config.cubes, name, str(config.root)) as build:
            # who had to wait finds what the other one made
            if build.waited and (found := wanted.found(interpolation)) is not None:
                return found
            with open_workers(dask or DaskConfig()) as workers:
                path = _write(build, wanted, sources, workers, beside)
    log.info("cube %s written", path)
    tell_of_older(wanted, path)
    return Cube.open(path)


def _write(build: Build, wanted: Wanted, sources: Sources, workers: Workers, beside: Beside | None) -> Path:
    """Make the cube in its build, or go on with it, and put it into its place."""
    config, index, bad = wanted.config, sources.index, wanted.bad
    places = Places(index.grid, index.extents, index.polarisations, len(index.passes))
    build.begin(lambda folder: _create(CubeWriter(folder / CUBE, index.grid), places, sources.land))
    if beside is not None:
        beside.start(build.folder, places)
    writer = CubeWriter(build.folder / CUBE, index.grid)
    digests = wanted.digests()
    land = LandTask(build, bad.policy, index.grid, index.extents)
    checksums = write_land(land, sources.land, writer, workers, digests, bad)
    if config.dem is not None:
        heights = elevation_files(raster_files(config.root / config.dem.folder, bad), bad)
        check_heights(heights, sources.weather, index.grid, bad)
    task = PassTask(build, bad.policy, places, beside)
    written = write_backscatter(task, index, workers, config, digests, bad)
    write_times(writer, written.passes, sources.zone, sources.report.closing_hour)
    write_weather(writer, sources.weather, sources.report)
    path, identity, files = wanted.identified(digests)
    manifest = _manifest(wanted, sources, Inputs(identity, files))
    writer.finish(manifest, checksums | written.files)
    for line in manifest.corrected:
        log.warning(line)
    if beside is not None:
        beside.place(build.folder, path)
    build.finish(build.folder / CUBE, path)
    return path


def _create(writer: CubeWriter, places: Places, land: Land) -> None:
    create_backscatter(writer, places)
    create_land(writer, land)


@dataclass(frozen=True)
class Inputs:
    """What a cube is made from.

    Attributes:
        identity: Digest of all of it.
        files: Digest of each file.
    """

    identity: str
    files: dict[str, str]


@dataclass(frozen=True)
class Sources:
    """What is known of an area's sources before the backscatter is read.

    Attributes:
        index: The images.
        zone: The area's time zone.
        weather: At its stations.
        report: Of it.
        notes: On it, a line each.
        land: What is to be written of the land.
    """

    index: BackscatterIndex
    zone: ZoneInfo
    weather: StationWeather
    report: WeatherReport
    notes: tuple[str, ...]
    land: Land


def read_sources(wanted: Wanted, interpolation: WeatherConfig | None) -> Sources:
    """List the images, and read the weather.

    Raises:
        DataError: A source is missing, unreadable or does not fit.
    """
    config, bad = wanted.config, wanted.bad
    # a simulated area may be of years to come
    latest = None if config.simulation is None else dt.datetime.max.replace(tzinfo=dt.UTC)
    index = index_backscatter(config.root, config.backscatter, config.grid, bad, latest)
    zone = time_zone(config.time_zone, index.grid)
    weather, report = read_weather(config, index, zone, bad.policy)
    ndvi: Sequence[NdviImage] = []
    if config.ndvi is not None:
        ndvi = index_ndvi(config.root / config.ndvi.folder, config.ndvi_pattern, bad, latest, config.ndvi)
    layers = index_layers(config.root, config.layers, bad, latest)
    notes = notes_on_weather(weather, report, index, interpolation)
    land = plan_land(config, index, ndvi, layers, bad)
    return Sources(index, zone, weather, report, notes, land)


def _manifest(wanted: Wanted, sources: Sources, inputs: Inputs) -> Manifest:
    config, index, land = wanted.config, sources.index, sources.land
    return Manifest(
        format=FORMAT,
        mlssm=__version__,
        digest=inputs.identity,
        files=inputs.files,
        provenance=wanted.provenance,
        skipped=tuple(dict.fromkeys((*wanted.bad.skipped, *sources.report.skipped))),
        corrected=wanted.bad.corrections(),
        crs=index.grid.crs,
        origin=index.grid.origin,
        pixel=index.grid.pixel,
        shape=index.grid.shape,
        extents=tuple((extent.row, extent.col, *extent.shape) for extent in index.extents),
        time_zone=sources.zone.key,
        polarisations=index.polarisations,
        features=land.features,
        classes=land.classes,
        dated=tuple(name for name in land.dated if name != "ndvi"),
        gap_days=gap_days(config),
        orbits=tuple(sorted(index.incidence)),
        stations=sources.weather.ids,
        variables=sources.weather.variables,
        looks=config.backscatter.looks,
        left_out=tuple(name for name in OPTIONAL if getattr(config, name) is None),
        weather_notes=sources.notes,
    )


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
