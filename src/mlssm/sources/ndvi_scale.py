"""How NDVI is stored as whole numbers, where the files do not say: by the range of all images of a folder.

One scale is of the whole folder: judged image by image, a dry summer would be stored otherwise than a wet spring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlssm.errors import DataError
from mlssm.sources.checks.ndvi import KIND
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.opening import opened

# pixels along a side that an image's range is taken from
SAMPLED = 1024
# flags of products that store 0..250 in a byte
BYTE_FLAGS = 250
# the greenest pixel of all images has at least this NDVI; int16 has but one usual scale, so that less is enough
GREENEST_BYTE, GREENEST_INT16 = 0.8, 0.2
# of all images at least 1 % has less NDVI than this, or it is stored with an offset
BAREST = 0.4
CURE = "state it: datamodule.ndvi={folder: ndvi, scale: 0.004, offset: 0}, or in the files, `gdal_edit.py -scale 0.004`"


@dataclass(frozen=True)
class Scale:
    """NDVI = stored * factor + offset.

    Attributes:
        factor: Above 0.
        offset: What is added.
        flags_above: Stored values above are flags, and so missing; None: there are none.
    """

    factor: float
    offset: float = 0.0
    flags_above: float | None = None

    def applied(self, stored: Array) -> Array:
        """NDVI, float32, NaN where missing."""
        scaled = stored * np.float32(self.factor) + np.float32(self.offset)
        if self.flags_above is None:
            return np.asarray(scaled, np.float32)
        return np.where(stored > self.flags_above, np.nan, scaled).astype(np.float32)


def recognised_scale(paths: Sequence[Path], bad: BadFiles) -> Scale | None:
    """The scale of the files that hold whole numbers and state none; None where there is no such file.

    Raises:
        DataError: The range could be of several scales, or of none.
    """
    found: list[tuple[Path, str, Array]] = []
    for path in paths:
        with bad.handled(path):
            sample = _whole_numbers(path)
            if sample is not None:
                found.append((path, *sample))
    if not found:
        return None
    first, dtype = found[0][0], found[0][1]
    if len({kind in ("uint8", "int8") for _, kind, _ in found}) > 1:
        raise DataError(f"{first.parent} holds NDVI in bytes and in longer numbers, none with a scale; {CURE}")
    values = np.concatenate([sample for *_, sample in found])
    scale = _of_bytes(values) if dtype in ("uint8", "int8") else _of_int16(values)
    told = f"{first.parent} holds NDVI as {dtype} without a scale, {_range(values)} in {len(found)} files"
    if scale is None:
        raise DataError(f"{told} (first: {first.name}), which tells no scale; {CURE}")
    flags = "" if scale.flags_above is None else f" with flags above {scale.flags_above:g}"
    for path, *_ in found:
        bad.correct(
            path,
            f"NDVI as {dtype} without a scale, {_range(values)} in all, was taken as NDVI times {1 / scale.factor:g}"
            f"{flags} (if that is wrong, {CURE})",
        )
    return scale


def _whole_numbers(path: Path) -> tuple[str, Array] | None:
    """The type and a sample of the values of a file of whole numbers without a scale."""
    from mlssm.sources.checks.header import find_band

    with opened(path) as source:
        band = find_band(path, source, KIND)
        if not band.is_whole:
            return None
        shape = tuple(min(side, SAMPLED) for side in source.shape)
        values = source.read(band.number, out_shape=shape, masked=True)
        return band.dtype, values.compressed().astype(np.float32)


def _of_bytes(values: Array) -> Scale | None:
    """0..200 is NDVI times 200, 0..250 times 250 with flags above; the greenest pixel tells them apart."""
    kept = values[values <= BYTE_FLAGS]
    if not kept.size or kept.max() < 200 * GREENEST_BYTE:
        return None
    steps = 200 if kept.max() <= 200 else 250
    if np.percentile(kept, 1) > steps * BAREST:
        return None  # as 100 + 100 NDVI
    return Scale(1 / steps, flags_above=float(BYTE_FLAGS) if kept.size < values.size else None)


def _of_int16(values: Array) -> Scale | None:
    kept = values[np.abs(values) <= 10000]
    greenest = float(kept.max()) if kept.size else 0.0
    beyond = 1 - kept.size / max(values.size, 1)
    # what is no fill cannot lie beyond in many values of their own
    if greenest < 10000 * GREENEST_INT16 or (beyond > 0 and np.unique(values[np.abs(values) > 10000]).size > 3):
        return None
    return Scale(1e-4)


def _range(values: Array) -> str:
    return f"{values.min():g}..{values.max():g}" if values.size else "all missing"
