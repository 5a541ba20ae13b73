"""A folder of dated NDVI rasters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rasterio.enums import Resampling

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources import ndvi_names
from mlssm.sources.checks.ndvi import disagree, ndvi_layer
from mlssm.sources.dated import NameReader, by_pattern, compile_pattern, index_dated
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.folder import raster_files
from mlssm.sources.raster import mosaic

DATE_FORMATS = ("%Y%m%d", "%Y-%m-%d", "%Y%j")


@dataclass(frozen=True)
class NdviImage:
    """The NDVI of one day: one raster, or several tiles.

    Attributes:
        paths: The day's files, in the order of their names.
        day: The day in their names.
    """

    paths: tuple[Path, ...]
    day: dt.date


def index_ndvi(folder: Path, pattern: str | None, bad: BadFiles, latest: dt.datetime | None = None) -> list[NdviImage]:
    """All NDVI rasters of a folder by day, in the order of the days.

    Args:
        folder: The folder.
        pattern: Regular expression of whole names with the group `date`; None: names as producers write them.
        bad: Whether a file that cannot be read or dated stops the run or is left out.
        latest: As in `index_dated`.

    Raises:
        ConfigError: The pattern is not a regular expression with the group `date`.
        DataError: The folder is missing, no name matches, or a file is bad.
    """
    read_name: NameReader = ndvi_names.read_name
    if pattern is not None:
        read_name = by_pattern(compile_pattern(pattern, "ndvi_pattern", ("date",)))
    files = raster_files(folder, bad)
    named = _named(folder, files, pattern, read_name, bad)
    dated = index_dated(named, read_name, DATE_FORMATS, bad, latest)
    if not dated:
        raise DataError(f"no NDVI raster in {folder} can be read; replace them, or set datamodule.ndvi=null")
    by_day = groupby(dated, key=lambda raster: raster.time.date())
    return [NdviImage(tuple(raster.info.path for raster in rasters), day) for day, rasters in by_day]


def _named(
    folder: Path, files: Sequence[Path], pattern: str | None, read_name: NameReader, bad: BadFiles
) -> list[Path]:
    """The files whose names carry a date; the others are said, or refused where there is no other."""
    named: list[Path] = []
    others: list[Path] = []
    for path in files:
        with bad.handled(path):
            (others if read_name(path) is None else named).append(path)
    wanted = repr(pattern) if pattern else "null: a date such as 20230101, 2023-01-01 or 2023001"
    if not named and others:
        raise DataError(f"no file in {folder} matches datamodule.ndvi_pattern ({wanted}); first file: {others[0].name}")
    if others:
        bad.say(
            f"{len(others)} GeoTIFFs in {folder} (first: {others[0].name}) do not match datamodule.ndvi_pattern "
            f"({wanted}): not used"
        )
    return named


def read_ndvi(image: NdviImage, grid: Grid, area: Window, bad: BadFiles) -> Array:
    """NDVI of an area, float32 [height, width], -1..1, NaN where missing; of two tiles the first that has a value.

    Raises:
        DataError: A file cannot be read, or its values are not NDVI (-1..1), and the policy is "error".
    """
    return mosaic(image.paths, grid, area, Resampling.bilinear, bad, ndvi_layer(bad), disagree)
