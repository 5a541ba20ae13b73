"""Several rasters of one quantity as one, read window by window; what only all of it tells is known at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from rasterio.enums import Resampling

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.checks.header import Layer
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.raster import PLAIN, Lend, RasterFile, from_disk
from mlssm.sources.sample import Sample

# tiles of one product share an edge, not this much of their pixels
OVERLAP = 0.1
OVERLAPPED = "where it overlaps others of its folder, theirs were used: they come first by their names"
# fewer pixels than this in common say nothing of two rasters
SHARED_PIXELS = 9
# files of an area's tiles that meet in a window; images of the same place, each with a band of angles, may be hundreds
MOST_OPEN = 16
Disagree = Callable[[Array, Array], bool]


class Reading(Protocol):
    """What is read window by window, and judged once all windows were: see `Mosaic`."""

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Close the files."""

    def window(self, window: Window) -> Array:
        """Values of a window, float32 [height, width] or [layer, height, width]."""

    def judged(self) -> bool:
        """Whether what was read stands; else it is to be read anew."""


class Shared:
    """What a raster has where those before it have values, too."""

    def __init__(self) -> None:
        """Begin with no pixel."""
        self.known = 0
        self.pairs = Sample()

    def add(self, earlier: Array, own: Array) -> None:
        """Take a window of what was there before, and of its own."""
        known = np.isfinite(own)
        both = known & np.isfinite(earlier)
        self.known += int(known.sum())
        self.pairs.add(earlier[both], own[both])


class Mosaic(Reading):
    """Rasters of one quantity; of a pixel the first that has a value wins.

    All windows that are wanted are read, each once, and then it is `judged`: where that is False, all is to be read
    anew, as a file turned out to be bad, or to hold a value that stands for missing.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        grid: Grid,
        resampling: Resampling,
        bad: BadFiles,
        layer: Layer = PLAIN,
        disagree: Disagree | None = None,
        tell_overlap: bool = False,
        lend: Lend = from_disk,
    ) -> None:
        """Open nothing yet.

        Args:
            paths: The raster files.
            grid: The grid.
            resampling: Bilinear for continuous values, nearest for classes.
            bad: Whether a bad file stops the run or is left out.
            layer: As in `RasterFile`.
            disagree: Tells from two rasters' values of the same pixels whether they are of two quantities.
            tell_overlap: Whether files that overlap by more than an edge are worth a line.
            lend: Gives a file's content.
        """
        self._paths, self._grid, self._resampling, self._bad = list(paths), grid, resampling, bad
        self._disagree, self._tell_overlap = disagree, tell_overlap
        self._make = partial(RasterFile, layer=layer, lend=lend)
        self._files: dict[Path, RasterFile] = {}
        self._left_out = set[Path]()
        self.begin()

    def begin(self) -> None:
        """Forget what was seen, as all is read anew."""
        self._used = dict[Path, None]()  # in the order of their values
        self._shared: dict[Path, Shared] = {}
        for file in self._files.values():
            file.begin()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def window(self, window: Window) -> Array:
        """Values of a window, float32 [height, width], NaN where there are none; see `RasterFile.onto`.

        Raises:
            DataError: A file is bad, and the policy is "error".
        """
        target = self._grid.crop(window)
        result = np.full(window.shape, np.nan, np.float32)
        for path in self._paths:
            missing = np.isnan(result)
            if self._disagree is None and not missing.any():
                break
            values = None if path in self._left_out else self._read(path, target)
            if values is not None and np.isfinite(values).any():
                self._used[path] = None
                if self._disagree is not None:
                    self._shared.setdefault(path, Shared()).add(result, values)
                result = np.where(missing, values, result)
        return result

    def judged(self) -> bool:
        """Whether what was read stands, now that all of it was; else it is to be read anew.

        Raises:
            DataError: A file is bad, and the policy is "error"; or two disagree: which of them is meant, nobody knows.
        """
        stands = True
        for path in (path for path in self._files if path not in self._left_out):
            with self._handled(path):
                stands &= self._files[path].judge()
        if not stands or not self._left_out.isdisjoint(self._used):
            self.begin()
            return False
        self._compare()
        return True

    def _read(self, path: Path, target: Grid) -> Array | None:
        with self._handled(path):
            if path not in self._files:
                self._files[path] = self._make(path)
            values = self._files[path].onto(target, self._resampling)
            if sum(file.is_open for file in self._files.values()) > MOST_OPEN:
                self._files[path].close()
            return values
        return None

    def _handled(self, path: Path) -> AbstractContextManager[None]:
        return self._bad.handled(path, lambda: self._left_out.add(path))

    def _compare(self) -> None:
        """Refuse a raster that contradicts those before it, by the values of the pixels that both have."""
        if self._disagree is None:
            return
        for number, path in enumerate(self._used):
            shared = self._shared[path]
            theirs, own = shared.pairs.values()
            if own.size >= SHARED_PIXELS and self._disagree(theirs, own):
                others = ", ".join(other.name for other in list(self._used)[:number][-3:])
                raise DataError(
                    f"{path} has {np.median(own):g} where {others} in the same "
                    f"folder has {np.median(theirs):g} (medians): two quantities or units; leave one of them in the "
                    "folder"
                )
            if self._tell_overlap and shared.pairs.total > OVERLAP * shared.known:
                self._bad.correct(path, OVERLAPPED)
