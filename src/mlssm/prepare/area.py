"""An area's cube: found, or made from its sources."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import rasterio

from mlssm import __version__
from mlssm.config import DatamoduleConfig, WeatherConfig
from mlssm.config.area_file import FileProvenance
from mlssm.cube import Cube
from mlssm.cube_writer import CubeWriter
from mlssm.errors import ConfigError, DataError
from mlssm.files import whole_or_nothing
from mlssm.grid import Grid
from mlssm.manifest import FORMAT, Manifest
from mlssm.prepare.backscatter import write_backscatter, write_incidence, write_times
from mlssm.prepare.land import check_heights, gap_days, write_dated_layers, write_ndvi, write_static
from mlssm.prepare.settle import settle
from mlssm.prepare.weather import notes_on_weather, read_weather, write_weather
from mlssm.provenance import digest
from mlssm.sources.backscatter import index_backscatter
from mlssm.sources.checks.terrain import elevation_files
from mlssm.sources.faults import BadFiles, OnBadFile
from mlssm.sources.folder import raster_files
from mlssm.sources.inventory import OPTIONAL, source_digests, tell_changed, tell_left_out
from mlssm.sources.layers import index_layers
from mlssm.sources.ndvi import index_ndvi
from mlssm.sources.weather.notes import tell_station_errors_anew

log = logging.getLogger(__name__)

# where the files are and how they came there; what they hold counts
NOT_OF_A_CUBE = {"root", "cubes", "simulation", "area", "dates", "dry_run", "origin"}
DIGESTS = "digests.json"  # of source files, beside the cubes


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
    config, area = settle(config)
    provenance = () if area is None else area.provenance
    bad = BadFiles(on_bad_file)
    files = source_digests(config, bad, config.cubes / DIGESTS)
    tell_changed(config.root, provenance, files, bad)
    settings = config.model_dump(mode="json", exclude=NOT_OF_A_CUBE)
    inputs = {"format": FORMAT, "files": files, "settings": settings, "on_bad_file": on_bad_file}
    if provenance:  # when a file was fetched changes nothing
        inputs["provenance"] = [item.model_dump(mode="json", exclude={"retrieved"}) for item in provenance]
    identity = digest(inputs)
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
        _write(partial, config, Inputs(identity, files, provenance), bad, interpolation)
    log.info("cube %s written", path)
    return Cube.open(path)


@dataclass(frozen=True)
class Inputs:
    """What a cube is made from.

    Attributes:
        identity: Digest of all of it.
        files: Digest of each file.
        provenance: Where files come from, as `area.yaml` says.
    """

    identity: str
    files: dict[str, str]
    provenance: tuple[FileProvenance, ...]


def _write(
    path: Path, config: DatamoduleConfig, inputs: Inputs, bad: BadFiles, interpolation: WeatherConfig | None
) -> None:
    # a simulated area may be of years to come
    latest = None if config.simulation is None else dt.datetime.max.replace(tzinfo=dt.UTC)
    index = index_backscatter(config.root, config.backscatter, config.grid, bad, latest)
    zone = time_zone(config.time_zone, index.grid)
    weather, report = read_weather(config, index, zone, bad.policy)
    ndvi = []
    if config.ndvi is not None:
        ndvi = index_ndvi(config.root / config.ndvi.folder, config.ndvi_pattern, bad, latest, config.ndvi)
    layers = index_layers(config.root, config.layers, bad, latest)
    writer = CubeWriter(path, index.grid)
    static = write_static(writer, config, index, layers, bad)
    if config.dem is not None:
        heights = elevation_files(raster_files(config.root / config.dem.folder, bad), bad)
        check_heights(heights, weather, index.grid, bad)
    write_times(writer, write_backscatter(writer, config, index, bad), zone, report.closing_hour)
    write_incidence(writer, index, bad)
    write_ndvi(writer, ndvi, index, bad)
    dated = write_dated_layers(writer, layers, index, bad)
    write_weather(writer, weather, report)
    manifest = Manifest(
        format=FORMAT,
        mlssm=__version__,
        digest=inputs.identity,
        files=inputs.files,
        provenance=inputs.provenance,
        skipped=tuple(dict.fromkeys((*bad.skipped, *report.skipped))),
        corrected=bad.corrections(),
        crs=index.grid.crs,
        origin=index.grid.origin,
        pixel=index.grid.pixel,
        shape=index.grid.shape,
        extents=tuple((extent.row, extent.col, *extent.shape) for extent in index.extents),
        time_zone=zone.key,
        polarisations=index.polarisations,
        features=static.features,
        classes=static.classes,
        dated=dated,
        gap_days=gap_days(config),
        orbits=tuple(sorted(index.incidence)),
        stations=weather.ids,
        variables=weather.variables,
        looks=config.backscatter.looks,
        left_out=tuple(name for name in OPTIONAL if getattr(config, name) is None),
        weather_notes=notes_on_weather(weather, report, index, interpolation),
    )
    writer.finish(manifest)
    for line in manifest.corrected:
        log.warning(line)


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
