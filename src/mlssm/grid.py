"""The grid: CRS, transform and shape. The sole authority on where a pixel lies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from mlssm.errors import DataError

Bounds = tuple[float, float, float, float]
Floats = npt.NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)
DEGREES = "EPSG:4326"  # longitude and latitude, WGS 84


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of whole pixels on a grid: its first row and column, and its shape."""

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns, to index an array of the grid's shape."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def within(self, outer: Window) -> Window:
        """The same pixels counted from the corner of `outer`."""
        return Window(self.row - outer.row, self.col - outer.col, self.height, self.width)

    def intersects(self, other: Window) -> bool:
        """Whether the two share a pixel."""
        return (
            self.row < other.row + other.height
            and other.row < self.row + self.height
            and self.col < other.col + other.width
            and other.col < self.col + self.width
        )

    def intersection(self, other: Window) -> Window:
        """The pixels that both have; its height or width is 0 where they share none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        bottom = min(self.row + self.height, other.row + other.height)
        right = min(self.col + self.width, other.col + other.width)
        return Window(row, col, max(bottom - row, 0), max(right - col, 0))

    def union(self, other: Window) -> Window:
        """The smallest window that holds both."""
        row, col = min(self.row, other.row), min(self.col, other.col)
        bottom = max(self.row + self.height, other.row + other.height)
        right = max(self.col + self.width, other.col + other.width)
        return Window(row, col, bottom - row, right - col)

    def coarsen(self, factor: int, least: float = 0.0) -> Window:
        """The blocks of `factor` x `factor` pixels, aligned to the grid's origin, that this window covers.

        Args:
            factor: Pixels along a block's side.
            least: Share of a block's rows and of its columns that must lie in the window, 0..1; 0: any.
        """
        row, bottom = _blocks(self.row, self.row + self.height, factor, least)
        col, right = _blocks(self.col, self.col + self.width, factor, least)
        return Window(row, col, bottom - row, right - col)

    def refine(self, factor: int) -> Window:
        """The window of fine pixels that these blocks of `factor` x `factor` pixels cover."""
        return Window(self.row * factor, self.col * factor, self.height * factor, self.width * factor)


@dataclass(frozen=True)
class Grid:
    """A north-up projected grid.

    Attributes:
        crs: The projected CRS, as an authority code (`EPSG:32611`) or WKT, in metres.
        origin: Easting and northing of the upper-left corner, in metres.
        pixel: Pixel size in metres, the same in both directions.
        height: Rows.
        width: Columns.
    """

    crs: str
    origin: tuple[float, float]
    pixel: float
    height: int
    width: int

    def __post_init__(self) -> None:
        """Refuse a CRS that is not projected in metres, and pixels of no size.

        Raises:
            DataError: The CRS is unknown, geographic or not in metres, or the pixel size is not positive.
        """
        _refuse_unprojected(self.crs)
        if not self.pixel > 0:
            raise DataError(f"grid pixel size {self.pixel} m is not positive; set datamodule.grid.resolution_m")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def transform(self) -> Affine:
        """The affine transform from (column, row) to (easting, northing)."""
        return Affine(self.pixel, 0, self.origin[0], 0, -self.pixel, self.origin[1])

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north, in metres."""
        west, north = self.origin
        return west, north - self.height * self.pixel, west + self.width * self.pixel, north

    @property
    def full(self) -> Window:
        """The window of the whole grid."""
        return Window(0, 0, self.height, self.width)

    @classmethod
    def covering(cls, crs: str, bounds: Iterable[Bounds], pixel: float) -> Grid:
        """The smallest grid over all bounds whose pixel corners lie where the first bounds' upper-left corner lies.

        Args:
            crs: Projected CRS of bounds and grid.
            bounds: West, south, east, north of each raster, in metres.
            pixel: Pixel size, metres.
        """
        boxes = np.asarray(list(bounds), dtype=float)
        anchor_x, anchor_y = boxes[0, 0], boxes[0, 3]
        west = anchor_x + math.floor(_whole((boxes[:, 0].min() - anchor_x) / pixel)) * pixel
        north = anchor_y + math.ceil(_whole((boxes[:, 3].max() - anchor_y) / pixel)) * pixel
        width = math.ceil(_whole((boxes[:, 2].max() - west) / pixel))
        height = math.ceil(_whole((north - boxes[:, 1].min()) / pixel))
        return cls(crs, (float(west), float(north)), float(pixel), height, width)

    def window_of(self, bounds: Bounds) -> Window:
        """The pixels that bounds touch, clipped to the grid; its height or width is 0 where they do not meet."""
        west, north = self.origin
        col = math.floor(_whole((bounds[0] - west) / self.pixel))
        row = math.floor(_whole((north - bounds[3]) / self.pixel))
        right = math.ceil(_whole((bounds[2] - west) / self.pixel))
        bottom = math.ceil(_whole((north - bounds[1]) / self.pixel))
        row, col = max(row, 0), max(col, 0)
        return Window(row, col, max(min(bottom, self.height) - row, 0), max(min(right, self.width) - col, 0))

    def crop(self, window: Window) -> Grid:
        """The grid of a window's pixels."""
        west, north = self.origin
        corner = (west + window.col * self.pixel, north - window.row * self.pixel)
        return Grid(self.crs, corner, self.pixel, window.height, window.width)

    def coarsen(self, factor: int) -> Grid:
        """The grid of blocks of `factor` x `factor` pixels from the same origin; its end may reach past this grid's."""
        return Grid(
            self.crs, self.origin, self.pixel * factor, math.ceil(self.height / factor), math.ceil(self.width / factor)
        )

    def centres(self, window: Window) -> tuple[Floats, Floats]:
        """Easting of each column's and northing of each row's pixel centres in a window, metres, float64."""
        x = self.origin[0] + (window.col + np.arange(window.width) + 0.5) * self.pixel
        y = self.origin[1] - (window.row + np.arange(window.height) + 0.5) * self.pixel
        return x.astype(np.float64), y.astype(np.float64)

    def project(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Easting and northing in metres of points in degrees (WGS 84)."""
        x, y = Transformer.from_crs(DEGREES, self.crs, always_xy=True).transform(longitude, latitude)
        return np.asarray(x, dtype=float), np.asarray(y, dtype=float)

    def geographic(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude in degrees (WGS 84) of points in metres; the inverse of `project`."""
        longitude, latitude = Transformer.from_crs(self.crs, DEGREES, always_xy=True).transform(x, y)
        return np.asarray(longitude, dtype=float), np.asarray(latitude, dtype=float)

    def geographic_bounds(self) -> Bounds:
        """West, south, east and north of the box in degrees (WGS 84) that the grid lies in."""
        west, south, east, north = transform_bounds(self.crs, DEGREES, *self.bounds)
        return west, south, east, north

    def geographic_centre(self) -> tuple[float, float]:
        """Longitude and latitude of the grid's middle, degrees (WGS 84)."""
        west, south, east, north = self.geographic_bounds()
        return (west + east) / 2, (south + north) / 2


def _blocks(start: int, stop: int, factor: int, least: float) -> tuple[int, int]:
    """First block and the one after the last of those that pixels `start` to `stop` cover in a large enough share."""
    first, last = start // factor, -(-stop // factor)
    if stop <= start:
        return first, first
    if (first + 1) * factor - start < least * factor:
        first += 1
    # a window may begin and end in the same block
    if first < last and stop - max(start, (last - 1) * factor) < least * factor:
        last -= 1
    return first, last


@lru_cache
def _refuse_unprojected(crs: str) -> None:
    try:
        known = CRS.from_user_input(crs)
    except CRSError:
        raise DataError(f"grid CRS {crs} is not known; set datamodule.grid.crs to e.g. EPSG:32611") from None
    unit = known.axis_info[0].unit_name if known.axis_info else "no unit"
    if not known.is_projected or unit not in ("metre", "meter"):
        kind = "projected" if known.is_projected else "not projected"
        raise DataError(
            f"grid CRS {known.name} is {kind}, in {unit}; "
            "set datamodule.grid.crs to a projected CRS in metres, e.g. a UTM zone"
        )


def _whole(value: float) -> float:
    """Round what is whole but for float error, so that floor and ceil do not add a pixel."""
    nearest = round(value)
    return nearest if abs(value - nearest) < 1e-6 else value


def merge_windows(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Join windows that overlap into their common box until none overlap; sorted by row, then column."""
    merged: list[Window] = []
    for window in windows:
        pending = window
        while clash := next((other for other in merged if other.intersects(pending)), None):
            merged.remove(clash)
            pending = pending.union(clash)
        merged.append(pending)
    return tuple(sorted(merged))


def beyond(part: slice, size: int) -> tuple[int, int]:
    """How far a range reaches past 0 and past `size`, 0 or above."""
    return max(-(part.start or 0), 0), max((size if part.stop is None else part.stop) - size, 0)


def carried_on(values: npt.NDArray[Number], rows: slice, cols: slice) -> npt.NDArray[Number]:
    """Rows and columns of a plane, [..., rows, cols]; beyond its edge the outermost values."""
    height, width = values.shape[-2:]
    if not any((*beyond(rows, height), *beyond(cols, width))):
        return values[..., rows, cols]
    return values[..., _nearest(rows, height)[:, None], _nearest(cols, width)]


def cut_off(mask: npt.NDArray[np.bool_], rows: slice, cols: slice) -> npt.NDArray[np.bool_]:
    """Rows and columns of a mask, [..., rows, cols]; beyond its edge False."""
    found = carried_on(mask, rows, cols)
    (above, below), (left, right) = (
        beyond(part, size) for part, size in zip((rows, cols), mask.shape[-2:], strict=True)
    )
    if above or below or left or right:  # else it is a view
        height, width = found.shape[-2:]
        found[..., :above, :] = found[..., height - below :, :] = False
        found[..., :left] = found[..., width - right :] = False
    return found


def _nearest(part: slice, size: int) -> npt.NDArray[np.intp]:
    """The indices of a range, each beyond 0..size - 1 brought to the nearer end; twice as fast as `np.pad`."""
    stop = size if part.stop is None else part.stop
    return np.arange(part.start or 0, stop, dtype=np.intp).clip(0, size - 1)


def within(part: slice) -> slice:
    """A range without what lies before 0; numpy leaves out what lies past the end."""
    return slice(max(part.start or 0, 0), part.stop, part.step)


def from_first(part: slice) -> slice:
    """A range counted from the first of its places that is not before 0."""
    first = max(part.start or 0, 0)
    return slice((part.start or 0) - first, None if part.stop is None else part.stop - first)
