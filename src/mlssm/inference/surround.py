"""What a network has to see around a part of an extent so that the part's map is the whole extent's.

Where the network's reach is known, a part sees so much around it, and at the extent's edge as much of its outermost
values: then parts side by side are the map of the whole, to rounding. Coarser cells lie as they would in the whole.
Where the reach is not bounded, overlapping tiles are blended, and a part needs the tiles that touch it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from mlssm.config import ModelSettings
from mlssm.grid import Window
from mlssm.inference.tiles import plan_tiles

Shape = tuple[int, int]


@dataclass(frozen=True)
class Surround:
    """How far a network looks.

    Attributes:
        reach: Pixels, see `ModelSettings.reach`; None where it is not bounded.
        cell: Pixels along the coarsest cell, of the weather or within the network.
        margin: That blended tiles see beside them, see `ModelSettings.margin`.
        tile: Pixels along a blended tile.
        overlap: That blended tiles share.
    """

    reach: int | None
    cell: int
    margin: int
    tile: int
    overlap: int

    @classmethod
    def of(cls, model: ModelSettings, steps: int, tile: int, overlap: int) -> Surround:
        """Of a family on a window of so many steps."""
        return cls(model.reach(steps), model.coarsest_cell, model.margin, tile, overlap)

    def tiles(self, shape: Shape, part: Window) -> tuple[Window, ...]:
        """The blended tiles of an extent that touch a part of it."""
        return tuple(each for each in plan_tiles(*shape, self.tile, self.overlap) if each.intersects(part))

    def seen(self, window: Window, shape: Shape) -> tuple[slice, slice]:
        """Rows and columns that the network is fed with, which may lie beyond the extent's edge.

        Args:
            window: Of the area's pixels; a blended tile where the reach is not bounded.
            shape: Rows and columns of the extent.
        """
        (rows, cols), (height, width) = window.slices, shape
        if self.reach is not None:
            return self._exact(rows), self._exact(cols)
        return self._blended(rows, height), self._blended(cols, width)

    def needed(self, part: Window, shape: Shape) -> Window:
        """The area's pixels that the map of a part is made from."""
        windows = [part] if self.reach is not None else self.tiles(shape, part)
        whole = Window(0, 0, *shape)
        found = part
        for rows, cols in (self.seen(window, shape) for window in windows):
            around = Window(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
            found = found.union(around.intersection(whole))
        return found

    def _exact(self, part: slice) -> slice:
        """Begins with a whole cell, counted from the extent's corner."""
        assert self.reach is not None
        return slice((part.start - self.reach) // self.cell * self.cell, part.stop + self.reach)

    def _blended(self, part: slice, side: int) -> slice:
        """More where the tile ends with the extent: a network that fills what lies outside would draw a frame there."""
        at_edge = max(self.margin, self.overlap // 2)
        before, after = at_edge if part.start == 0 else self.margin, at_edge if part.stop == side else self.margin
        return slice(part.start - before, part.stop + after)


def side_by_side(window: Window, side: int) -> list[Window]:
    """Cut a window into parts of at most `side` rows and columns, by row, then column."""
    rows, cols = (
        range(start, start + size, side) for start, size in zip((window.row, window.col), window.shape, strict=True)
    )
    bottom, right = window.row + window.height, window.col + window.width
    return [Window(row, col, min(side, bottom - row), min(side, right - col)) for row, col in product(rows, cols)]
