"""Reading one raster file, or several, onto a window of the grid."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.windows
from rasterio.crs import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject, transform_bounds

from mlssm.grid import Grid, Window
from mlssm.sources.checks.header import Band, Kind, Layer, find_band
from mlssm.sources.faults import Array, without
from mlssm.sources.opening import (
    Content,
    Placement,
    gdal_faults,
    known_crs,
    opened,
    placement,
    projected,
    refuse_too_large,
)

# pixels read around the wanted window, so that bilinear resampling has its neighbours
MARGIN = 2
COARSER = "resample it to about the grid's pixel, e.g. `gdalwarp -tr 30 30 -r average`"


def _only_band(path: Path, source: Any) -> Band:
    return find_band(path, source, Kind("the quantity", r"(?!)", classes=True))


PLAIN = Layer(_only_band)


Lend = Callable[[Path], AbstractContextManager[Content]]


def from_disk(path: Path) -> AbstractContextManager[Content]:
    """What lends no file's content: GDAL reads it."""
    return nullcontext()


class RasterFile:
    """A raster's band, of which windows are read onto the grid; open as long as they meet it.

    Attributes:
        path: The file.
        place: Where its pixels lie.
        missing: Values that stand for missing ones, as its `Look` found.
    """

    def __init__(self, path: Path, layer: Layer, lend: Lend = from_disk) -> None:
        """Read its header.

        Args:
            path: The file.
            layer: Which band, and how its values are checked and converted before they are warped: warping could blend
                a wrong value with its neighbours into a credible one, and what is averaged must be what adds up.
            lend: Gives its content.

        Raises:
            DataError: The file cannot be read, has no CRS, is rotated, or its header is of something else.
        """
        self.path, self._layer, self._lend = path, layer, lend
        with opened(path, layer.crs) as source:
            self._band = layer.band(path, source)
            self.place = placement(source, layer.crs)
        self.missing: tuple[float, ...] = ()
        self._open: tuple[Any, ExitStack] | None = None
        self.begin()

    def begin(self) -> None:
        """Look at it anew, as it is read anew."""
        self._look = self._layer.look(self.path, self._band)

    def onto(self, target: Grid, resampling: Resampling) -> Array:
        """Its values on a grid, with the band's own scale and offset applied.

        A raster that lies on the grid's own pixels is copied; any other is warped. Where `resampling` is bilinear and
        the raster's pixels are at most two thirds of the grid's, they are averaged instead.

        Args:
            target: The grid, or a part of it.
            resampling: Bilinear for continuous values, nearest for classes.

        Returns:
            float32 [height, width]; NaN where the raster has no data or does not reach.

        Raises:
            DataError: The file is truncated, too large, or fails the checks.
        """
        part = part_covering(self.place, target)
        if part is None:
            self.close()
            return np.full(target.shape, np.nan, np.float32)
        refuse_too_large(self.path, *part.shape, COARSER)
        with gdal_faults(self.path):
            stored = read_stored(self._source(), self._band, self.place.stored(part))[self.place.axes]
        values = self._layer.values(self.path, stored, self._band)
        self._look.add(stored, values, part)
        return warped(without(values, self.missing), self.place, part, target, resampling)

    def judge(self) -> bool:
        """Whether what was read stands; else it holds values that stand for missing ones, and is to be read anew.

        Raises:
            DataError: All of it together is something else.
        """
        before, self.missing = self.missing, self._look.judge()
        return before == self.missing

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._open is not None

    def close(self) -> None:
        """Close the file; the next window opens it again."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _source(self) -> Any:
        if self._open is None:
            with ExitStack() as stack:
                content = stack.enter_context(self._lend(self.path))
                source = stack.enter_context(opened(self.path, self._layer.crs, content))
                self._open = source, stack.pop_all()
        return self._open[0]


def read_onto(path: Path, grid: Grid, window: Window, resampling: Resampling, layer: Layer = PLAIN) -> Array:
    """Read a raster's band onto a window of the grid, which may reach past its edge; see `RasterFile.onto`.

    Raises:
        DataError: The file cannot be read, is truncated, too large, has no CRS, is rotated, or fails the checks.
    """
    with closing(RasterFile(path, layer)) as file:
        while True:
            values = file.onto(grid.crop(window), resampling)
            if file.judge():
                return values
            file.begin()


def read_stored(source: Any, band: Band, part: Window) -> Array:
    """A part of a band, scaled, float32 with NaN where it is missing; at full resolution, whatever overviews there are.

    Args:
        source: The open file.
        band: Which band; its missing values, masks and bands of validity count all together, as one hides the others
            from GDAL.
        part: In the file's own rows and columns.
    """
    number, pixels = band.number, rasterio.windows.Window.from_slices(*part.slices)
    masked = MaskFlags.per_dataset in source.mask_flag_enums[number - 1]  # a mask of its own, or an alpha band
    read = source.read(number, window=pixels)
    with np.errstate(over="ignore"):  # what passes float32 becomes infinite, and no quantity is
        values = read.astype(np.float32, copy=False)
    gone = [source.read_masks(number, window=pixels) == 0] if masked else []
    for missing in (source.nodatavals[number - 1], band.missing):
        if missing is not None and not np.isnan(missing):
            gone.append(read == float(missing))
    gone += [source.read(validity, window=pixels) == 0 for validity in band.validity]
    for each in gone:
        if each.any():
            values[each] = np.nan
    scale, offset = source.scales[number - 1], source.offsets[number - 1]
    if (scale, offset) != (1, 0):
        values = values * np.float32(scale) + np.float32(offset)
    return np.asarray(values, np.float32)


def warped(values: Array, place: Placement, part: Window, target: Grid, resampling: Resampling) -> Array:
    """A part of a raster on the target's pixels; copied where they are its own. See `read_onto`."""
    transform, crs = _shifted(place.transform, part), place.crs
    if same_pixels(place, target):
        return _copied(values, transform, target)
    result = np.full(target.shape, np.nan, np.float32)
    if resampling is Resampling.bilinear and _pixel_in_metres(transform, crs, target) <= target.pixel / 1.5:
        resampling = Resampling.average
    reproject(
        values,
        result,
        src_transform=transform,
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=target.transform,
        dst_crs=target.crs,
        dst_nodata=np.nan,
        resampling=resampling,
    )
    return result


def _copied(values: Array, transform: Affine, target: Grid) -> Array:
    """What a raster on the grid's own pixels has of the target."""
    here = _on_grid(transform, values.shape, target)
    if here == target.full:
        return values
    result = np.full(target.shape, np.nan, np.float32)
    shared = here.intersection(target.full)
    result[shared.slices] = values[shared.within(here).slices]
    return result


def _on_grid(transform: Affine, shape: tuple[int, ...], target: Grid) -> Window:
    """Where a raster on the grid's own pixels lies, counted from the target's corner."""
    col = round((transform.c - target.origin[0]) / target.pixel)
    row = round((target.origin[1] - transform.f) / target.pixel)
    return Window(row, col, shape[0], shape[1])


def part_covering(place: Placement, target: Grid) -> Window | None:
    """The raster's pixels that the target needs; None where they do not meet."""
    if same_pixels(place, target):
        here = _on_grid(place.transform, place.shape, target)
        part = here.intersection(target.full).within(here)
        return None if 0 in part.shape else part
    bounds = projected(target.crs, place.crs.to_string(), target.bounds)
    if bounds is None:
        return None
    west, south, east, north = bounds
    corner, right, bottom = place.transform, place.transform.a, place.transform.e
    col, row = int((west - corner.c) // right) - MARGIN, int((north - corner.f) // bottom) - MARGIN
    end_col, end_row = int(-((corner.c - east) // right)) + MARGIN, int(-((corner.f - south) // bottom)) + MARGIN
    wanted = Window(row, col, end_row - row, end_col - col)
    part = wanted.intersection(Window(0, 0, *place.shape))
    return None if 0 in part.shape else part


def _shifted(transform: Affine, part: Window) -> Affine:
    """The transform of a part of a north-up raster."""
    west, north = transform.c + part.col * transform.a, transform.f + part.row * transform.e
    return Affine(transform.a, 0, west, 0, transform.e, north)


def same_pixels(place: Placement, target: Grid) -> bool:
    """Whether the raster's pixels are the grid's own, so that they can be copied."""
    transform, crs = place.transform, place.crs
    shift = ((transform.c - target.origin[0]) / target.pixel, (transform.f - target.origin[1]) / target.pixel)
    on_grid = all(abs(value - round(value)) < 1e-3 for value in shift)
    same_size = np.allclose((transform.a, -transform.e), target.pixel, rtol=1e-6)
    return bool(on_grid and same_size and known_crs(target.crs) == crs)


def _pixel_in_metres(transform: Affine, crs: CRS, target: Grid) -> float:
    """The raster's pixel size on the target's projection, at the raster's corner."""
    x, y = transform.c, transform.f
    west, south, east, north = transform_bounds(crs, target.crs, x, y + transform.e, x + transform.a, y)
    return float(max(east - west, north - south))
