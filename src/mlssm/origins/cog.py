"""The window of a remote Cloud-Optimised GeoTIFF that lies on a grid, warped onto it; no byte more is read."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.abc import FileContainer
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window as PixelWindow
from rasterio.windows import from_bounds

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.origins.download import NO_CREDENTIAL, Downloads, Sign
from mlssm.origins.range_file import RangeFile

log = logging.getLogger(__name__)

NAME = "remote.tif"
COARSER = 1.5  # a grid this much coarser than the file takes means
MARGIN = 2  # pixels of the file around the window, for interpolation


class OneFile(FileContainer):  # type: ignore[misc] # rasterio ships no types
    """A folder with one file, as GDAL looks for others beside it."""

    def __init__(self, file: RangeFile) -> None:
        """Take the file."""
        self._file = file

    def isdir(self, path: str) -> bool:
        """The folder itself is none that can be listed."""
        return False

    def isfile(self, path: str) -> bool:
        """Whether it is this file."""
        return path.endswith(NAME)

    def ls(self, path: str) -> list[str]:
        """The file."""
        return [NAME]

    def mtime(self, path: str) -> int:
        """Never."""
        return 0

    def open(self, path: str, mode: str = "r", **options: Any) -> RangeFile:
        """The file, from its beginning.

        Raises:
            FileNotFoundError: It is another name, or to be written.
        """
        if not self.isfile(path) or "w" in mode:
            raise FileNotFoundError(path)
        self._file.seek(0)
        return self._file

    def rm(self, path: str) -> None:
        """Not here.

        Raises:
            PermissionError: Always.
        """
        raise PermissionError(path)

    def size(self, path: str) -> int:
        """Bytes."""
        return self._file.size


@dataclass(frozen=True)
class Cut:
    """What a file has on a grid.

    Attributes:
        values: float32 [height, width] of the window; NaN where the file has nothing.
        window: Of the grid.
        read_bytes: Bytes that were read.
        needed_bytes: Bytes of the blocks that the window lies on.
        requests: Requests that it took.
    """

    values: npt.NDArray[np.float32]
    window: Window
    read_bytes: int
    needed_bytes: int
    requests: int


def read_cog(
    downloads: Downloads,
    url: str,
    grid: Grid,
    nearest: bool = False,
    sign: Sign | None = None,
    credential: str = NO_CREDENTIAL,
) -> Cut | None:
    """Read what a remote COG has on a grid; None where it does not reach it.

    The file's own CRS and transform place it, not what a catalogue says of it.

    Args:
        downloads: What asks for its parts.
        url: Its address, without signature.
        grid: Where to.
        nearest: Of classes: the nearest value. Else means where the grid is coarser, and bilinear interpolation.
        sign: See `Remote`.
        credential: See `Remote`.

    Raises:
        DataError: It cannot be read, or says not where it lies.
    """
    file = RangeFile(downloads, url, sign, credential)
    try:
        # an opener reads what GDAL asks for; from an open file rasterio would read all into memory
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(NAME, opener=OneFile(file)) as dataset,
        ):
            return _warped(dataset, file, grid, nearest, url)
    except RasterioIOError as error:
        if file.fault is not None:  # which GDAL does not pass on
            raise file.fault from error
        raise DataError(f"{url} cannot be read as a GeoTIFF ({error})") from error


def _warped(dataset: Any, file: RangeFile, grid: Grid, nearest: bool, url: str) -> Cut | None:
    if dataset.crs is None:
        raise DataError(f"{url} does not say where it lies (no CRS): it is not terrain-corrected")
    window = grid.window_of(transform_bounds(dataset.crs, grid.crs, *dataset.bounds))
    if 0 in window.shape:
        return None
    needed = list(_blocks(dataset, _source_window(dataset, grid.crop(window))))
    file.prefetch(needed)
    crop = grid.crop(window)
    options: dict[str, Any] = {"crs": grid.crs, "transform": crop.transform, "width": crop.width}
    options |= {"height": crop.height, "resampling": _resampling(dataset, grid, nearest), "dtype": "float32"}
    missing = dataset.nodata if dataset.nodata is not None else np.nan
    with WarpedVRT(dataset, src_nodata=dataset.nodata, nodata=missing, **options) as warped:
        values = warped.read(1, masked=True).filled(np.nan).astype(np.float32, copy=False)
        inside = warped.dataset_mask() > 0
    values[~inside] = np.nan
    return Cut(values, window, file.read_bytes, sum(length for _, length in needed), file.requests)


def _resampling(dataset: Any, grid: Grid, nearest: bool) -> Resampling:
    if nearest:
        return Resampling.nearest
    west, south, east, north = transform_bounds(dataset.crs, grid.crs, *dataset.bounds)
    pixel = math.sqrt((east - west) / dataset.width * (north - south) / dataset.height)
    return Resampling.average if grid.pixel > COARSER * pixel else Resampling.bilinear


def _source_window(dataset: Any, crop: Grid) -> PixelWindow:
    """The file's pixels below a grid, with a margin."""
    bounds = transform_bounds(crop.crs, dataset.crs, *crop.bounds)
    window = from_bounds(*bounds, transform=dataset.transform)
    col, row = math.floor(window.col_off) - MARGIN, math.floor(window.row_off) - MARGIN
    right = math.ceil(window.col_off + window.width) + MARGIN
    bottom = math.ceil(window.row_off + window.height) + MARGIN
    col, row = max(col, 0), max(row, 0)
    return PixelWindow(col, row, min(right, dataset.width) - col, min(bottom, dataset.height) - row)


def _blocks(dataset: Any, window: PixelWindow) -> Iterator[tuple[int, int]]:
    """First byte and length of each block of the first band that a window lies on; blocks without data have none."""
    height, width = dataset.block_shapes[0]
    for y in range(int(window.row_off) // height, -(-int(window.row_off + window.height) // height)):
        for x in range(int(window.col_off) // width, -(-int(window.col_off + window.width) // width)):
            start = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1)
            length = dataset.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=1)
            if start is not None and length is not None:
                yield int(start), int(length)
