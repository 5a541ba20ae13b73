"""The multilooked backscatter of all dates, kept beside the cube as memory-mapped arrays.

The cube's chunks are made for storing; a patch read from them costs a decode. These arrays cost a memory copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.cube import BACKSCATTER_SCALE, Cube, pack, unpack
from mlssm.errors import DataError
from mlssm.files import whole_or_nothing
from mlssm.grid import Window
from mlssm.progress import track
from mlssm.retrieval.multilook import multilook_db
from mlssm.retrieval.working_grid import WorkingGrid, working_grid

Array = npt.NDArray[np.float32]
# rows or columns of an area: a range, or those of single pixels
Places = slice | npt.NDArray[np.int64]
# rows that are worked on at once, so that memory stays bounded by the number of dates
ROWS = 256
VERSION = 1  # of the code that multilooks; to be raised where its numbers change


@dataclass(frozen=True)
class AreaStack:
    """One area's backscatter on the working grid.

    Attributes:
        packed: Backscatter as int16 of 0.01 dB, [time, height, width], memory-mapped.
        count: How many of the cube's pixels each value averages, uint16, [time, height, width], memory-mapped.
    """

    packed: npt.NDArray[np.int16]
    count: npt.NDArray[np.uint16]

    def backscatter(self, times: npt.NDArray[np.int64] | slice, rows: Places, cols: Places) -> Array:
        """dB, float32 [time, rows, columns] counted from the area's corner, NaN where missing.

        Rows and columns of single pixels, with all times, give [time, ...].
        """
        return unpack(self.packed[times, rows, cols], BACKSCATTER_SCALE)


@dataclass(frozen=True)
class Stack:
    """All areas' backscatter in one polarisation.

    Attributes:
        working: The grid that it lies on.
        areas: The areas, in the cube's order.
    """

    working: WorkingGrid
    areas: tuple[AreaStack, ...]


def load_stack(cube: Cube, config: RetrievalConfig) -> Stack:
    """Multilook a cube's backscatter, or find what was multilooked before.

    Raises:
        ConfigError: The multilook window is not a whole number of pixels.
        DataError: The cube lacks the polarisation.
    """
    if config.polarisation not in cube.manifest.polarisations:
        known = ", ".join(cube.manifest.polarisations)
        raise DataError(f"retrieval.polarisation={config.polarisation} is not in the images; they have {known}")
    working, folder = working_grid(cube, config), stack_folder(cube, config)
    if not folder.is_dir():
        with whole_or_nothing(folder) as partial:
            partial.mkdir()
            for number in range(len(cube.areas)):
                _multilook_area(cube, config, working, number, partial)
    return Stack(working, tuple(_open_area(folder, number) for number in range(len(cube.areas))))


def stack_folder(cube: Cube, config: RetrievalConfig) -> Path:
    """Where a multilook of a cube is kept, with what is learnt from it."""
    pixels = working_grid(cube, config).window_pixels
    kind = f"{config.polarisation}-{pixels}px-{config.multilook}-{config.min_valid_fraction:g}-v{VERSION}"
    return cube.path.with_suffix(".multilook") / kind


def _multilook_area(cube: Cube, config: RetrievalConfig, working: WorkingGrid, number: int, folder: Path) -> None:
    area, window = cube.areas[number], working.areas[number]
    shape = (len(cube.times), *window.shape)
    packed = np.lib.format.open_memmap(_packed(folder, number), "w+", np.int16, shape)
    counts = np.lib.format.open_memmap(_count(folder, number), "w+", np.uint16, shape)
    for time in track(range(shape[0]), f"multilook of area {number + 1} of {len(cube.areas)}"):
        values = whole_blocks(cube.backscatter(time, config.polarisation, area), area, window.refine(working.factor))
        mean, count = multilook_db(values, working.window_pixels, config.multilook, config.min_valid_fraction)
        packed[time], counts[time] = pack(mean, BACKSCATTER_SCALE), count
    packed.flush()
    counts.flush()


def whole_blocks(values: Array, area: Window, blocks: Window) -> Array:
    """An area's array on the pixels of whole blocks: padded with NaN where they reach past it, cropped where it does.

    Args:
        values: [height, width] of `area`.
        area: The array's window on the cube's grid.
        blocks: The window of the blocks' pixels on the cube's grid.
    """
    whole = np.full(blocks.shape, np.nan, np.float32)
    row, col = max(area.row, blocks.row), max(area.col, blocks.col)
    bottom = min(area.row + area.height, blocks.row + blocks.height)
    right = min(area.col + area.width, blocks.col + blocks.width)
    common = Window(row, col, bottom - row, right - col)
    whole[common.within(blocks).slices] = values[common.within(area).slices]
    return whole


def row_bands(height: int) -> list[slice]:
    """Rows in bands of at most `ROWS`."""
    return [slice(start, min(start + ROWS, height)) for start in range(0, height, ROWS)]


def _open_area(folder: Path, number: int) -> AreaStack:
    return AreaStack(np.load(_packed(folder, number), mmap_mode="r"), np.load(_count(folder, number), mmap_mode="r"))


def _packed(folder: Path, number: int) -> Path:
    return folder / f"area{number}-backscatter.npy"


def _count(folder: Path, number: int) -> Path:
    return folder / f"area{number}-count.npy"
