"""Fitting the retrieval of one extent, band by band: references, the slope with the angle, and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.retrieval.bands import StackFiles, bands, over
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.pixel_masks import LeastSpan, pixel_reasons
from mlssm.retrieval.reasons import Flags, Reason, mark
from mlssm.retrieval.references import (
    AngleSlope,
    References,
    fit_angle_slope,
    fit_references,
    mean_of_dates,
    normalise_angle,
)
from mlssm.retrieval.stack import ExtentStack
from mlssm.scratch import scratch
from mlssm.workers import Workers

Floats = npt.NDArray[np.floating[Any]]
Booleans = npt.NDArray[np.bool_]
WHOLE = slice(None)


@dataclass(frozen=True)
class Fitting:
    """What all extents are fitted with.

    Attributes:
        orbits: Relative orbit of each time.
        keys: Of each time, under which its references are: orbits with the same one share them.
        training: Which are training dates, [time].
        config: The retrieval's.
        masks: Frozen and snowy pixels.
        least: How far apart references have to be.
    """

    orbits: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    training: npt.NDArray[np.bool_]
    config: RetrievalConfig
    masks: DateMasks
    least: LeastSpan

    @property
    def shared(self) -> bool:
        """Whether all orbits share their references."""
        return not np.array_equal(self.keys, self.orbits) and len(np.unique(self.keys)) == 1

    @property
    def group(self) -> dict[int, int]:
        """Key by orbit, where some orbits share references and others do not."""
        if self.shared or np.array_equal(self.keys, self.orbits):
            return {}
        return {int(orbit): int(key) for orbit, key in zip(self.orbits, self.keys, strict=True)}

    def times(self, key: int) -> npt.NDArray[np.int64]:
        """The training dates of a key's references."""
        return np.flatnonzero(self.training & (self.keys == key))


@dataclass(frozen=True)
class _Band:
    """What some rows are fitted from: little enough to be sent to another process.

    Attributes:
        rows: Which.
        extent: The extent's backscatter, or its files.
        cross: The same in VH, where dense forest is to be masked.
        fitting: What all extents are fitted with, with the masks of these rows alone.
        angle: Incidence angle of these rows by orbit; empty: no slope is fitted.
        slope: dB per degree, of these rows; None: not fitted, or not yet.
    """

    rows: slice
    extent: ExtentStack | StackFiles
    cross: ExtentStack | StackFiles | None
    fitting: Fitting
    angle: Mapping[int, Floats]
    slope: Floats | None = None

    def backscatter(self, times: npt.NDArray[np.int64], *, leading: bool = False) -> Floats:
        """DB, NaN where frozen or snowy; of the leading polarisation alone, or of the channel."""
        extent, masks = _opened(self.extent), self.fitting.masks
        values = (extent.leading if leading else extent.backscatter)(times, self.rows, WHOLE)
        if masks.any_of(0, times):
            values[masks.of(0, times, WHOLE, WHOLE)] = np.nan
        return values

    def angles(self, times: npt.NDArray[np.int64]) -> Floats:
        """Degrees, [time, rows, width]."""
        return np.stack([self.angle[int(self.fitting.orbits[time])] for time in times])

    def ratio(self, times: npt.NDArray[np.int64]) -> Floats | None:
        """Mean VH - VV, dB, [rows, width]; None where dense forest is not looked for."""
        if self.cross is None:
            return None
        leading = _opened(self.extent).leading(times, self.rows, WHOLE)
        return mean_of_dates(np.asarray(_opened(self.cross).leading(times, self.rows, WHOLE) - leading))


def fit_extent(
    extent: ExtentStack,
    number: int,
    fitting: Fitting,
    angle: Mapping[int, Floats],
    hidden: Mapping[int, Booleans],
    cross: ExtentStack | None = None,
    workers: Workers | None = None,
) -> ExtentRetrieval:
    """Fit one extent.

    Args:
        extent: Its backscatter.
        number: Its place among the extents, for the masks.
        fitting: What all extents are fitted with.
        angle: Incidence angle by orbit, degrees, [height, width]; empty: no slope is fitted.
        hidden: Layover and shadow by orbit, [height, width]; empty: none is known.
        cross: Its backscatter in VH, where dense forest is to be masked.
        workers: Where bands are fitted; None: here, one after the other.
    """
    shape = (extent.packed.shape[1], extent.packed.shape[2])
    here = workers is None or workers.here
    parts = [_band(rows, extent, number, fitting, angle, cross, here=here) for rows in bands(shape, len(extent.packed))]
    slope = _fit_slope(parts, shape, workers).pooled() if angle else None
    if slope is not None:
        parts = [replace(part, slope=slope.value[part.rows]) for part in parts]
    found = {int(key): _Maps.empty(shape) for key in np.unique(fitting.keys[fitting.training])}
    if here:  # bands fill the maps themselves, so that none waits for another
        list(over(workers, lambda part: _fill(found, part, _fit_band(part)), parts, "references"))
    else:
        for part, fitted in zip(parts, over(workers, _fit_band, parts, "references"), strict=True):
            _fill(found, part, fitted)
    for key, maps in found.items():
        for orbit in np.unique(fitting.orbits[fitting.times(key)]):
            if int(orbit) in hidden:
                mark(maps.reasons, hidden[int(orbit)], Reason.LAYOVER_SHADOW)
    return ExtentRetrieval(
        {key: maps.references for key, maps in found.items()},
        usable={key: maps.reasons == 0 for key, maps in found.items()},
        angle=angle,
        slope=None if slope is None else slope.value,
        shared=fitting.shared,
        group=fitting.group,
        edge_below_db=fitting.config.edge_below_db,
        reasons={key: maps.reasons for key, maps in found.items()},
        slope_error=None if slope is None else slope.error,
    )


@dataclass(frozen=True)
class _Maps:
    """What is fitted of an extent: references in float32, which their own errors exceed a thousand times."""

    references: References
    reasons: Flags

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> _Maps:
        return cls(References(*scratch((3, *shape), np.float32)), scratch(shape, np.uint16))


def _fill(found: Mapping[int, _Maps], band: _Band, fitted: Mapping[int, tuple[References, Flags]]) -> None:
    for key, (references, reasons) in fitted.items():
        maps = found[key]
        for name in ("dry", "wet", "mean"):
            getattr(maps.references, name)[band.rows] = getattr(references, name)
        maps.reasons[band.rows] = reasons


def _band(
    rows: slice,
    extent: ExtentStack,
    number: int,
    fitting: Fitting,
    angle: Mapping[int, Floats],
    cross: ExtentStack | None,
    *,
    here: bool,
) -> _Band:
    stacks = (extent, cross) if here else (StackFiles.of(extent), None if cross is None else StackFiles.of(cross))
    of_rows = replace(fitting, masks=fitting.masks.cropped(number, rows))
    return _Band(
        rows, stacks[0] or extent, stacks[1], of_rows, {orbit: values[rows] for orbit, values in angle.items()}
    )


def _opened(extent: ExtentStack | StackFiles) -> ExtentStack:
    return extent.opened() if isinstance(extent, StackFiles) else extent


def _fit_band(band: _Band) -> dict[int, tuple[References, Flags]]:
    fitting, config = band.fitting, band.fitting.config
    found = {}
    for key in np.unique(fitting.keys[fitting.training]).tolist():
        times = fitting.times(key)
        sigma = band.backscatter(times)
        if band.slope is not None:
            sigma = normalise_angle(sigma, band.angles(times), band.slope)
        references = fit_references(sigma, config.dry_percentile, config.wet_percentile, config.min_dates)
        extent = _opened(band.extent)
        if extent.others:  # water and double bounce are told by one polarisation
            references = replace(references, mean=mean_of_dates(band.backscatter(times, leading=True)))
        least = fitting.least.of(extent.count[times, band.rows])
        found[key] = references, pixel_reasons(references, least, config, band.ratio(times))
    return found


def _fit_slope(parts: Sequence[_Band], shape: tuple[int, int], workers: Workers | None) -> AngleSlope:
    found = AngleSlope(*(scratch(shape, np.float64) for _ in range(2)))
    for part, (value, error) in zip(parts, over(workers, _slope_of_band, parts, "slopes"), strict=True):
        found.value[part.rows], found.error[part.rows] = value, error
    return found


def _slope_of_band(band: _Band) -> tuple[Floats, Floats]:
    times = np.flatnonzero(band.fitting.training)
    slope = fit_angle_slope(band.backscatter(times), band.angles(times), band.fitting.config.min_dates)
    return slope.value, slope.error
