"""Maps as Cloud-Optimised GeoTIFF.

GDAL's COG driver is used through rasterio, and rio-cogeo only validates. On a grid of 3300 x 3700 pixels with five
extents of 100 x 100 the driver is twice as fast (it writes overviews and file in one pass), keeps the band's unit,
which rio-cogeo's cog_translate drops, and adds the statistics that QGIS stretches colours with. Both leave empty blocks
out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import rasterio.shutil
import rasterio.windows
from rasterio._err import CPLE_BaseError  # what a failed copy raises; rasterio.errors has no name for it

from mlssm.errors import DataError
from mlssm.grid import Grid, Window

Block: TypeAlias = tuple[Window, npt.NDArray[np.float32]]

# Small blocks: extents are specks on a mostly empty grid, and a block is read and stored whole.
BLOCK_SIZE = 256
NAME_TAG = "name"  # of a band
SSM = "ssm"
UNITS = "1"
UNITS_TAG = "1 (relative soil moisture, 0 = driest seen, 1 = wettest seen)"
COG_OPTIONS = {
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "YES",  # the floating-point predictor
    "BLOCKSIZE": str(BLOCK_SIZE),
    "OVERVIEW_RESAMPLING": "AVERAGE",  # nodata has no share in it
    "SPARSE_OK": "TRUE",
    "STATISTICS": "YES",
    "BIGTIFF": "IF_SAFER",
}


@dataclass(frozen=True)
class Band:
    """A band beside the soil moisture.

    Attributes:
        name: By which programs know it; it stands in the band's tag `name`.
        description: What it is.
        units: Of its values.
        blocks: In the same windows.
        high: Greatest value that can be; the least is 0.
    """

    name: str
    description: str
    units: str
    blocks: Sequence[Block]
    high: float = 1.0


def write_cog(
    path: Path,
    blocks: Sequence[Block],
    grid: Grid,
    tags: Mapping[str, str],
    description: str,
    more: Sequence[Band] = (),
) -> None:
    """Write one map of soil moisture as a Cloud-Optimised GeoTIFF on the whole grid.

    The file appears under its name when it is complete; blocks without data take no space in it.

    Args:
        path: The file; folders are made, an older file is replaced.
        blocks: Windows of the grid that do not overlap, each with its SSM [h, w], float32, 0..1; NaN = nodata.
        grid: The grid of the map.
        tags: What the file says about itself, e.g. date, run id, model, support in metres.
        description: The first band's description.
        more: Bands that follow it.

    Raises:
        ValueError: A block has values outside 0..1, another type or shape than stated, reaches out of the grid, or
            overlaps another.
        DataError: The file cannot be written.
    """
    bands = (Band(SSM, description, UNITS, blocks), *more)
    for band in bands:
        for block in band.blocks:
            _check(block, grid, band)
    if clash := next((pair for pair in combinations(blocks, 2) if pair[0][0].intersects(pair[1][0])), None):
        raise ValueError(f"blocks overlap: {clash[0][0]} and {clash[1][0]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            staged, finished = Path(folder) / "staged.tif", Path(folder) / "finished.tif"
            _stage(staged, bands, grid, tags)
            rasterio.shutil.copy(staged, finished, driver="COG", **COG_OPTIONS)
            _verify(finished, bands)
            finished.replace(path)
    except (OSError, rasterio.errors.RasterioError, CPLE_BaseError) as error:
        raise DataError(f"{path} cannot be written ({error}); choose another folder or free some space") from error


def _check(block: Block, grid: Grid, band: Band) -> None:
    window, values = block
    if values.dtype != np.float32 or values.shape != window.shape:
        raise ValueError(
            f"a block must be float32 of its window's shape, not {values.dtype} {values.shape} in {window}"
        )
    if min(window.row, window.col) < 0 or grid.full.union(window) != grid.full:
        raise ValueError(f"{window} reaches out of a grid of {grid.height} x {grid.width} pixels")
    known = values[~np.isnan(values)]
    if known.size and not (known.min() >= 0 and known.max() <= band.high):
        what = "soil moisture" if band.name == SSM else band.name
        raise ValueError(f"{what} must lie in 0..{band.high:g}, not {known.min():g}..{known.max():g}, in {window}")


def _stage(path: Path, bands: Sequence[Band], grid: Grid, tags: Mapping[str, str]) -> None:
    """A plain sparse GeoTIFF: the COG driver can only copy a complete raster."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="float32",
        count=len(bands),
        height=grid.height,
        width=grid.width,
        crs=grid.crs,
        transform=grid.transform,
        nodata=np.nan,
        tiled=True,
        blockxsize=BLOCK_SIZE,
        blockysize=BLOCK_SIZE,
        SPARSE_OK=True,
        BIGTIFF="IF_SAFER",
    ) as target:
        for number, band in enumerate(bands, 1):
            for window, values in band.blocks:
                target.write(values, number, window=_place(window))
            target.set_band_description(number, band.description)
            target.update_tags(number, **{NAME_TAG: band.name})
        target.units = tuple(band.units for band in bands)
        target.update_tags(**{"units": UNITS_TAG, **tags})


def _verify(path: Path, bands: Sequence[Band]) -> None:
    """Read the values back: GDAL does not raise when a disk fills up while a file is closed."""
    with rasterio.open(path) as source:
        for number, band in enumerate(bands, 1):
            for window, values in band.blocks:
                if not np.array_equal(source.read(number, window=_place(window)), values, equal_nan=True):
                    raise OSError("values read back differ from those written")


def _place(window: Window) -> rasterio.windows.Window:
    return rasterio.windows.Window(window.col, window.row, window.width, window.height)
