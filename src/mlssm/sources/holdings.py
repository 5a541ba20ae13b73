"""What a backscatter file holds: which polarisation in which band, and in which unit."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from mlssm.config import BackscatterConfig
from mlssm.config.backscatter import Polarisation
from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.sources.area_hint import hint
from mlssm.sources.checks.backscatter import EXPRESSION_TAG, POLARISATION_TAGS
from mlssm.sources.checks.header import VALIDITY, Kind, Stored, find_band
from mlssm.sources.conventions import Named
from mlssm.sources.conventions.words import ANGLE, polarisation, units_in
from mlssm.sources.faults import Array
from mlssm.sources.opening import RasterInfo, opened
from mlssm.sources.raster import read_stored

# bands of calibrated values are preferred to those beside them that are not
CALIBRATED = re.compile(r"(sigma|gamma|beta)", re.IGNORECASE)
# how a file's values are looked at to tell its unit: windows of so many pixels, so many a side
LOOKED_AT, PLACES = 128, 3
# fewer values tell nothing; backscatter in dB lies below this in the middle, and power above 0
LEAST_VALUES, DECIBEL_BELOW = 20, -1.0
# no area reflects so much, as power or amplitude
NO_BACKSCATTER_ABOVE = 4.0


def holdings(info: RasterInfo, named: Named, config: BackscatterConfig) -> dict[str, Stored]:
    """How a file holds each of its polarisations.

    Args:
        info: Its header.
        named: What its name says.
        config: What is known of the folder.

    Raises:
        DataError: Which band is which polarisation, or in which unit, is told by nothing; the message has an
            `area.yaml` to paste.
    """
    found = {}
    for name, band in _bands(info, named, config).items():
        if band is not None and band > len(info.bands):
            raise DataError(
                f"{info.path} has {len(info.bands)} bands, and band {band} is to be {name}; correct `bands`"
            )
        stored = Stored("", band, config.nodata, config.crs)
        found[name] = Stored(_units(info, named, config, stored), band, config.nodata, config.crs)
    return found


def _bands(info: RasterInfo, named: Named, config: BackscatterConfig) -> dict[str, int | None]:
    name = named.groups.get("polarisation")
    if config.bands is not None:
        _check_descriptions(info, config.bands)
        numbers: dict[str, int | None] = {str(pol): number for pol, number in config.bands.items()}
        if name is None:
            return numbers
        return {name: numbers.get(name)} if len(info.bands) > 1 else {name: None}
    if name is not None:
        # the only band, or the one that is described so
        return {name: _described(info).get(name) if len(info.bands) > 1 else None}
    told = _described(info)
    if not told and len(info.bands) == 1:
        tag = next((pol for tag in POLARISATION_TAGS if (pol := polarisation(info.tags.get(tag, "")))), None)
        told = {tag: 1} if tag else {}
    if not told:
        names = ", ".join(text or "no description" for text in info.bands)
        numbers_asked = {"VV": 1} if len(info.bands) == 1 else {"VV": 1, "VH": 2}
        raise DataError(
            f"{info.path} has {len(info.bands)} bands ({names}), and neither they nor its name tell the polarisation"
            + hint(config, bands=numbers_asked)
        )
    return told


def _check_descriptions(info: RasterInfo, bands: Mapping[Polarisation, int]) -> None:
    """Refuse numbers of bands that the descriptions contradict."""
    for name, number in bands.items():
        told = polarisation(info.bands[number - 1]) if number <= len(info.bands) else None
        if told not in (None, name):
            raise DataError(
                f"{info.path} calls its band {number} {info.bands[number - 1]!r}, but `bands` takes it for {name}; "
                "correct datamodule.backscatter.bands, or leave it out"
            )


def _described(info: RasterInfo) -> dict[str, int | None]:
    """The band of each polarisation by the bands' descriptions; calibrated ones before others.

    Raises:
        DataError: Several bands are as good for one polarisation.
    """
    found: dict[str, list[int]] = {}
    for number, text in enumerate(info.bands, 1):
        if (name := polarisation(text)) and not VALIDITY.search(text) and not ANGLE.search(text):
            found.setdefault(name, []).append(number)
    chosen: dict[str, int | None] = {}
    for name, numbers in found.items():
        best = [number for number in numbers if CALIBRATED.search(info.bands[number - 1])] or numbers
        if len(best) > 1:
            several = ", ".join(info.bands[number - 1] for number in best)
            raise DataError(
                f"{info.path} has several bands of {name} ({several}); choose one with datamodule.backscatter.bands, "
                f"e.g. {{{name}: {best[0]}}}"
            )
        chosen[name] = best[0]
    return chosen


def _units(info: RasterInfo, named: Named, config: BackscatterConfig, stored: Stored) -> str:
    if config.units is not None:
        return config.units
    number = stored.band or 1
    text = info.bands[number - 1] if number <= len(info.bands) else ""
    stated = info.units[number - 1] if number <= len(info.units) else ""
    told = {units for words in (text, stated, info.tags.get(EXPRESSION_TAG, "")) if (units := units_in(words))}
    told |= {named.units} if named.units else set()
    if len(told) > 1:
        raise DataError(
            f"{info.path}: its name, bands and tags call its values {' and '.join(sorted(told))}; set "
            "datamodule.backscatter.units to what they are"
        )
    return told.pop() if told else _units_by_values(info, named, config, stored)


def _units_by_values(info: RasterInfo, named: Named, config: BackscatterConfig, stored: Stored) -> str:
    """Decibels are negative, power and amplitude are not; between these two no value tells."""
    values = _some_values(info, stored)
    if values.size < LEAST_VALUES or np.median(values) < DECIBEL_BELOW:
        return "dB"
    text = info.bands[(stored.band or 1) - 1]
    if named.positive and polarisation(text) == text.strip().upper():
        return named.positive
    if np.median(values) < 0:
        raise DataError(
            f"{info.path} holds values around {np.median(values):.3g}, neither decibels nor power: decibels that were "
            "divided? Give them as they are, or declare their scale"
        )
    if np.median(values) > NO_BACKSCATTER_ABOVE:
        raise DataError(
            f"{info.path} holds values around {np.median(values):.3g}, no calibrated backscatter: digital numbers, or "
            "power times a factor? Calibrate it, or declare its scale (`gdal_edit.py -scale 0.0001`)"
        )
    raise DataError(
        f"{info.path} holds values around {np.median(values):.3g}, and nothing tells whether they are linear power or "
        "its root, amplitude" + hint(config, units="linear, or amplitude, or dB")
    )


def _some_values(info: RasterInfo, stored: Stored) -> Array:
    """Values of a few windows all over a file, or of all of it; without zeros, which are mostly a border."""
    with opened(info.path, stored.crs) as source:
        band = find_band(info.path, source, Kind("backscatter", r"(?!)"), stored.band or 1, stored.nodata)
        height, width = source.shape
        rows, cols = (np.linspace(0, max(size - LOOKED_AT, 0), PLACES, dtype=int) for size in (height, width))
        windows = {
            Window(int(row), int(col), min(LOOKED_AT, height), min(LOOKED_AT, width)) for row in rows for col in cols
        }
        values = np.concatenate([_known(read_stored(source, band, window)) for window in sorted(windows)])
        if values.size < LEAST_VALUES and height * width <= 16_000_000:
            values = _known(read_stored(source, band, Window(0, 0, height, width)))
    return values


def _known(values: Array) -> Array:
    return np.asarray(values[np.isfinite(values) & (values != 0)])
