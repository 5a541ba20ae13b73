"""Maps on the grid of LHASA, NASA's landslide hazard model: 30 arc-seconds, from 180 W and 90 N on.

Kirschbaum and Stanley 2018, Earth's Future 6, 505-523.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import reproject, transform_bounds

from mlssm.errors import DataError
from mlssm.files import whole_file
from mlssm.mapping.geotiff import NAME_TAG, SSM, opened_map, read_values

DEGREES = "EPSG:4326"
CELL = 1 / 120  # degrees: 30 arc-seconds
WEST, NORTH = -180.0, 90.0
# a cell of which a smaller share was mapped has no value
LEAST_COVER = 0.5
DESCRIPTION = "surface soil moisture, relative, mean of the cell's mapped ground"

Floats = npt.NDArray[np.float32]


def write_lhasa(folder: Path, path: Path) -> Path:
    """Average a map of soil moisture onto LHASA's cells.

    Args:
        folder: Where the GeoTIFF goes, under the map's name once it is whole; deflated, float32, NaN where less than
            half of a cell was mapped.
        path: The map.

    Returns:
        The GeoTIFF.

    Raises:
        DataError: The map cannot be read, or the file not be written.
    """
    target = folder / path.name
    try:
        with opened_map(path) as source:
            values, tags, place = read_values(source, 1), source.tags(), (source.transform, source.crs)
            transform, shape = cells_over(transform_bounds(source.crs, DEGREES, *source.bounds))
        known = np.isfinite(values)
        cover = _averaged(known.astype(np.float32), place, transform, shape, None)
        found = _averaged(values, place, transform, shape, math.nan)
        cells = np.where(cover >= LEAST_COVER, found, np.float32(np.nan))
        profile: dict[str, Any] = {"driver": "GTiff", "dtype": "float32", "count": 1, "nodata": math.nan}
        profile |= {"height": shape[0], "width": shape[1], "crs": DEGREES, "transform": transform}
        with whole_file(target) as finished:
            with rasterio.open(finished, "w", **profile, compress="deflate") as file:
                file.write(cells, 1)
                file.set_band_description(1, DESCRIPTION)
                file.update_tags(**tags)
                file.update_tags(1, **{NAME_TAG: SSM})
            _verify(finished, cells)
    except (OSError, RasterioError) as error:
        fault = f"{target} cannot be made from {path} ({error}); choose another folder or free some space"
        raise DataError(fault) from error
    return target


def _verify(path: Path, cells: Floats) -> None:
    """Read the values back: GDAL does not raise when a disk fills up while a file is closed."""
    with rasterio.open(path) as source:
        if not np.array_equal(source.read(1), cells, equal_nan=True):
            raise OSError("values read back differ from those written")


def cells_over(bounds: tuple[float, float, float, float]) -> tuple[Affine, tuple[int, int]]:
    """Transform and shape of the whole cells that cover west, south, east, north in degrees."""
    west, south, east, north = bounds
    # rounded, so that an edge on a cell's own is not taken for one beside it
    sides = [round((west - WEST) / CELL, 6), round((east - WEST) / CELL, 6)]
    ends = [round((NORTH - north) / CELL, 6), round((NORTH - south) / CELL, 6)]
    first_col, last_col = math.floor(sides[0]), math.ceil(sides[1])
    first_row, last_row = math.floor(ends[0]), math.ceil(ends[1])
    transform = Affine(CELL, 0, WEST + first_col * CELL, 0, -CELL, NORTH - first_row * CELL)
    return transform, (last_row - first_row, last_col - first_col)


def _averaged(
    values: Floats, place: tuple[Affine, Any], transform: Affine, shape: tuple[int, int], missing: float | None
) -> Floats:
    found = np.full(shape, 0 if missing is None else missing, np.float32)
    reproject(
        values,
        found,
        src_transform=place[0],
        src_crs=place[1],
        src_nodata=missing,
        dst_transform=transform,
        dst_crs=DEGREES,
        dst_nodata=missing,
        resampling=Resampling.average,
    )
    return found
