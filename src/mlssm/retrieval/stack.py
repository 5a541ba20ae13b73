"""The multilooked backscatter of all dates, kept beside the cube as memory-mapped arrays.

The cube's chunks are made for storing; a patch read from them costs a decode. These arrays cost a memory copy.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlssm.config import DaskConfig, ImagesConfig
from mlssm.cube import BACKSCATTER_SCALE, Cube, unpack
from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.retrieval.planes import damaged_dates, is_whole
from mlssm.retrieval.stack_making import MEASURED, VERSION, backscatter_file, count_file, make_stack, stack_name
from mlssm.retrieval.working_grid import WorkingGrid, working_grid
from mlssm.scratch import watched

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]
# rows or columns of an extent: a range, or those of single pixels
Places = slice | npt.NDArray[np.int64]


@dataclass(frozen=True)
class ExtentStack:
    """One extent's backscatter on the working grid.

    Attributes:
        packed: Backscatter of the polarisation that weighs most as int16 of 0.01 dB, [time, height, width],
            memory-mapped.
        count: How many of the cube's pixels each value averages, uint16, [time, height, width], memory-mapped.
        weight: Of that polarisation in the channel.
        others: Weight and packed backscatter of the others.
        offset: Of each time, dB that its platform reads too high, [time]; None: no platform does.
    """

    packed: npt.NDArray[np.int16]
    count: npt.NDArray[np.uint16]
    weight: float = 1.0
    others: tuple[tuple[float, npt.NDArray[np.int16]], ...] = ()
    offset: Array | None = None

    def backscatter(self, times: npt.NDArray[np.int64] | slice, rows: Places, cols: Places) -> Array:
        """The channel, dB, float32 [time, rows, columns] counted from the extent's corner, NaN where a part is missing.

        Rows and columns of single pixels, with all times, give [time, ...].
        """
        sigma = self.leading(times, rows, cols)
        if self.others:
            sigma = self.weight * sigma
            for weight, packed in self.others:
                sigma += weight * unpack(packed[times, rows, cols], BACKSCATTER_SCALE)
        if self.offset is not None:
            sigma -= self.offset[times].reshape(-1, *(1,) * (sigma.ndim - 1))
        return np.asarray(sigma, np.float32)

    def part(self, rows: slice, cols: slice) -> ExtentStack:
        """The same of a part of its pixels; nothing is read."""
        others = tuple((weight, packed[:, rows, cols]) for weight, packed in self.others)
        return replace(self, packed=self.packed[:, rows, cols], count=self.count[:, rows, cols], others=others)

    def leading(self, times: npt.NDArray[np.int64] | slice, rows: Places, cols: Places) -> Array:
        """The polarisation that weighs most, alone; as `backscatter`."""
        return unpack(self.packed[times, rows, cols], BACKSCATTER_SCALE)


@dataclass(frozen=True)
class Stack:
    """All extents' backscatter in one channel.

    Attributes:
        working: The grid that it lies on.
        extents: The extents, in the cube's order.
        channel: Weight of each polarisation that there is; they sum to 1.
    """

    working: WorkingGrid
    extents: tuple[ExtentStack, ...]
    channel: Mapping[str, float]

    @property
    def squared_weights(self) -> float:
        """What is left of one polarisation's speckle variance in dB, as the speckle of each is its own."""
        return sum(weight**2 for weight in self.channel.values())


def load_stack(cube: Cube, config: ImagesConfig, dask: DaskConfig | None = None) -> Stack:
    """Multilook a cube's backscatter, or find what was multilooked before.

    A channel of several polarisations is that which weighs most alone where the cube lacks another one, or half of its
    images do; where fewer do, those are left out. A line says so.

    Args:
        cube: The cube.
        config: How its images become backscatter on the working grid.
        dask: Where dates are multilooked, if they are not yet; None: threads.

    Raises:
        ConfigError: The multilook window is not a whole number of pixels.
        DataError: The cube lacks the polarisation.
    """
    if config.polarisation not in cube.manifest.polarisations:
        known = ", ".join(cube.manifest.polarisations)
        raise DataError(f"retrieval.polarisation={config.polarisation} is not in the images; they have {known}")
    working = working_grid(cube, config)
    there = [name for name in config.channel if name in cube.manifest.polarisations]
    folders = {name: _multilooked(cube, config.of_polarisation(name), working, dask or DaskConfig()) for name in there}
    names = _joined(cube, config, folders)
    weights = [config.channel[name] / sum(config.channel[each] for each in names) for name in names]
    offset = _offsets(cube, config)
    chosen = [folders[name] for name in names]
    extents = tuple(_open_extent(chosen, weights, number, offset) for number in range(len(cube.extents)))
    return Stack(working, extents, dict(zip(names, weights, strict=True)))


def stack_folder(cube: Cube, config: ImagesConfig) -> Path:
    """Where a multilook of a cube's leading polarisation is kept, with what is learnt from it."""
    return cube.path.with_suffix(".multilook") / stack_name(config, working_grid(cube, config))


def damaged_stacks(cube: Path) -> Iterator[tuple[Path, str]]:
    """Files of the multilooks beside a cube that are not as they were written, and what is wrong with each."""
    for folder in sorted(cube.with_suffix(".multilook").glob(f"*-v{VERSION}")):
        yield from damaged_dates(folder)


def _joined(cube: Cube, config: ImagesConfig, folders: Mapping[str, Path]) -> list[str]:
    """Which polarisations the channel is made of, that which weighs most first."""
    first = config.polarisation
    others = [name for name in config.channel if name != first]
    missing = [name for name in others if name not in folders]
    measured = {name: np.load(_measured(folder)) for name, folder in folders.items()}
    whole = np.logical_and.reduce([*measured.values()])
    images, without = int(measured[first].sum()), int((measured[first] & ~whole).sum())
    if missing or 2 * without >= max(images, 1):
        lack = missing or others
        if lack:
            text = f"{without} of {images} images lack" if not missing else "the images lack"
            _say_once(f"{cube.path.name}: {text} {', '.join(lack)}: the labels are of {first} alone")
        return [first]
    if without:
        _say_once(f"{cube.path.name}: {without} of {images} images lack {', '.join(others)} and have no label")
    return [first, *others]


@cache
def _say_once(text: str) -> None:
    log.warning("%s", text)


def _multilooked(cube: Cube, config: ImagesConfig, working: WorkingGrid, dask: DaskConfig) -> Path:
    """The folder of one polarisation's multilook, which is made where it is not there or has lost files."""
    folder = stack_folder(cube, config)
    if folder.is_dir() and not is_whole(folder):
        log.warning("%s has lost files: it is made anew", folder)
        shutil.rmtree(folder)
    if not folder.is_dir():
        make_stack(cube, config, folder, working, dask)
    return folder


def whole_blocks(values: Array, extent: Window, blocks: Window) -> Array:
    """An extent's array on the pixels of whole blocks: padded with NaN where they reach past it, cropped where it does.

    Args:
        values: [height, width] of `extent`.
        extent: The array's window on the cube's grid.
        blocks: The window of the blocks' pixels on the cube's grid.
    """
    whole = np.full(blocks.shape, np.nan, np.float32)
    row, col = max(extent.row, blocks.row), max(extent.col, blocks.col)
    bottom = min(extent.row + extent.height, blocks.row + blocks.height)
    right = min(extent.col + extent.width, blocks.col + blocks.width)
    common = Window(row, col, bottom - row, right - col)
    whole[common.within(blocks).slices] = values[common.within(extent).slices]
    return whole


def _offsets(cube: Cube, config: ImagesConfig) -> Array | None:
    """What each time's platform reads too high, dB, [time]; None where nothing is set.

    Raises:
        DataError: None of the images is of a platform that is set.
    """
    offsets = config.platform_offsets_db
    if not offsets:
        return None
    if unknown := set(offsets) - set(cube.platforms):
        known = ", ".join(sorted(set(cube.platforms) - {""})) or "no platform"
        raise DataError(
            f"retrieval.platform_offsets_db names {', '.join(sorted(unknown))}, and the images are of {known}; they "
            "are read from the images' names, by the group `platform` of datamodule.backscatter.pattern"
        )
    return np.array([offsets.get(name, 0.0) for name in cube.platforms], np.float32)


def _open_extent(folders: Sequence[Path], weights: Sequence[float], number: int, offset: Array | None) -> ExtentStack:
    first, *others = (watched(np.load(_packed(folder, number), mmap_mode="r")) for folder in folders)
    count = watched(np.load(_count(folders[0], number), mmap_mode="r"))
    return ExtentStack(first, count, weights[0], tuple(zip(weights[1:], others, strict=True)), offset)


def _packed(folder: Path, number: int) -> Path:
    return folder / backscatter_file(number)


def _count(folder: Path, number: int) -> Path:
    return folder / count_file(number)


def _measured(folder: Path) -> Path:
    return folder / MEASURED
