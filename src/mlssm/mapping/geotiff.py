"""Maps as Cloud-Optimised GeoTIFF.

GDAL's COG driver is used through rasterio, and rio-cogeo only validates. On a grid of 3300 x 3700 pixels with five
extents of 100 x 100 the driver is twice as fast (it writes overviews and file in one pass), keeps the band's unit,
which rio-cogeo's cog_translate drops, and adds the statistics that QGIS stretches colours with. Both leave empty blocks
out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import rasterio.shutil
import rasterio.windows
from rasterio._err import CPLE_BaseError  # what a failed copy raises; rasterio.errors has no name for it

from mlssm.errors import DataError
from mlssm.files import passing_folder
from mlssm.grid import Grid, Window

Block: TypeAlias = tuple[Window, npt.NDArray[np.float32]]

# Small blocks: extents are specks on a mostly empty grid, and a block is read and stored whole.
BLOCK_SIZE = 256
# of GDAL, which would take a twentieth of the machine's memory, bytes: rasterio takes a whole number for bytes
WRITE_CACHE = 64 << 20
READ_CACHE = 256 << 20  # blocks hold all bands: room for those that two threads warp at once, or each is read again
NAME_TAG = "name"  # of a band
SSM = "ssm"
PACKED, NODATA = "uint8", 255
STEP = 0.005  # of what lies in 0..1, where it is packed
UNITS = "1"
UNITS_TAG = "1 (relative soil moisture, 0 = driest seen, 1 = wettest seen)"
COG_OPTIONS = {
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "YES",  # the floating-point predictor, of whole numbers the horizontal one
    "BLOCKSIZE": str(BLOCK_SIZE),
    "OVERVIEW_RESAMPLING": "AVERAGE",  # nodata has no share in it
    "SPARSE_OK": "TRUE",
    "STATISTICS": "YES",
    "BIGTIFF": "IF_SAFER",
}


@dataclass(frozen=True)
class Band:
    """A band of a map.

    Attributes:
        name: By which programs know it; it stands in the band's tag `name`.
        description: What it is.
        units: Of its values.
        blocks: In the same windows as the first band's; empty where they are written one by one.
        high: Greatest value that can be; the least is 0.
        step: Of its values, where they are packed into whole numbers.
    """

    name: str
    description: str
    units: str
    blocks: Sequence[Block] = ()
    high: float = 1.0
    step: float = STEP


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
    with MapWriter(path, grid, bands) as target:
        for number, band in enumerate(bands, 1):
            for window, values in band.blocks:
                target.write(number, window, values)
        target.tag(tags)


class MapWriter:
    """Writes a map block by block; the file appears under its name when all blocks are in it and read back.

    A context: what is written is lost where the block ends with an error.
    """

    def __init__(self, path: Path, grid: Grid, bands: Sequence[Band], *, packed: bool = False) -> None:
        """Describe the file.

        Args:
            path: The file; folders are made, an older file is replaced.
            grid: The grid of the map.
            bands: What is written.
            packed: Whether values are whole numbers of each band's step, uint8 with 255 for nodata; else float32.
        """
        self._path, self._grid, self._bands, self._packed = path, grid, tuple(bands), packed
        self._written: list[tuple[int, Window, int]] = []

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            DataError: The folder cannot be written.
        """
        with ExitStack() as stack:
            try:
                self._folder = stack.enter_context(passing_folder(self._path))
                stack.enter_context(rasterio.Env(GDAL_CACHEMAX=WRITE_CACHE))
                self._target = self._open(self._folder / "staged.tif")
            except (OSError, rasterio.errors.RasterioError, CPLE_BaseError) as error:
                raise self._fault(error) from error
            self._held = stack.pop_all()
        return self

    def write(self, number: int, window: Window, values: npt.NDArray[np.float32]) -> None:
        """Write a block of a band, NaN = nodata; no other block of the band overlaps it.

        Raises:
            ValueError: Its values, type, shape or place are not as stated.
            DataError: It cannot be written.
        """
        band = self._bands[number - 1]
        _check((window, values), self._grid, band)
        stored = _packed(values, band) if self._packed else values
        try:
            self._target.write(stored, number, window=_place(window))
        except (OSError, rasterio.errors.RasterioError, CPLE_BaseError) as error:
            raise self._fault(error) from error
        self._written.append((number, window, _digest(stored)))

    def tag(self, tags: Mapping[str, str]) -> None:
        """Say what the map is."""
        self._target.update_tags(**{"units": UNITS_TAG, **tags})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file.

        Raises:
            DataError: It cannot be written.
        """
        try:
            self._target.close()
            if kind is None:
                self._finish(self._folder)
        except (OSError, rasterio.errors.RasterioError, CPLE_BaseError) as fault:
            raise self._fault(fault) from fault
        finally:
            self._held.close()

    def _open(self, path: Path) -> Any:
        """A plain sparse GeoTIFF: the COG driver can only copy a complete raster."""
        grid, packed = self._grid, self._packed
        target = rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype=PACKED if packed else "float32",
            count=len(self._bands),
            height=grid.height,
            width=grid.width,
            crs=grid.crs,
            transform=grid.transform,
            nodata=NODATA if packed else np.nan,
            tiled=True,
            blockxsize=BLOCK_SIZE,
            blockysize=BLOCK_SIZE,
            SPARSE_OK=True,
            BIGTIFF="IF_SAFER",
        )
        for number, band in enumerate(self._bands, 1):
            target.set_band_description(number, band.description)
            target.update_tags(number, **{NAME_TAG: band.name})
        target.units = tuple(band.units for band in self._bands)
        if packed:
            target.scales = tuple(band.step for band in self._bands)
        return target

    def _finish(self, folder: Path) -> None:
        finished = folder / "finished.tif"
        rasterio.shutil.copy(folder / "staged.tif", finished, driver="COG", **COG_OPTIONS)
        self._verify(finished)
        finished.replace(self._path)

    def _verify(self, path: Path) -> None:
        """Read the values back: GDAL does not raise when a disk fills up while a file is closed."""
        with rasterio.open(path) as source:
            for number, window, digest in self._written:
                if _digest(source.read(number, window=_place(window))) != digest:
                    raise OSError("values read back differ from those written")

    def _fault(self, error: Exception) -> DataError:
        return DataError(f"{self._path} cannot be written ({error}); choose another folder or free some space")


def read_values(source: Any, number: int, window: Window | None = None) -> npt.NDArray[np.float32]:
    """A band of an open map, float32 [h, w], NaN where it has no value; packed values come back in their unit.

    Args:
        source: Of rasterio.
        number: Of the band.
        window: Of the grid; None: all of it.
    """
    return unpacked(source, number, source.read(number, window=None if window is None else _place(window)))


@contextmanager
def opened_map(path: Path) -> Iterator[Any]:
    """A map to read from; of what was read GDAL keeps little, where it would take a twentieth of the machine's memory.

    Raises:
        RasterioError: It cannot be read.
    """
    with rasterio.Env(GDAL_CACHEMAX=READ_CACHE), rasterio.open(path) as source:
        yield source


def unpacked(source: Any, number: int, stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What was read of a band of an open map, in its unit, float32, NaN where it has no value."""
    if source.dtypes[number - 1] != PACKED:
        return np.asarray(stored, np.float32)
    values = stored * np.float32(source.scales[number - 1]) + np.float32(source.offsets[number - 1])
    return np.where(stored == source.nodata, np.float32(np.nan), values).astype(np.float32)


def _packed(values: npt.NDArray[np.float32], band: Band) -> npt.NDArray[np.uint8]:
    """Values as the nearest step, `NODATA` where there is none.

    Raises:
        ValueError: One is too large.
    """
    known = np.isfinite(values)
    steps = np.round(np.where(known, values, 0) / band.step)
    if steps.max(initial=0) >= NODATA:
        raise ValueError(f"{band.name}: {values[known].max():g} in steps of {band.step:g} does not fit into {PACKED}")
    return np.where(known, steps, NODATA).astype(np.uint8)


def _digest(stored: npt.NDArray[Any]) -> int:
    """A checksum of values; all kinds of NaN are one."""
    same = stored if stored.dtype == np.uint8 else np.where(np.isnan(stored), np.float32(-1), stored)
    return zlib.crc32(np.ascontiguousarray(same).data)


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


def _place(window: Window) -> rasterio.windows.Window:
    return rasterio.windows.Window(window.col, window.row, window.width, window.height)
