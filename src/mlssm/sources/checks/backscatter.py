"""Backscatter: which band of a file, and whether its values are what the configuration calls them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError
from mlssm.sources.checks.backscatter_values import UNITS_KEY
from mlssm.sources.checks.decibels import ZERO, Decibels
from mlssm.sources.checks.header import Band, Kind, Stored, check_unit, data_bands, find_band
from mlssm.sources.faults import BadFiles

POLARISATIONS = ("VV", "VH", "HH", "HV")
# a cross-polarised image this much above the co-polarised one is the other one, dB
CROSS_ABOVE = 1.0
NONE = -32768
PAIRS = (("VV", "VH"), ("HH", "HV"))

DECIBEL = r"db|decibels?|.*_db|db .*"
DIGITAL_NUMBERS = (r"dn|digital[ _]numbers?", "give calibrated gamma0 or sigma0")
AMPLITUDE = (r"amplitude|.*amplitude.*", "give calibrated gamma0 or sigma0; if it is their root, set {units}=amplitude")
ANGLE = (r"rad|radians?|deg|degrees?|.*angle.*", "it is an angle; give backscatter")
NO_BACKSCATTER = (r".*(?:coheren|phase|ratio|entropy|alpha|elevation|mask|layover|shadow).*", "give backscatter")
POWER = r"linear.*|power|natural|.*intensity"
STEPS = {"dB*10": 10.0, "dB*100": 100.0}


def _others(units: str) -> tuple[tuple[str, str], ...]:
    """Units that contradict the given ones, and what to do about each."""
    decibels = ((POWER, f"set {UNITS_KEY}=linear"),) if "dB" in units else ((DECIBEL, f"set {UNITS_KEY}=dB"),)
    amplitude = ((POWER, f"set {UNITS_KEY}=linear"),) if units == "amplitude" else (AMPLITUDE,)
    told = (*decibels, *amplitude, DIGITAL_NUMBERS, ANGLE, NO_BACKSCATTER)
    return tuple((pattern, cure.format(units=UNITS_KEY)) for pattern, cure in told)


# tags by which producers say what they wrote
EXPRESSION_TAG = "OUTPUT_BACKSCATTER_EXPRESSION_CONVENTION"
POLARISATION_TAGS = ("POLARIZATION", "POLARISATION")
# ASF HyP3 names: RTC30_G_gpuned: gamma0 (s: sigma0) as power, amplitude or decibels
HYP3_SCALE = re.compile(r"_RTC\d+_[A-Z]_[gs](?P<scale>[pad])[um][nf][ec][dm]_")


def backscatter_band(path: Path, source: Any, polarisation: str, stored: Stored, bad: BadFiles) -> Band:
    """The band of an open file that has a polarisation.

    Raises:
        DataError: There is none, or what the file says of itself contradicts the unit or the polarisation.
    """
    word = rf"(?<![A-Z]){polarisation}(?![A-Z])"
    kind = Kind(f"{polarisation} backscatter", word, _others(stored.units))
    band = find_band(path, source, kind, stored.band, stored.nodata)
    if stored.band is None and len(data_bands(source)) > 1:
        bad.correct(path, f"of several bands, the one that is described as {polarisation} was read")
    if stored.units in STEPS and band.scaled:
        raise DataError(f"{path} states a scale of its own, so that its values are dB; set {UNITS_KEY}=dB")
    told = [source.descriptions[band.number - 1] or "", source.tags(band.number).get("long_name", "")]
    tags = {name.upper(): value for name, value in source.tags().items()}
    of_file = [tags.get(tag, "") for tag in POLARISATION_TAGS] if stored.band is None else []
    for text in (*told, *of_file):
        _check_polarisation(path, text, polarisation)
    for text in (*told, tags.get(EXPRESSION_TAG, ""), _hyp3_scale(path)):
        check_unit(path, text, kind)
    return band


def _check_polarisation(path: Path, text: str, polarisation: str) -> None:
    named = [pol for pol in POLARISATIONS if re.search(rf"(?<![A-Z]){pol}(?![A-Z])", text.upper())]
    if named and polarisation not in named:
        raise DataError(f"{path} says {text!r} of itself, but its name says {polarisation}; rename it")


def _hyp3_scale(path: Path) -> str:
    match = HYP3_SCALE.search(path.name)
    return {"p": "power", "a": "amplitude", "d": "dB"}[match["scale"]] if match else ""


class Differences:
    """How far the cross-polarised image of a pass lies above the co-polarised one, block by block."""

    def __init__(self, co: str, cross: str) -> None:
        """Begin with no pixel of two polarisations."""
        self._names = co, cross
        self._levels = Decibels()
        self._lowest, self._highest = 32767, -32767

    def add(self, co: npt.NDArray[np.int16], cross: npt.NDArray[np.int16]) -> None:
        """Add a block of both in steps of 0.01 dB, -32768 where there is no value."""
        known = (co > NONE) & (cross > NONE)
        first, second = co[known], cross[known]
        if first.size:
            above = np.clip(second.astype(np.int32) - first, -32767, 32767)
            self._levels.add(above.astype(np.int16))
            self._lowest, self._highest = min(self._lowest, int(first.min())), max(self._highest, int(first.max()))

    def check(self, path: Path) -> None:
        """Refuse a pass whose cross-polarised image is the co-polarised one, or the same.

        Raises:
            DataError: VH lies above VV (HV above HH), or both are the same.
        """
        total = self._levels.total
        if not total:
            return
        co, cross = self._names
        if self._levels.counts[ZERO] == total and self._highest > self._lowest:
            raise DataError(
                f"{path}: {co} and {cross} of its pass hold the same values; give each its own file or band"
            )
        (above,) = self._levels.quantiles(0.5)
        if above > CROSS_ABOVE:
            raise DataError(f"{path}: {cross} of its pass lies {above:.1f} dB above {co}; are their names exchanged?")
