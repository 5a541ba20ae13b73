"""Soil: class codes, few and whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.sources.checks.header import Kind, Layer, find_band
from mlssm.sources.classes import Classes
from mlssm.sources.faults import Array, BadFiles, without

KIND = Kind("soil classes", r"soil|class|texture|hydrologic|mukey", classes=True)
# each class is a channel of the model
MOST_CLASSES = 30
# float32 holds whole numbers up to here
EXACT = 2**24
# codes that stand for "nothing here" wherever they are found
FILLS = (127, 255, 999, 9999, 32767, 65535, 99999, 999999)
# a code this far above all others may be a fill
APART = 100
GROUP = (
    "group them, e.g. map units (mukey) into hydrologic groups by a table: "
    "datamodule.soil={folder: soil, table: {file: soil/muaggatt.csv}}; measured values are a layer, datamodule.layers"
)
NO_TABLE = Classes()


def soil_layer(bad: BadFiles, classes: Classes = NO_TABLE) -> Layer:
    """How soil classes are read; `bad` takes note of what is doubtful."""
    return class_layer(KIND, bad, classes)


def class_layer(kind: Kind, bad: BadFiles, classes: Classes = NO_TABLE, missing: Sequence[float] = ()) -> Layer:
    """How classes are read, and codes brought to classes; some codes are `missing`."""
    return Layer(
        partial(find_band, kind=kind),
        lambda path, values, band: classes.of(without(values, missing)),
        lambda path, band: Codes(path, bad, classes, kind.quantity, missing),
    )


class Codes:
    """Which codes a file holds."""

    def __init__(self, path: Path, bad: BadFiles, classes: Classes, what: str, missing: Sequence[float] = ()) -> None:
        """Begin with none.

        Args:
            path: The file.
            bad: Takes note of what is doubtful.
            classes: Which class each is of.
            what: The quantity.
            missing: Codes that count as missing.
        """
        self._missing = missing
        self._path, self._bad, self._classes, self._what = path, bad, classes, what.removesuffix("es")
        self._known = np.zeros(0, np.float32)
        self._is_strange = np.zeros(0, bool)

    def add(self, stored: Array, values: Array, part: Window) -> None:
        """Take those of a window.

        Raises:
            DataError: They are too many: measured values, or map units.
        """
        codes = without(np.unique(stored[np.isfinite(stored)]), self._missing)
        self._known = np.union1d(self._known, codes[np.isfinite(codes)])
        self._is_strange = (self._known < 0) | (self._known >= EXACT) | np.isin(self._known, FILLS)
        if self._classes.numbers:
            _check_whole(self._path, self._known)
        else:
            check_class_count(
                self._path, self._known[~self._is_strange]
            )  # of measured values some are such numbers, too

    def judge(self) -> tuple[float, ...]:
        """No class stands for missing.

        Raises:
            DataError: A code is none, or the table has no class for any of them.
        """
        if self._classes.numbers:
            self._classes.check(self._path, self._known, self._bad)
        else:
            self._judge_codes()
        return ()

    def _judge_codes(self) -> None:
        path, known, what = self._path, self._known, self._what
        if self._is_strange.any():
            code = _exact(known[self._is_strange][0])
            raise DataError(
                f"{path} holds {code}, no {what}; declare it as missing, e.g. `rio edit-info --nodata "
                f"{code}`, or give the classes other codes"
            )
        _check_whole(path, known)
        if known.size > 1 and known[0] == 0 and known[1] >= 1000:
            raise DataError(
                f"{path} holds 0 beside codes from {known[1]:.0f}; declare it as missing with "
                "`rio edit-info --nodata 0`"
            )
        if known.size and known[0] == 0:
            self._bad.correct(path, f"{what} 0, which nothing declares as missing, was taken as a class")
        if known.size > 1 and known[-1] - known[-2] > APART:
            others = f"{known[0]:.0f}..{known[-2]:.0f}"
            self._bad.correct(path, f"code {known[-1]:.0f}, far from all others ({others}), is a class")


def _check_whole(path: Path, known: Array) -> None:
    if (known != np.round(known)).any():
        broken = known[known != np.round(known)][0]
        raise DataError(f"{path} holds {broken:g}, no class code; give classes as whole numbers")


def _exact(code: float) -> str:
    """The code as it is stored: float32 rounds the largest integers up by one."""
    if abs(code) > 2**32:
        return f"{code:g}"
    return str(next((largest for largest in (2**31 - 1, 2**32 - 1) if np.float32(largest) == code), int(code)))


def check_class_count(path: Path, codes: Iterable[float]) -> None:
    """Refuse more classes than a model can tell apart: map unit keys, or a measured quantity.

    Raises:
        DataError: There are more than 30.
    """
    found = sorted(codes)
    if len(found) > MOST_CLASSES:
        raise DataError(
            f"{path} holds {len(found)} classes ({found[0]:.0f}..{found[-1]:.0f}), more than {MOST_CLASSES}; {GROUP}"
        )


def disagree(first: Array, second: Array) -> bool:
    """Whether two rasters of the same pixels are not of one classification."""
    return bool((first != second).mean() > 0.5)
