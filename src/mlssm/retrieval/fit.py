"""Fitting the retrieval of a whole stack on training dates."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.cube import Cube
from mlssm.errors import ConfigError, DataError, SplitError
from mlssm.retrieval.geometry import LOOKS_TO, layover_or_shadow
from mlssm.retrieval.label_error import LabelError, fit_label_error
from mlssm.retrieval.labels import AreaRetrieval, Labels, reliability
from mlssm.retrieval.looks import cube_speckle
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import block_mean
from mlssm.retrieval.noise import Speckle, speckle_variance_db
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
from mlssm.retrieval.sample import Source, draw_sample
from mlssm.retrieval.stack import AreaStack, Stack, load_stack, row_bands, whole_blocks
from mlssm.retrieval.working_grid import WorkingGrid

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]
Booleans = npt.NDArray[np.bool_]


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
        found = Labels(ssm, error, attainable, reliability(self._spread, np.where(np.isnan(ssm), np.nan, sensitivity)))
        return found.without(self.masks.of(area, times, rows, cols)) if self.masks.any_of(area, times) else found

    @cached_property
    def _spread(self) -> float:
        """Standard deviation of what speckle leaves of a whole window, dB."""
        window = self.stack.working.window_pixels
        variance = speckle_variance_db(self.speckle.sample_looks(window, window**2))
        return math.sqrt(self.stack.squared_weights * float(variance))

    def masked(self, area: int, times: npt.NDArray[np.int64], rows: slice, cols: slice) -> Flags:
        """Why there is no label, flags of `Reason`, uint16 of the labels' shape; 0 where there is one."""
        backscatter = self.stack.areas[area].backscatter(times, rows, cols)
        found = self.areas[area].masked(backscatter, self.orbits[times], rows, cols)
        return found | self.masks.reasons(area, times, rows, cols)

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
    speckle = known_speckle(cube, config, training)
    areas = fit_areas(cube, stack, config, training, masks, speckle)
    sample = draw_sample(Source(cube, stack, areas, masks, speckle, config, training))
    error = fit_label_error(sample, training)
    return Retrieval(stack, cube.orbits, speckle, areas, masks, error)


def known_speckle(cube: Cube, config: RetrievalConfig, training: npt.NDArray[np.bool_]) -> Speckle:
    """The speckle of the cube's pixels: as its source states it, or as training dates show it.

    Raises:
        DataError: They show none.
    """
    looks = cube.manifest.looks
    return Speckle(looks) if looks is not None else cube_speckle(cube, config.polarisation, training)


def fit_areas(
    cube: Cube,
    stack: Stack,
    config: RetrievalConfig,
    training: npt.NDArray[np.bool_],
    masks: DateMasks,
    speckle: Speckle | None = None,
) -> tuple[AreaRetrieval, ...]:
    """Fit references (and angle slopes) alone, which takes a moment: labels of other training dates come from it.

    Arguments and errors are those of `fit_retrieval`; the speckle decides which pixels are too insensitive; it is found
    where that is asked for and it is None.
    """
    _check_keys(config)
    keys = reference_keys(cube, config)
    _check_dates(keys, training, config)
    if speckle is None and config.min_sensitivity_speckle > 0:
        speckle = known_speckle(cube, config, training)
    least = LeastSpan(config, speckle, stack.working.window_pixels, stack.squared_weights)
    fitting = Fitting(cube.orbits, keys, training, config, masks, least)
    angled = config.incidence_slope or config.layover_shadow
    cross = _cross(cube, config)
    areas = []
    for number, area in enumerate(stack.areas):
        angle = _angles(cube, stack.working, number) if angled else {}
        hidden = _hidden(cube, stack.working, number, angle) if config.layover_shadow else {}
        slanted = angle if config.incidence_slope else {}
        areas.append(fit_area(area, number, fitting, slanted, hidden, None if cross is None else cross.areas[number]))
    return tuple(areas)


def _check_keys(config: RetrievalConfig) -> None:
    if config.incidence_slope and config.per_orbit:
        raise ConfigError(
            "retrieval.incidence_slope=true wants retrieval.per_orbit=false: each alone removes the angle"
        )
    if config.per_time_of_day and config.per_orbit:
        raise ConfigError(
            "retrieval.per_time_of_day=true wants retrieval.per_orbit=false: an orbit is of one time of day anyway"
        )


def reference_keys(cube: Cube, config: RetrievalConfig) -> npt.NDArray[np.int64]:
    """Of each time the key of its references: its orbit, -1 for mornings and -2 for evenings, or 0 for all."""
    orbits = cube.orbits
    if config.per_time_of_day:
        return time_of_day(orbits, cube.morning)
    return orbits if config.per_orbit and len(np.unique(orbits)) > 1 else np.zeros_like(orbits)


def time_of_day(orbits: npt.NDArray[np.int64], morning: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """-1 for orbits of which most images are taken before noon, -2 for the others, [time]; 0 where all are alike."""
    early = {int(orbit): bool(morning[orbits == orbit].mean() >= 0.5) for orbit in np.unique(orbits)}
    if len(set(early.values())) == 1:
        return np.zeros_like(orbits)
    return np.array([-1 if early[int(orbit)] else -2 for orbit in orbits], np.int64)


def _check_dates(keys: npt.NDArray[np.int64], training: npt.NDArray[np.bool_], config: RetrievalConfig) -> None:
    for key in np.unique(keys):
        count = int((training & (keys == key)).sum())
        orbit = {-1: " in the morning", -2: " in the evening", 0: ""}.get(int(key), f" of orbit {key}")
        if count >= config.min_dates:
            continue
        if (training & (keys != key)).any() and count == 0:
            log.warning("images%s have no training date: they are masked", orbit)
            continue
        raise SplitError(
            f"{count} training dates{orbit} are left for the dry and wet references, which need "
            f"retrieval.min_dates={config.min_dates}; hold out fewer dates or set retrieval.per_orbit=false"
        )


def _cross(cube: Cube, config: RetrievalConfig) -> Stack | None:
    """VH, or HV, to find dense forest by."""
    if config.forest_above_db is None:
        return None
    crossed = [name for name in cube.manifest.polarisations if name in ("VH", "HV")]
    if not crossed:
        raise DataError("retrieval.forest_above_db needs images in VH; set it to null")
    return load_stack(cube, config.of_polarisation(crossed[0]))


def _angles(cube: Cube, working: WorkingGrid, number: int) -> dict[int, Floats]:
    found: dict[int, Floats] = {}
    area, blocks = cube.areas[number], working.areas[number].refine(working.factor)
    for orbit in np.unique(cube.orbits):
        angle = cube.incidence(int(orbit), area)
        if angle is None:
            raise DataError(
                f"retrieval.incidence_slope=true needs the incidence angle of orbit {orbit}, which the area lacks; "
                "add its static layer or set it false (retrieval.layover_shadow too)"
            )
        found[int(orbit)] = block_mean(whole_blocks(angle, area, blocks), working.factor, 0.01)[0]
    return found


def _hidden(cube: Cube, working: WorkingGrid, number: int, angle: Mapping[int, Floats]) -> dict[int, Booleans]:
    """Layover and shadow by orbit, [height, width]."""
    if "elevation" not in cube.manifest.features:
        raise DataError("retrieval.layover_shadow=true needs elevation, which the area lacks; set it false")
    area, blocks = cube.areas[number], working.areas[number].refine(working.factor)
    heights = block_mean(whole_blocks(cube.static("elevation", area), area, blocks), working.factor, 0.01)[0]
    found = {}
    for orbit, degrees in angle.items():
        early = bool(cube.morning[cube.orbits == orbit].mean() >= 0.5)
        found[orbit] = layover_or_shadow(heights, degrees, working.grid.pixel, LOOKS_TO[early])
    return found


@dataclass(frozen=True)
class Fitting:
    """What all areas are fitted with.

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
        self, area: AreaStack, number: int, times: npt.NDArray[np.int64], rows: slice, *, leading: bool = False
    ) -> Floats:
        """DB of a band of rows, NaN where frozen or snowy; of the leading polarisation alone, or of the channel."""
        values = (area.leading if leading else area.backscatter)(times, rows, slice(None))
        if self.masks.any_of(number, times):
            values[self.masks.of(number, times, rows, slice(None))] = np.nan
        return values


def fit_area(
    area: AreaStack,
    number: int,
    fitting: Fitting,
    angle: Mapping[int, Floats],
    hidden: Mapping[int, Booleans],
    cross: AreaStack | None = None,
) -> AreaRetrieval:
    """Fit one area.

    Args:
        area: Its backscatter.
        number: Its place among the areas, for the masks.
        fitting: What all areas are fitted with.
        angle: Incidence angle by orbit, degrees, [height, width]; empty: no slope is fitted.
        hidden: Layover and shadow by orbit, [height, width]; empty: none is known.
        cross: Its backscatter in VH, where dense forest is to be masked.
    """
    slope = _fit_slope(area, number, fitting, angle).pooled() if angle else None
    config = fitting.config
    references: dict[int, References] = {}
    reasons: dict[int, Flags] = {}
    for key in np.unique(fitting.keys[fitting.training]):
        times = np.flatnonzero(fitting.training & (fitting.keys == key))
        bands, masks = [], []
        for rows in row_bands(area.packed.shape[1]):
            sigma = fitting.backscatter(area, number, times, rows)
            if slope is not None:
                angles = np.stack([angle[int(fitting.orbits[time])][rows] for time in times])
                sigma = normalise_angle(sigma, angles, slope.value[rows])
            percentiles = config.dry_percentile, config.wet_percentile
            found = fit_references(sigma, *percentiles, config.min_dates)
            if area.others:  # water and double bounce are told by one polarisation
                found = replace(found, mean=mean_of_dates(fitting.backscatter(area, number, times, rows, leading=True)))
            ratio = None if cross is None else mean_of_dates(_ratio(area, cross, times, rows))
            bands.append(found)
            masks.append(pixel_reasons(found, fitting.least.of(area.count[times, rows]), config, ratio))
        references[int(key)] = References.stacked(bands)
        reasons[int(key)] = np.concatenate(masks)
        for orbit in np.unique(fitting.orbits[times]):
            if int(orbit) in hidden:
                mark(reasons[int(key)], hidden[int(orbit)], Reason.LAYOVER_SHADOW)
    return AreaRetrieval(
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


def _ratio(area: AreaStack, cross: AreaStack, times: npt.NDArray[np.int64], rows: slice) -> Floats:
    """VH - VV, dB, [time, rows, width]."""
    return np.asarray(cross.leading(times, rows, slice(None)) - area.leading(times, rows, slice(None)))


def _fit_slope(area: AreaStack, number: int, fitting: Fitting, angle: Mapping[int, Floats]) -> AngleSlope:
    times = np.flatnonzero(fitting.training)
    bands = []
    for rows in row_bands(area.packed.shape[1]):
        angles = np.stack([angle[int(fitting.orbits[time])][rows] for time in times])
        sigma = fitting.backscatter(area, number, times, rows)
        bands.append(fit_angle_slope(sigma, angles, fitting.config.min_dates))
    return AngleSlope.stacked(bands)
