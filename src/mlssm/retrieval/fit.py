"""Fitting the retrieval of a whole stack on training dates."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.cube import Cube
from mlssm.errors import ConfigError, DataError, SplitError
from mlssm.retrieval.label_error import LabelError, fit_label_error
from mlssm.retrieval.labels import AreaRetrieval, Labels
from mlssm.retrieval.looks import cube_speckle
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import block_mean
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.references import References, fit_angle_slope, fit_references, normalise_angle
from mlssm.retrieval.sample import Source, draw_sample
from mlssm.retrieval.stack import AreaStack, Stack, row_bands, whole_blocks
from mlssm.retrieval.working_grid import WorkingGrid

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Retrieval:
    """Change detection on a stack, fitted.

    Attributes:
        stack: The backscatter.
        orbits: Relative orbit of each time.
        speckle: Of the cube's pixels.
        areas: The fitted areas, in the stack's order.
        masks: Frozen and snowy pixels by area and time, where there are any.
        error: How far labels are off.
    """

    stack: Stack
    orbits: npt.NDArray[np.int64]
    speckle: Speckle
    areas: tuple[AreaRetrieval, ...]
    masks: DateMasks
    error: LabelError

    def labels(self, area: int, times: npt.NDArray[np.int64], rows: slice, cols: slice) -> Labels:
        """SSM and its standard error, [time, rows, columns] counted from the area's corner, NaN where masked."""
        backscatter = self.stack.areas[area].backscatter(times, rows, cols)
        ssm, sensitivity = self.areas[area].retrieve(backscatter, self.orbits[times], rows, cols)
        attainable, error = self.error.of(times, ssm, sensitivity)
        found = Labels(ssm, error, attainable)
        return found.without(self.masks.of(area, times, rows, cols)) if self.masks.any_of(area, times) else found

    def digest(self) -> str:
        """SHA-256 of all fitted references, slopes and masks, by which a run's labels are recognised."""
        found = hashlib.sha256()
        for area in self.areas:
            for orbit, references in sorted(area.references.items()):
                found.update(f"{orbit} {references.mean.shape}".encode())
                found.update(np.stack([references.dry, references.wet]).astype("<f8").tobytes())
                found.update(np.packbits(area.usable[orbit]).tobytes())
            if area.slope is not None:
                found.update(area.slope.astype("<f8").tobytes())
        return found.hexdigest()


def fit_retrieval(
    cube: Cube, stack: Stack, config: RetrievalConfig, training: npt.NDArray[np.bool_], masks: DateMasks
) -> Retrieval:
    """Fit references (and angle slopes) on training dates, and learn how far the labels are off.

    Args:
        cube: For orbits, incidence angles and the stated number of looks.
        stack: The multilooked backscatter.
        config: Percentiles, masks and how angles are treated.
        training: Which times are training dates, [time].
        masks: Frozen and snowy pixels, which are neither fitted on nor labelled.

    Raises:
        ConfigError: An angle slope is wanted with references per orbit.
        DataError: An angle slope is wanted but the area has no incidence angles.
        SplitError: Fewer training dates than references need.
    """
    areas = fit_areas(cube, stack, config, training, masks)
    looks = cube.manifest.looks
    speckle = Speckle(looks) if looks is not None else cube_speckle(cube, config.polarisation, training)
    sample = draw_sample(Source(cube, stack, areas, masks, speckle, config, training))
    error = fit_label_error(sample, training)
    return Retrieval(stack, cube.orbits, speckle, areas, masks, error)


def fit_areas(
    cube: Cube, stack: Stack, config: RetrievalConfig, training: npt.NDArray[np.bool_], masks: DateMasks
) -> tuple[AreaRetrieval, ...]:
    """Fit references (and angle slopes) alone, which takes a moment: labels of other training dates come from it.

    Arguments and errors are those of `fit_retrieval`.
    """
    if config.incidence_slope and config.per_orbit:
        raise ConfigError(
            "retrieval.incidence_slope=true wants retrieval.per_orbit=false: each alone removes the angle"
        )
    keys = _reference_keys(cube.orbits, config.per_orbit)
    _check_dates(keys, training, config)
    shared = not np.array_equal(keys, cube.orbits)
    fitting = _Fitting(cube.orbits, keys, shared, training, config, masks)
    areas = []
    for number, area in enumerate(stack.areas):
        angle = _angles(cube, stack.working, number) if config.incidence_slope else {}
        areas.append(_fit_area(area, number, fitting, angle))
    return tuple(areas)


def _reference_keys(orbits: npt.NDArray[np.int64], per_orbit: bool) -> npt.NDArray[np.int64]:
    return orbits if per_orbit and len(np.unique(orbits)) > 1 else np.zeros_like(orbits)


def _check_dates(keys: npt.NDArray[np.int64], training: npt.NDArray[np.bool_], config: RetrievalConfig) -> None:
    for key in np.unique(keys):
        count = int((training & (keys == key)).sum())
        orbit = f" of orbit {key}" if key else ""
        if count >= config.min_dates:
            continue
        if (training & (keys != key)).any() and count == 0:
            log.warning("orbit %d has no training date: its images are masked", key)
            continue
        raise SplitError(
            f"{count} training dates{orbit} are left for the dry and wet references, which need "
            f"retrieval.min_dates={config.min_dates}; hold out fewer dates or set retrieval.per_orbit=false"
        )


def _angles(cube: Cube, working: WorkingGrid, number: int) -> dict[int, Floats]:
    found: dict[int, Floats] = {}
    area, blocks = cube.areas[number], working.areas[number].refine(working.factor)
    for orbit in np.unique(cube.orbits):
        angle = cube.incidence(int(orbit), area)
        if angle is None:
            raise DataError(
                f"retrieval.incidence_slope=true needs the incidence angle of orbit {orbit}, which the area lacks; "
                "add its static layer or set it false"
            )
        found[int(orbit)] = block_mean(whole_blocks(angle, area, blocks), working.factor, 0.01)[0]
    return found


@dataclass(frozen=True)
class _Fitting:
    """What all areas are fitted with."""

    orbits: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    shared: bool
    training: npt.NDArray[np.bool_]
    config: RetrievalConfig
    masks: DateMasks

    def backscatter(self, area: AreaStack, number: int, times: npt.NDArray[np.int64], rows: slice) -> Floats:
        """DB of a band of rows, NaN where frozen or snowy."""
        values = area.backscatter(times, rows, slice(None))
        if self.masks.any_of(number, times):
            values[self.masks.of(number, times, rows, slice(None))] = np.nan
        return values


def _fit_area(area: AreaStack, number: int, fitting: _Fitting, angle: dict[int, Floats]) -> AreaRetrieval:
    slope = _fit_slope(area, number, fitting, angle) if angle else None
    config = fitting.config
    references: dict[int, References] = {}
    for key in np.unique(fitting.keys[fitting.training]):
        times = np.flatnonzero(fitting.training & (fitting.keys == key))
        bands = []
        for rows in row_bands(area.packed.shape[1]):
            sigma = fitting.backscatter(area, number, times, rows)
            if slope is not None:
                angles = np.stack([angle[int(fitting.orbits[time])][rows] for time in times])
                sigma = normalise_angle(sigma, angles, slope[rows])
            percentiles = config.dry_percentile, config.wet_percentile
            bands.append(fit_references(sigma, *percentiles, config.min_dates))
        references[int(key)] = References.stacked(bands)
    usable = {key: item.usable(config.min_sensitivity_db, config.water_below_db) for key, item in references.items()}
    return AreaRetrieval(references, usable, angle, slope, fitting.shared)


def _fit_slope(area: AreaStack, number: int, fitting: _Fitting, angle: dict[int, Floats]) -> Floats:
    times = np.flatnonzero(fitting.training)
    bands = []
    for rows in row_bands(area.packed.shape[1]):
        angles = np.stack([angle[int(fitting.orbits[time])][rows] for time in times])
        sigma = fitting.backscatter(area, number, times, rows)
        bands.append(fit_angle_slope(sigma, angles, fitting.config.min_dates))
    return np.concatenate(bands)
