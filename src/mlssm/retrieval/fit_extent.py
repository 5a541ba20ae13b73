"""Fitting the retrieval of one extent: references, the slope with the angle, and masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
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
from mlssm.retrieval.stack import ExtentStack, row_bands

Floats = npt.NDArray[np.floating[Any]]
Booleans = npt.NDArray[np.bool_]


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

    def backscatter(
        self, extent: ExtentStack, number: int, times: npt.NDArray[np.int64], rows: slice, *, leading: bool = False
    ) -> Floats:
        """DB of a band of rows, NaN where frozen or snowy; of the leading polarisation alone, or of the channel."""
        values = (extent.leading if leading else extent.backscatter)(times, rows, slice(None))
        if self.masks.any_of(number, times):
            values[self.masks.of(number, times, rows, slice(None))] = np.nan
        return values


def fit_extent(
    extent: ExtentStack,
    number: int,
    fitting: Fitting,
    angle: Mapping[int, Floats],
    hidden: Mapping[int, Booleans],
    cross: ExtentStack | None = None,
) -> ExtentRetrieval:
    """Fit one extent.

    Args:
        extent: Its backscatter.
        number: Its place among the extents, for the masks.
        fitting: What all extents are fitted with.
        angle: Incidence angle by orbit, degrees, [height, width]; empty: no slope is fitted.
        hidden: Layover and shadow by orbit, [height, width]; empty: none is known.
        cross: Its backscatter in VH, where dense forest is to be masked.
    """
    slope = _fit_slope(extent, number, fitting, angle).pooled() if angle else None
    config = fitting.config
    references: dict[int, References] = {}
    reasons: dict[int, Flags] = {}
    for key in np.unique(fitting.keys[fitting.training]):
        times = np.flatnonzero(fitting.training & (fitting.keys == key))
        bands, masks = [], []
        for rows in row_bands(extent.packed.shape[1]):
            sigma = fitting.backscatter(extent, number, times, rows)
            if slope is not None:
                angles = np.stack([angle[int(fitting.orbits[time])][rows] for time in times])
                sigma = normalise_angle(sigma, angles, slope.value[rows])
            percentiles = config.dry_percentile, config.wet_percentile
            found = fit_references(sigma, *percentiles, config.min_dates)
            if extent.others:  # water and double bounce are told by one polarisation
                found = replace(
                    found, mean=mean_of_dates(fitting.backscatter(extent, number, times, rows, leading=True))
                )
            ratio = None if cross is None else mean_of_dates(_ratio(extent, cross, times, rows))
            bands.append(found)
            masks.append(pixel_reasons(found, fitting.least.of(extent.count[times, rows]), config, ratio))
        references[int(key)] = References.stacked(bands)
        reasons[int(key)] = np.concatenate(masks)
        for orbit in np.unique(fitting.orbits[times]):
            if int(orbit) in hidden:
                mark(reasons[int(key)], hidden[int(orbit)], Reason.LAYOVER_SHADOW)
    return ExtentRetrieval(
        references,
        usable={key: flags == 0 for key, flags in reasons.items()},
        angle=angle,
        slope=None if slope is None else slope.value,
        shared=fitting.shared,
        group=fitting.group,
        edge_below_db=config.edge_below_db,
        reasons=reasons,
        slope_error=None if slope is None else slope.error,
    )


def _ratio(extent: ExtentStack, cross: ExtentStack, times: npt.NDArray[np.int64], rows: slice) -> Floats:
    """VH - VV, dB, [time, rows, width]."""
    return np.asarray(cross.leading(times, rows, slice(None)) - extent.leading(times, rows, slice(None)))


def _fit_slope(extent: ExtentStack, number: int, fitting: Fitting, angle: Mapping[int, Floats]) -> AngleSlope:
    times = np.flatnonzero(fitting.training)
    bands = []
    for rows in row_bands(extent.packed.shape[1]):
        angles = np.stack([angle[int(fitting.orbits[time])][rows] for time in times])
        sigma = fitting.backscatter(extent, number, times, rows)
        bands.append(fit_angle_slope(sigma, angles, fitting.config.min_dates))
    return AngleSlope.stacked(bands)
