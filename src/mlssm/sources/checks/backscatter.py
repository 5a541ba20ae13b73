"""Backscatter: which band of a file, and whether its values are what the configuration calls them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError
from mlssm.sources.checks.header import Band, Kind, Layer, Stored, check_unit, data_bands, find_band
from mlssm.sources.faults import Array, BadFiles

Booleans = npt.NDArray[np.bool_]

POLARISATIONS = ("VV", "VH", "HH", "HV")
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
# a cross-polarised image this much above the co-polarised one is the other one, dB
CROSS_ABOVE = 1.0

DECIBEL = r"db|decibels?|.*_db|db .*"
DIGITAL_NUMBERS = (r"dn|digital[ _]numbers?", "give calibrated gamma0 or sigma0")
AMPLITUDE = (r"amplitude|.*amplitude.*", "give calibrated gamma0 or sigma0; if it is their root, set {units}=amplitude")
ANGLE = (r"rad|radians?|deg|degrees?|.*angle.*", "it is an angle; give backscatter")
NO_BACKSCATTER = (r".*(?:coheren|phase|ratio|entropy|alpha|elevation|mask|layover|shadow).*", "give backscatter")
POWER = r"linear.*|power|natural|.*intensity"
UNITS_KEY = "datamodule.backscatter.units"
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


def backscatter_layer(polarisation: str, stored: Stored, bad: BadFiles) -> Layer:
    """How images of one polarisation are read: to linear power, so that warping averages power."""
    convert = {"linear": _from_linear, "amplitude": _from_amplitude}.get(stored.units, _from_decibel)
    step = STEPS.get(stored.units, 1.0)

    def values(path: Path, read: Array, band: Band) -> Array:
        return convert(path, read if step == 1 else (read / np.float32(step)).astype(np.float32), band, bad)

    return Layer(partial(_band, polarisation=polarisation, stored=stored, bad=bad), values, stored.crs)


def _band(path: Path, source: Any, polarisation: str, stored: Stored, bad: BadFiles) -> Band:
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


def _from_linear(path: Path, values: Array, band: Band, bad: BadFiles) -> Array:
    """Linear power, NaN where missing; below zero, where noise was subtracted, it stays: it averages to the truth.

    Raises:
        DataError: The values are no linear power.
    """
    known = values[np.isfinite(values)]
    negative = np.count_nonzero(known < 0)
    if negative and (negative > known.size / 2 or known.min() < LEAST_POWER):
        raise DataError(f"{path} holds {known.min():g}, no linear power; set {UNITS_KEY}=dB?{_or_declare(band)}")
    _check_levels(path, 10 * np.log10(known[known > 0].astype(float)), known.size, band)
    border = values == 1
    if np.count_nonzero(border) > max(SINGLE_PIXELS, SINGLE_SHARE * known.size):
        bad.correct(path, "a power of exactly 1, from a border of 0 dB, was taken as missing")
        values = np.where(border, np.nan, values)
    step = 10 ** (FILL_GAP / 10)
    values = _without_fill(path, values, values > 0, lambda value: (value / step, value * step), bad)
    return np.where(np.isfinite(values) & (values != 0), values, np.nan).astype(np.float32)


def _from_amplitude(path: Path, values: Array, band: Band, bad: BadFiles) -> Array:
    """Linear power from its root.

    Raises:
        DataError: The values are no amplitude.
    """
    if (values < 0).any():
        raise DataError(f"{path} holds {np.nanmin(values):g}, no amplitude; set {UNITS_KEY}=dB or linear?")
    bad.correct(path, "amplitude was squared to linear power")
    return _from_linear(path, np.square(values), band, bad)


def _from_decibel(path: Path, values: Array, band: Band, bad: BadFiles) -> Array:
    """Linear power from dB; exactly 0 dB is a border that was not declared missing, and no measurement.

    Raises:
        DataError: The values are no decibels.
    """
    border = values == 0
    # of values in steps some are 0; of others none
    if np.count_nonzero(border) > (0 if "float" in band.dtype else SINGLE_SHARE * values.size):
        bad.correct(path, "exactly 0 dB, a missing value that is not declared, was taken as missing")
        values = np.where(border, np.nan, values)
    values = np.where(np.isfinite(values), values, np.nan)
    known = values[np.isfinite(values)].astype(float)
    if known.size and (known.min() > 0 or np.percentile(np.abs(known), 95) < LEAST_SPREAD):
        raise DataError(f"{path} holds {known.min():g} dB and more; set {UNITS_KEY}=linear?")
    _check_levels(path, known, known.size, band, NEVER_DECIBELS_BELOW)
    values = _without_fill(path, values, np.isfinite(values), lambda value: (value - FILL_GAP, value + FILL_GAP), bad)
    with np.errstate(over="ignore"):
        return np.asarray(10 ** (values / 10), np.float32)


def _without_fill(
    path: Path,
    values: Array,
    usable: npt.NDArray[np.bool_],
    around: Callable[[float], tuple[float, float]],
    bad: BadFiles,
) -> Array:
    """The values, NaN where they are a constant at an end of their range that stands for a missing value.

    Args:
        path: The file.
        values: Of the file.
        usable: Where they can be measurements.
        around: Lower and upper end of what is near a value.
        bad: Takes note of it.
    """
    known = values[usable & np.isfinite(values)]
    if np.unique(known[:: max(known.size // SAMPLED, 1)]).size < DISTINCT:
        return values
    for fill in (float(known.min()), float(known.max())):
        share = np.count_nonzero(known == fill) / known.size
        low, high = around(fill)
        near = np.count_nonzero((known > low) & (known < high)) / known.size - share
        if share > SINGLE_SHARE and near < FILL_NEAR * share:
            bad.correct(path, f"exactly {fill:g}, a constant apart from all other values, was taken as missing")
            values = np.where(values == fill, np.nan, values).astype(np.float32)
    return values


def _check_levels(
    path: Path, level: npt.NDArray[np.float64], known: int, band: Band, never_below: float = NEVER_BELOW
) -> None:
    """Refuse what is no backscatter: values in dB, of `known` pixels in all."""
    if not level.size:
        return
    outside = level[(level < LOWEST) | (level > HIGHEST)]
    impossible = (level > NEVER_ABOVE) | (level < never_below)
    if impossible.any() or outside.size > max(SINGLE_PIXELS, SINGLE_SHARE * known):
        worst = outside[np.abs(outside).argmax()]
        raise DataError(
            f"{path} holds {worst:.4g} dB ({outside.size / known:.1%} of it is outside of {LOWEST:g}..{HIGHEST:g} dB), "
            f"no backscatter; calibrate it, check {UNITS_KEY}{_or_declare(band)}"
        )
    middle = float(np.median(level))
    if not MIDDLE[0] <= middle <= MIDDLE[1]:
        raise DataError(
            f"{path} has a median of {middle:.4g} dB, but backscatter has one of {MIDDLE[0]:g}..{MIDDLE[1]:g} dB; "
            f"calibrate it, check {UNITS_KEY}{_or_declare(band)}"
        )


def _or_declare(band: Band) -> str:
    if band.is_whole:
        return (
            f" (dB*100?), or declare the scale of its {band.dtype} and its missing value (`gdal_edit.py -scale 0.01 "
            "-a_nodata`)"
        )
    return ", or declare its missing value (`rio edit-info --nodata`)"


def check_loss(path: Path, power: Array, bad: BadFiles) -> None:
    """Refuse an image of which too much is not positive on the grid: what is left would be too bright.

    Args:
        path: The image.
        power: Linear power on the grid, NaN where missing.
        bad: Takes note of a smaller share.

    Raises:
        DataError: More than a fifth is not positive.
    """
    known = int(np.isfinite(power).sum())
    lost = int(np.count_nonzero(power <= 0))
    if lost <= max(SINGLE_PIXELS, LOST_TOLD * known):
        return
    if lost > LOST_REFUSED * known:
        raise DataError(
            f"{path}: {lost / known:.0%} of its pixels have no positive power, and the rest would be too bright; "
            "average it first with a coarser datamodule.grid.resolution_m, or take images without noise removal"
        )
    bad.correct(
        path, "more than 1 % of the pixels have no positive power and are missing, so that the rest is brighter"
    )


def check_polarisations(path: Path, layers: dict[str, Array | None]) -> None:
    """Refuse a pass whose cross-polarised image is the co-polarised one, or the same.

    Args:
        path: A file of the pass.
        layers: dB by polarisation.

    Raises:
        DataError: VH lies above VV (HV above HH), or both are the same.
    """
    for co, cross in (("VV", "VH"), ("HH", "HV")):
        first, second = layers.get(co), layers.get(cross)
        if first is None or second is None:
            continue
        above = (second - first)[np.isfinite(first) & np.isfinite(second)]
        if not above.size:
            continue
        if not above.any() and np.nanstd(first) > 0:
            raise DataError(
                f"{path}: {co} and {cross} of its pass hold the same values; give each its own file or band"
            )
        if np.median(above) > CROSS_ABOVE:
            raise DataError(
                f"{path}: {cross} of its pass lies {np.median(above):.1f} dB above {co}; are their names exchanged?"
            )
