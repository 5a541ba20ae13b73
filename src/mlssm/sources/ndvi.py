"""A folder of dated NDVI rasters."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rasterio.enums import Resampling

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.dated import compile_pattern, index_dated
from mlssm.sources.faults import Array, BadFiles, Limits
from mlssm.sources.raster import mosaic, raster_files

DATE_FORMATS = ("%Y%m%d", "%Y-%m-%d")
# a float's rounding past the ends is no error
NDVI = Limits("NDVI", -1.0001, 1.0001, "scale it (many products store it times 10000), or declare its nodata value")


@dataclass(frozen=True)
class NdviImage:
    """The NDVI of one day: one raster, or several tiles.

    Attributes:
        paths: The day's files, in the order of their names.
        day: The day in their names.
    """

    paths: tuple[Path, ...]
    day: dt.date


def index_ndvi(folder: Path, pattern: str, bad: BadFiles) -> list[NdviImage]:
    """All NDVI rasters of a folder by day, in the order of the days.

    Raises:
        ConfigError: The pattern is not a regular expression with the group `date`.
        DataError: The folder is missing, no name matches, or a file is bad.
    """
    compiled = compile_pattern(pattern, "ndvi_pattern", ("date",))
    files = raster_files(folder)
    if not any(compiled.fullmatch(path.name) for path in files):
        raise DataError(
            f"no file in {folder} matches datamodule.ndvi_pattern {pattern!r} (first file: {files[0].name})"
        )
    dated = index_dated(files, compiled, DATE_FORMATS, bad)
    if not dated:
        raise DataError(f"no NDVI raster in {folder} can be read; replace them, or set datamodule.ndvi=null")
    by_day = groupby(dated, key=lambda raster: raster.time.date())
    return [NdviImage(tuple(raster.info.path for raster in rasters), day) for day, rasters in by_day]


def read_ndvi(image: NdviImage, grid: Grid, area: Window, bad: BadFiles) -> Array:
    """NDVI of an area, float32 [height, width], -1..1, NaN where missing; of two tiles the first that has a value.

    Raises:
        DataError: A file cannot be read, or its values are not NDVI (-1..1), and the policy is "error".
    """
    return mosaic(image.paths, grid, area, Resampling.bilinear, bad, NDVI)
