"""A folder of dated NDVI rasters."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.enums import Resampling

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.dated import index_dated
from mlssm.sources.raster import Array, BadFiles, inspect_all, raster_files, read_onto


@dataclass(frozen=True)
class NdviImage:
    """One NDVI raster and its day."""

    path: Path
    day: dt.date


def index_ndvi(folder: Path, pattern: str, crs: str, bad: BadFiles) -> list[NdviImage]:
    """All NDVI rasters of a folder in the order of their days.

    Raises:
        DataError: The folder is missing, no name matches, or a file is bad.
    """
    files = raster_files(folder)
    named = [path for path in files if re.fullmatch(pattern, path.name)]
    if not named:
        raise DataError(
            f"no file in {folder} matches datamodule.ndvi_pattern {pattern!r} (first file: {files[0].name})"
        )
    infos = inspect_all(named, bad)
    if not infos:
        raise DataError(f"none of the {len(named)} NDVI rasters in {folder} can be read")
    dated = index_dated([info.path for info in infos], pattern, "%Y%m%d", crs)
    return [NdviImage(path, time.date()) for path, time, _ in dated]


def read_ndvi(image: NdviImage, grid: Grid, area: Window) -> Array:
    """NDVI of an area, float32 [height, width], NaN where missing.

    Raises:
        DataError: The file cannot be read, or its values are not NDVI (-1..1).
    """
    values = read_onto(image.path, grid, area, Resampling.bilinear)
    if np.nanmax(np.abs(values), initial=0) > 1.0001:
        worst = float(np.nanmax(np.abs(values)))
        raise DataError(
            f"{image.path} holds {worst:g}, but NDVI lies in -1..1; scale it (many products store it times 10000)"
        )
    return values
