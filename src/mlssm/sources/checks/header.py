"""What a raster's own metadata say of its bands: which one is meant, in which unit, by which scale."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rasterio.enums import ColorInterp

from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.sources.faults import Array
from mlssm.sources.snap_names import band_names

# a band that says by 0 where the others have no value
VALIDITY = re.compile(r"alpha|valid", re.IGNORECASE)
UNIT_TAGS = ("UNITS", "UNIT", "UNITTYPE")
SCALE_TAGS = {"SCALE_FACTOR": "scales", "SCALE": "scales", "ADD_OFFSET": "offsets", "OFFSET": "offsets"}


@dataclass(frozen=True)
class Band:
    """The band of a file that is read.

    Attributes:
        number: Counted from 1.
        dtype: How it is stored, e.g. "uint8".
        scaled: Whether the file states a scale or an offset for it.
        validity: Numbers of the bands that are 0 where it is missing.
        missing: A stored value that is missing besides the declared one.
    """

    number: int
    dtype: str
    scaled: bool = False
    validity: tuple[int, ...] = ()
    missing: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers: stored as such, and not scaled."""
        return "int" in self.dtype and not self.scaled


@dataclass(frozen=True)
class Stored:
    """How a file holds a quantity, as far as it is known before it is opened.

    Attributes:
        units: Of its values, with the band's scale and offset applied.
        band: Number of its band, counted from 1; None: the only one, or as the descriptions tell.
        nodata: A stored value that is missing besides the declared one.
        crs: What stands in place of its own CRS.
    """

    units: str = ""
    band: int | None = None
    nodata: float | None = None
    crs: str | None = None


@dataclass(frozen=True)
class Kind:
    """What is known of one quantity's rasters.

    Attributes:
        quantity: Its name in messages.
        band_name: What the description of its band holds, a regular expression.
        other_units: Units that are not ours, as regular expressions of the whole unit, and what to do about each.
        classes: Whether values are classes, so that a colour table is natural.
    """

    quantity: str
    band_name: str
    other_units: tuple[tuple[str, str], ...] = ()
    classes: bool = False


class Look(Protocol):
    """What all values of a file are like, of which a window comes at a time."""

    def add(self, stored: Array, values: Array, part: Window) -> None:
        """Look at a window: as it is stored, as `Layer.values` converted it, and where in the file it lies.

        Raises:
            DataError: It shows that the file is another quantity.
        """

    def judge(self) -> tuple[float, ...]:
        """Which converted values stand for missing ones, once all windows came.

        Raises:
            DataError: The file is another quantity.
        """


class NoLook:
    """Of a quantity whose values are judged one by one."""

    def add(self, stored: Array, values: Array, part: Window) -> None:
        """Nothing is noted."""

    def judge(self) -> tuple[float, ...]:
        """None."""
        return ()


@dataclass(frozen=True)
class Layer:
    """How one quantity is read from a file.

    Attributes:
        band: Finds the band in an open file; raises DataError where the header contradicts the quantity.
        values: Checks and converts values of a file, one by one, float32 with NaN where missing, before they are
            warped.
        look: What looks at all values of a file.
        crs: What stands in place of the file's own CRS.
    """

    band: Callable[[Path, Any], Band]
    values: Callable[[Path, Array, Band], Array] = lambda path, values, band: values
    look: Callable[[Path, Band], Look] = lambda path, band: NoLook()
    crs: str | None = None


def data_bands(source: Any) -> list[int]:
    """Numbers of the bands that hold data, and do not say where others do."""
    validity = _validity_bands(source)
    return [number for number in source.indexes if number not in validity] or [1]


def _validity_bands(source: Any) -> tuple[int, ...]:
    interpreted = zip(source.indexes, source.colorinterp, source.descriptions, strict=True)
    return tuple(
        number
        for number, colour, description in interpreted
        if colour is ColorInterp.alpha or VALIDITY.search(description or "")
    )


def find_band(path: Path, source: Any, kind: Kind, number: int | None = None, missing: float | None = None) -> Band:
    """The band that holds a quantity: the one that is given, the only one, or the one whose description names it.

    Args:
        path: The file.
        source: It, open.
        kind: The quantity.
        number: The band, counted from 1, where it is known.
        missing: A stored value that is missing besides the declared one.

    Raises:
        DataError: There is no such band; of several none or more than one is described so; or unit, scale or colours
            contradict.
    """
    number = _described_band(path, source, kind) if number is None else number
    if number > source.count:
        raise DataError(f"{path} has {source.count} bands, and band {number} is to be {kind.quantity}; correct `bands`")
    _check_colours(path, source, number, kind)
    check_unit(path, unit_of(source, number), kind)
    _check_scale_tags(path, source, number)
    scaled = (source.scales[number - 1], source.offsets[number - 1]) != (1, 0)
    validity = tuple(other for other in _validity_bands(source) if other != number)
    return Band(number, source.dtypes[number - 1], scaled, validity, missing)


def _described_band(path: Path, source: Any, kind: Kind) -> int:
    numbers = data_bands(source)
    if len(numbers) == 1:
        return numbers[0]
    told = band_names(path, source)
    named = [number for number in numbers if re.search(kind.band_name, told[number - 1], re.IGNORECASE)]
    if len(named) != 1:
        names = ", ".join(told[number - 1] or "no description" for number in numbers)
        raise DataError(
            f"{path} has {len(numbers)} bands ({names}): which one is {kind.quantity} is not told; "
            "write that one alone, e.g. `gdal_translate -b 1`"
        )
    return named[0]


def unit_of(source: Any, number: int) -> str:
    """The unit that the file states for a band, or its vertical datum for heights; empty where it states none."""
    stated = [source.units[number - 1], *(_tags(source, number).get(name) for name in UNIT_TAGS)]
    return next((unit.strip() for unit in stated if unit and unit.strip()), "")


def check_unit(path: Path, unit: str, kind: Kind) -> None:
    """Refuse a unit that is known to be another than ours.

    Raises:
        DataError: It is one.
    """
    for pattern, cure in kind.other_units:
        if re.fullmatch(pattern, unit, re.IGNORECASE):
            raise DataError(f"{path} gives {kind.quantity} in {unit!r}; {cure}")


def _tags(source: Any, number: int) -> dict[str, str]:
    return {name.upper(): value for name, value in (source.tags() | source.tags(number)).items()}


def _check_colours(path: Path, source: Any, number: int, kind: Kind) -> None:
    if source.colorinterp[number - 1] is ColorInterp.palette and not kind.classes:
        raise DataError(f"{path} has a colour table: it holds classes or a picture, not {kind.quantity}; give values")


def _check_scale_tags(path: Path, source: Any, number: int) -> None:
    """A scale that is written as a plain tag is not applied by GDAL: its values would be taken as they are."""
    for tag, kept in SCALE_TAGS.items():
        text = _tags(source, number).get(tag)
        try:
            stated = float(text) if text is not None else None
        except ValueError:
            continue
        if stated is not None and abs(stated - getattr(source, kept)[number - 1]) > 1e-9 * abs(stated):
            option = "-scale" if kept == "scales" else "-offset"
            raise DataError(
                f"{path} has the tag {tag.lower()}={text}, but its band another; "
                f"declare it with `gdal_edit.py {option} {text}`, or take the tag away"
            )
