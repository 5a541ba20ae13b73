"""The values of one backscatter image, block by block: whether they are what the configuration calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError
from mlssm.sources.checks.decibels import Decibels
from mlssm.sources.checks.header import Band
from mlssm.sources.faults import Array, BadFiles

UNITS_KEY = "datamodule.backscatter.units"
# what backscatter reaches, dB: from calm water to streets that face the sensor
LOWEST, HIGHEST = -50.0, 15.0
# single strong or dark targets pass it; so may this share of an image's pixels, and this many of a small one's
SINGLE_SHARE, SINGLE_PIXELS = 0.01, 3
# beyond these, even one pixel is a missing value that is not declared
NEVER_ABOVE, NEVER_BELOW = 60.0, -400.0
# the same in decibels: nobody measures so little, though a remainder of linear power may be as low
NEVER_DECIBELS_BELOW = -100.0
# the middle of an image's values, dB: a wider place than any land or sea takes
MIDDLE = (-40.0, 5.0)
# thermal noise that was subtracted leaves power below zero, but little of it
LEAST_POWER = -1.0
# nearly all of an image lies closer to 0 than this only where it is linear, or dB that were divided
LEAST_SPREAD = 3.0
# pixels without positive power are lost to the dB scale: this share is told, and this one biases what is left
LOST_TOLD, LOST_REFUSED = 0.01, 0.2
# the lowest or highest value, where more than a single share has it and next to none lies near it (dB), is a fill
FILL_GAP, FILL_NEAR = 0.5, 0.1
# a distribution that can be judged has this many values in a sample of so many
DISTINCT, SAMPLED = 20, 5000
# of larger blocks every so many rows make the histogram
LARGE, EVERY = 1 << 18, 4


@dataclass
class Extreme:
    """The lowest or highest value so far, and how many pixels have it."""

    value: float
    count: int = 0

    def meet(self, value: float, values: Array, further: bool) -> None:
        """Take a block's own into account; `further`: it passes the one so far."""
        if further:
            self.value, self.count = value, 0
        if value == self.value:
            self.count += int(np.count_nonzero(values == np.float32(value)))


class Seen:
    """What was seen of an image's values so far, in linear power or in dB, NaN where missing."""

    def __init__(self, decibel: bool) -> None:
        """Begin with none.

        Args:
            decibel: Whether the values are dB; else they are linear power.
        """
        self._decibel = decibel
        # of 0 dB, which is what borders of images become that were not declared missing
        self._border_value = np.float32(0 if decibel else 1)
        self._levels = Decibels()
        self._low, self._high = Extreme(np.inf), Extreme(-np.inf)
        self._lowest = np.inf
        self._size = self._known = self._usable = self._border = self._negative = 0
        self._distinct: npt.NDArray[Any] = np.empty(0, np.float32)

    def add(self, values: Array) -> None:
        """Look at a block."""
        self._size += values.size
        low, high = values.min(), values.max()  # NaN where one is
        if not np.isfinite((low, high)).all():
            values = values[np.isfinite(values)]
            if not values.size:
                return
            low, high = values.min(), values.max()
        self._known += values.size
        self._lowest = min(self._lowest, float(low))
        self._add_usable(self._without_border(values, float(low), float(high)))

    def _without_border(self, values: Array, low: float, high: float) -> Array:
        if low < 0 and not self._decibel:
            self._negative += int(np.count_nonzero(values < 0))
        border = int(np.count_nonzero(values == self._border_value)) if low <= self._border_value <= high else 0
        self._border += border
        if border or (low <= 0 and not self._decibel):
            usable = values != self._border_value
            return np.asarray(values[usable if self._decibel else usable & (values > 0)])
        return values

    def _add_usable(self, values: Array) -> None:
        if not values.size:
            return
        self._usable += values.size
        low, high = float(values.min()), float(values.max())
        self._low.meet(low, values, low < self._low.value)
        self._high.meet(high, values, high > self._high.value)
        if self._distinct.size < DISTINCT:
            sample = values.ravel()[:: max(values.size // SAMPLED, 1)]
            self._distinct = np.unique(np.concatenate([self._distinct, sample]))
        every = EVERY if values.size > LARGE else 1
        taken = values[::every]
        self._levels.add_levels(taken if self._decibel else 10 * np.log10(taken), every)

    def judge(self, path: Path, band: Band, bad: BadFiles) -> tuple[float, ...]:
        """Refuse what is no backscatter in this unit.

        Args:
            path: The image.
            band: Its band.
            bad: Takes note of what is corrected.

        Returns:
            Values that stand for missing ones, though the file does not say so.

        Raises:
            DataError: The values are no backscatter in this unit.
        """
        missing = self._judge_decibels(path, band, bad) if self._decibel else self._judge_power(path, band, bad)
        return (*missing, *self._fills(path, bad))

    def _judge_power(self, path: Path, band: Band, bad: BadFiles) -> tuple[float, ...]:
        if self._negative and (self._negative > self._known / 2 or self._lowest < LEAST_POWER):
            raise DataError(f"{path} holds {self._lowest:g}, no linear power; set {UNITS_KEY}=dB?{_or_declare(band)}")
        self._check_levels(path, self._known, band, NEVER_BELOW)
        if self._border <= max(SINGLE_PIXELS, SINGLE_SHARE * self._known):
            return ()
        bad.correct(path, "a power of exactly 1, from a border of 0 dB, was taken as missing")
        return (float(self._border_value),)

    def _judge_decibels(self, path: Path, band: Band, bad: BadFiles) -> tuple[float, ...]:
        # of values in steps some are 0; of others none
        is_border = self._border > (0 if "float" in band.dtype else SINGLE_SHARE * self._size)
        if is_border:
            bad.correct(path, "exactly 0 dB, a missing value that is not declared, was taken as missing")
        if self._usable and (self._low.value > 0 or self._levels.magnitude(0.95) < LEAST_SPREAD):
            raise DataError(f"{path} holds {self._low.value:g} dB and more; set {UNITS_KEY}=linear?")
        self._check_levels(path, self._usable, band, NEVER_DECIBELS_BELOW)
        return (float(self._border_value),) if is_border else ()

    def _level(self, value: float) -> float:
        return value if self._decibel else 10 * float(np.log10(value))

    def _check_levels(self, path: Path, known: int, band: Band, never_below: float) -> None:
        """Refuse what is no backscatter, of `known` pixels in all."""
        if not self._usable:
            return
        low, high = self._level(self._low.value), self._level(self._high.value)
        outside = self._usable - self._levels.between(LOWEST - 0.005, HIGHEST + 0.005) * self._usable / max(
            self._levels.total, 1
        )
        if low < never_below or high > NEVER_ABOVE or outside > max(SINGLE_PIXELS, SINGLE_SHARE * known):
            worst = max((level for level in (low, high) if not LOWEST <= level <= HIGHEST), key=abs)
            raise DataError(
                f"{path} holds {worst:.4g} dB ({outside / known:.1%} of it is outside of {LOWEST:g}..{HIGHEST:g} dB), "
                f"no backscatter; calibrate it, check {UNITS_KEY}{_or_declare(band)}"
            )
        (middle,) = self._levels.quantiles(0.5)
        if not MIDDLE[0] <= middle <= MIDDLE[1]:
            raise DataError(
                f"{path} has a median of {middle:.4g} dB, but backscatter has one of {MIDDLE[0]:g}..{MIDDLE[1]:g} dB; "
                f"calibrate it, check {UNITS_KEY}{_or_declare(band)}"
            )

    def _fills(self, path: Path, bad: BadFiles) -> tuple[float, ...]:
        """A constant at an end of the values' range that stands for a missing value."""
        if self._distinct.size < DISTINCT:
            return ()
        found = []
        for end in (self._low, self._high):
            level, share = self._level(end.value), end.count / self._usable
            own = self._levels.between(level - 0.006, level + 0.006)
            near = (self._levels.between(level - FILL_GAP, level + FILL_GAP) - own) / max(self._levels.total, 1)
            if share > SINGLE_SHARE and near < FILL_NEAR * share:
                what = f"exactly {end.value:g}, a constant apart from all other values, was taken as missing"
                bad.correct(path, what)
                found.append(end.value)
        return tuple(found)


@dataclass
class Lost:
    """How many pixels of an image have no positive power on the grid: what is left would be too bright.

    Attributes:
        known: Pixels with a value.
        lost: Of them, those of no positive power.
    """

    known: int = 0
    lost: int = 0

    def add(self, power: Array) -> None:
        """Look at a block of linear power on the grid, NaN where missing."""
        if power.size and power.min() > 0:  # NaN is not
            self.known += power.size
        else:
            self.known += int(np.isfinite(power).sum())
            self.lost += int(np.count_nonzero(power <= 0))

    def check(self, path: Path, bad: BadFiles) -> None:
        """Refuse an image of which too much is lost, and take note of a smaller share.

        Raises:
            DataError: More than a fifth is not positive.
        """
        if self.lost <= max(SINGLE_PIXELS, LOST_TOLD * self.known):
            return
        if self.lost > LOST_REFUSED * self.known:
            raise DataError(
                f"{path}: {self.lost / self.known:.0%} of its pixels have no positive power, and the rest would be too "
                "bright; average it first with a coarser datamodule.grid.resolution_m, or take images without noise "
                "removal"
            )
        bad.correct(
            path, "more than 1 % of the pixels have no positive power and are missing, so that the rest is brighter"
        )


def _or_declare(band: Band) -> str:
    if band.is_whole:
        return (
            f" (dB*100?), or declare the scale of its {band.dtype} and its missing value (`gdal_edit.py -scale 0.01 "
            "-a_nodata`)"
        )
    return ", or declare its missing value (`rio edit-info --nodata`)"
