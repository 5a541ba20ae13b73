"""Soil: class codes, few and whole."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from mlssm.errors import DataError
from mlssm.sources.checks.header import Band, Kind, Layer, find_band
from mlssm.sources.classes import Classes
from mlssm.sources.faults import Array, BadFiles

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


def class_layer(kind: Kind, bad: BadFiles, classes: Classes = NO_TABLE) -> Layer:
    """How classes are read, and codes brought to classes."""
    return Layer(partial(find_band, kind=kind), partial(_values, bad=bad, classes=classes, what=kind.quantity))


def _values(path: Path, values: Array, band: Band, bad: BadFiles, classes: Classes, what: str) -> Array:
    if classes.numbers:
        _check_whole(path, np.unique(values[np.isfinite(values)]))
        return classes.of(path, values, bad)
    known = np.unique(values[np.isfinite(values)])
    is_strange = (known < 0) | (known >= EXACT) | np.isin(known, FILLS)
    strange = known[is_strange]
    check_class_count(path, known[~is_strange])  # of measured values some are such numbers, too
    if strange.size:
        code = _exact(strange[0])
        raise DataError(
            f"{path} holds {code}, no {what.removesuffix('es')}; declare it as missing, e.g. `rio edit-info --nodata "
            f"{code}`, or give the classes other codes"
        )
    _check_whole(path, known)
    if known.size > 1 and known[0] == 0 and known[1] >= 1000:
        raise DataError(
            f"{path} holds 0 beside codes from {known[1]:.0f}; declare it as missing with `rio edit-info --nodata 0`"
        )
    if known.size and known[0] == 0:
        bad.correct(path, f"{what.removesuffix('es')} 0, which nothing declares as missing, was taken as a class")
    if known.size > 1 and known[-1] - known[-2] > APART:
        bad.correct(path, f"code {known[-1]:.0f}, far from all others ({known[0]:.0f}..{known[-2]:.0f}), is a class")
    return values


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
