"""The incidence angle: degrees."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlssm.errors import DataError
from mlssm.sources.checks.header import Band, Kind, Layer, find_band
from mlssm.sources.faults import Array, BadFiles, Limits

INCIDENCE = Limits("the incidence angle", 0, 90, "declare its nodata value, or convert it to degrees")
RADIANS = "convert it to degrees (radians times 57.2958)"
KIND = Kind("the incidence angle", r"incidence|angle|theta", ((r"rad|radians?", RADIANS), (r"cos.*", RADIANS)))
# radar satellites look at the ground under such angles in the middle of an image, degrees; Sentinel-1 under 29..46
MIDDLE = (10.0, 70.0)


def _band(path: Path, source: Any) -> Band:
    return find_band(path, source, KIND)


def incidence_layer(bad: BadFiles) -> Layer:
    """How incidence angles are read; `bad` takes note of what is corrected."""
    return Layer(_band, partial(_values, bad=bad))


def _values(path: Path, values: Array, band: Band, bad: BadFiles) -> Array:
    values = INCIDENCE.checked(path, values)
    if (values == 0).any():
        bad.correct(path, "an incidence angle of exactly 0, under which no radar looks, was taken as missing")
        values = np.where(values == 0, np.nan, values).astype(np.float32)
    known = values[np.isfinite(values)]
    if known.size and not MIDDLE[0] <= np.median(known) <= MIDDLE[1]:
        raise DataError(
            f"{path} holds an incidence angle of {np.median(known):g} degrees in its middle, but radar looks under "
            f"{MIDDLE[0]:g}..{MIDDLE[1]:g}: radians or a cosine? Convert it to degrees, or declare its missing value"
        )
    return values


def disagree(first: Array, second: Array) -> bool:
    """Whether two rasters of the same pixels are not of one orbit."""
    return bool(np.median(np.abs(first - second)) > 5)
