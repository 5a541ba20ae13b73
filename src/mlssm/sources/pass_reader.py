"""One pass on the grid, window by window; what only its whole images tell is known at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from rasterio.enums import Resampling

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.checks.backscatter import STEPS, backscatter_band
from mlssm.sources.checks.backscatter_values import UNITS_KEY, Lost, Seen
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.opening import Content, gdal_faults, opened, placement, refuse_too_large
from mlssm.sources.passes import Image, Pass
from mlssm.sources.raster import COARSER, part_covering, read_stored, warped

TO_NEPERS = np.float32(np.log(10) / 10)  # of power, from decibels
Result = TypeVar("Result")
Lend = Callable[[Path], AbstractContextManager[Content]]


@dataclass(frozen=True)
class Judged:
    """What reading a pass's images has told of them.

    Attributes:
        missing: Values that stand for missing ones, of images that hold some.
        left_out: Images that are bad.
    """

    missing: Mapping[Image, tuple[float, ...]] = field(default_factory=dict)
    left_out: frozenset[Image] = frozenset()


class PassReader:
    """Reads a pass. Files are opened when they are first needed, and closed at the end.

    It is used with what an earlier reading has `judged`; where that comes out the same again, it was complete.
    """

    def __init__(self, overpass: Pass, grid: Grid, bad: BadFiles, judged: Judged, lend: Lend | None = None) -> None:
        """Read nothing yet.

        Args:
            overpass: The pass.
            grid: The grid.
            bad: Whether a bad file stops the run or is left out.
            judged: What is known of its images.
            lend: Gives a file's content; None: GDAL reads it.
        """
        self._overpass, self._grid, self._bad, self._judged = overpass, grid, bad, judged
        self._lend = lend or (lambda path: nullcontext())
        self._open = dict[Image, ImageReader]()
        self._closing = dict[Image, ExitStack]()
        self._left_out = set(judged.left_out)

    def __enter__(self) -> Self:
        """Nothing is opened yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        self.release(self._grid.height)

    def power(self, polarisation: str, window: Window) -> Array | None:
        """Linear power, float32 [height, width], NaN where missing; None where no image reaches.

        Bursts that overlap are averaged. Noise that was subtracted may leave it at or below zero.

        Raises:
            DataError: A file cannot be read, or its values are none of backscatter, and the policy is "error".
        """
        parts = []
        for image in self._overpass.images:
            inside = self._grid.window_of(image.bounds).intersection(window)
            if image.polarisation == polarisation and 0 not in inside.shape and image not in self._left_out:
                with self._handled(image):
                    parts.append((inside.within(window), self._image(image).onto(self._grid, inside)))
        return _averaged(parts, window) if parts else None

    def release(self, row: int) -> None:
        """Close the files that reach no further down than the grid's row."""
        for image, stack in list(self._closing.items()):
            window = self._grid.window_of(image.bounds)
            if window.row + window.height <= row:
                stack.close()
                del self._closing[image]

    def judge(self) -> Judged:
        """What the whole images tell, once all windows were read.

        Raises:
            DataError: The values of a file are no backscatter, and the policy is "error".
        """
        missing = {}
        for image, reader in self._open.items():
            if image not in self._left_out:
                with self._handled(image):
                    if found := reader.judge(self._bad):
                        missing[image] = found
        return Judged(missing, frozenset(self._left_out))

    def _image(self, image: Image) -> ImageReader:
        if image not in self._open:
            stack = self._closing[image] = ExitStack()
            content = stack.enter_context(self._lend(image.path))
            source = stack.enter_context(opened(image.path, image.stored.crs, content))
            missing = self._judged.missing.get(image, ())
            self._open[image] = ImageReader(image, source, missing, self._bad)
        return self._open[image]

    def _handled(self, image: Image) -> Any:
        return self._bad.handled(image.path, lambda: self._left_out.add(image))


def read_judged(
    overpass: Pass, grid: Grid, bad: BadFiles, use: Callable[[PassReader], Result], lend: Lend | None = None
) -> Result:
    """What is made of a pass by reading all of it, in which what its whole images tell is heeded.

    It is made anew where they hold undeclared missing values, or are bad; mostly they do not, and it is made once.

    Args:
        overpass: The pass.
        grid: The grid.
        bad: Whether a bad file stops the run or is left out.
        use: Reads all that is wanted of the pass, window by window, each place once.
        lend: Gives a file's content; None: GDAL reads it.

    Raises:
        DataError: A file is bad, and the policy is "error".
    """
    judged = Judged()
    while True:
        with PassReader(overpass, grid, bad, judged, lend) as reader:
            made, found = use(reader), reader.judge()
        if found == judged:
            return made
        judged = found


class ImageReader:
    """One open image: its values in linear power on windows of the grid, and what they were like."""

    def __init__(self, image: Image, source: Any, missing: tuple[float, ...], bad: BadFiles) -> None:
        """Find the image's band.

        Args:
            image: The image.
            source: It, open.
            missing: Values that stand for missing ones.
            bad: Takes note of what is corrected.

        Raises:
            DataError: The file contradicts what is known of it.
        """
        self._image, self._source, self._missing = image, source, missing
        self._band = backscatter_band(image.path, source, image.polarisation, image.stored, bad)
        self._place = placement(source, image.stored.crs)
        self._decibel = image.stored.units not in ("linear", "amplitude")
        self._seen, self._lost = Seen(self._decibel), Lost()

    def onto(self, grid: Grid, window: Window) -> Array:
        """Linear power, float32 [height, width], NaN where missing; averaged in power where it is warped."""
        target = grid.crop(window)
        part = part_covering(self._place, target)
        if part is None:
            return np.full(window.shape, np.nan, np.float32)
        refuse_too_large(self._image.path, *part.shape, COARSER)
        with gdal_faults(self._image.path):
            values = read_stored(self._source, self._band, self._place.stored(part))[self._place.axes]
        values = self._stated(values)
        self._seen.add(values)
        power = warped(self._power(values), self._place, part, target, Resampling.bilinear)
        self._lost.add(power)
        return power

    def judge(self, bad: BadFiles) -> tuple[float, ...]:
        """Values that stand for missing ones; see `Seen.judge` and `Lost.check`."""
        path = self._image.path
        if self._image.stored.units == "amplitude":
            bad.correct(path, "amplitude was squared to linear power")
        found = self._seen.judge(path, self._band, bad)
        if found == self._missing:  # else it is read anew, without them
            self._lost.check(path, bad)
        return found

    def _stated(self, values: Array) -> Array:
        """Values in dB or linear power."""
        units = self._image.stored.units
        if units in STEPS:
            values /= np.float32(STEPS[units])
        elif units == "amplitude":
            if (values < 0).any():
                raise DataError(
                    f"{self._image.path} holds {np.nanmin(values):g}, no amplitude; set {UNITS_KEY}=dB or linear?"
                )
            np.square(values, out=values)
        return values

    def _power(self, values: Array) -> Array:
        """Linear power; in place. Below zero, where noise was subtracted, it stays: it averages to the truth."""
        gone = [values == np.float32(value) for value in self._missing]
        low, high = values.min(), values.max()  # NaN where one is
        if not (np.isfinite(high) and (low > 0 or (self._decibel and np.isfinite(low)))):
            gone += [~np.isfinite(values)] if self._decibel else [~np.isfinite(values), values == 0]
        for each in gone:
            values[each] = np.nan
        if self._decibel:
            values *= TO_NEPERS
            with np.errstate(over="ignore"):  # what is no level is refused at the end
                np.exp(values, out=values)
        return values


def _averaged(parts: list[tuple[Window, Array]], window: Window) -> Array:
    """The mean of what covers each pixel of a window; the parts are counted from its corner."""
    if len(parts) == 1:
        ((inside, values),) = parts
        if inside.shape == window.shape:
            return values
        result = np.full(window.shape, np.nan, np.float32)
        result[inside.slices] = values
        return result
    total, count = np.zeros(window.shape), np.zeros(window.shape, np.int32)
    for inside, values in parts:
        valid = np.isfinite(values)
        total[inside.slices] += np.where(valid, values, 0)
        count[inside.slices] += valid
    return np.asarray(np.divide(total, count, out=np.full(window.shape, np.nan), where=count > 0), np.float32)
