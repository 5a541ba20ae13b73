"""Fitting the retrieval of a whole stack on training dates."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig, TracksConfig
from mlssm.crew import Crew
from mlssm.cube import Cube
from mlssm.errors import ConfigError, DataError, SplitError
from mlssm.grid import Window
from mlssm.retrieval.averaged import averaged
from mlssm.retrieval.bands import bands
from mlssm.retrieval.fit_extent import Fitting, fit_extent
from mlssm.retrieval.geometry import LOOKS_TO, layover_or_shadow
from mlssm.retrieval.label_error import LabelError, fit_label_error
from mlssm.retrieval.labels import ExtentRetrieval, Labels, reliability
from mlssm.retrieval.looks import cube_speckle
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.noise import Speckle, speckle_variance_db
from mlssm.retrieval.pixel_masks import LeastSpan
from mlssm.retrieval.reasons import Flags
from mlssm.retrieval.sample import Sample, Source, draw_sample
from mlssm.retrieval.slopes import tell_slopes
from mlssm.retrieval.stack import Stack, load_stack
from mlssm.retrieval.track_variance import UNKNOWN, TrackVariance, tell_far, track_variance
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.workers import Workers

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]
Booleans = npt.NDArray[np.bool_]
TRACKS = TracksConfig()
LEAST_SHARE = 0.01  # of a block's pixels, that its incidence angle and elevation are taken from


@dataclass(frozen=True)
class Retrieval:
    """Change detection on a stack, fitted.

    Attributes:
        stack: The backscatter.
        orbits: Relative orbit of each time.
        speckle: Of the cube's pixels.
        extents: The fitted extents, in the stack's order.
        masks: Frozen and snowy pixels by extent and time, where there are any.
        error: How far labels are off.
        track: How much of their variance is a track's own.
    """

    stack: Stack
    orbits: npt.NDArray[np.int64]
    speckle: Speckle
    extents: tuple[ExtentRetrieval, ...]
    masks: DateMasks
    error: LabelError
    track: TrackVariance = UNKNOWN

    def ssm(self, extent: int, times: npt.NDArray[np.int64], rows: slice, cols: slice) -> npt.NDArray[np.float32]:
        """SSM alone, as `labels` has it."""
        backscatter = self.stack.extents[extent].backscatter(times, rows, cols)
        found, _ = self.extents[extent].retrieve(backscatter, self.orbits[times], rows, cols)
        if self.masks.any_of(extent, times):
            found[self.masks.of(extent, times, rows, cols)] = np.nan
        return np.asarray(found, np.float32)

    def labels(self, extent: int, times: npt.NDArray[np.int64], rows: slice, cols: slice) -> Labels:
        """SSM and its standard error, [time, rows, columns] counted from the extent's corner, NaN where masked."""
        backscatter = self.stack.extents[extent].backscatter(times, rows, cols)
        ssm, sensitivity = self.extents[extent].retrieve(backscatter, self.orbits[times], rows, cols)
        attainable, error = self.error.of(times, ssm, sensitivity)
        found = Labels(ssm, error, attainable, reliability(self._spread, np.where(np.isnan(ssm), np.nan, sensitivity)))
        return found.without(self.masks.of(extent, times, rows, cols)) if self.masks.any_of(extent, times) else found

    @cached_property
    def _spread(self) -> float:
        """Standard deviation of what speckle leaves of a whole window, dB."""
        window = self.stack.working.window_pixels
        variance = speckle_variance_db(self.speckle.sample_looks(window, window**2))
        return math.sqrt(self.stack.squared_weights * float(variance))

    def masked(self, extent: int, times: npt.NDArray[np.int64], rows: slice, cols: slice) -> Flags:
        """Why there is no label, flags of `Reason`, uint16 of the labels' shape; 0 where there is one."""
        backscatter = self.stack.extents[extent].backscatter(times, rows, cols)
        found = self.extents[extent].masked(backscatter, self.orbits[times], rows, cols)
        return found | self.masks.reasons(extent, times, rows, cols)

    def digest(self) -> str:
        """SHA-256 of all fitted references, slopes and masks, by which a run's labels are recognised."""
        found = hashlib.sha256()
        for extent in self.extents:
            for orbit, references in sorted(extent.references.items()):
                found.update(f"{orbit} {references.mean.shape}".encode())
                for part in (references.dry, references.wet):
                    found.update(part.astype("<f8").tobytes())
                found.update(np.packbits(extent.usable[orbit]).tobytes())
            if extent.slope is not None:
                found.update(extent.slope.astype("<f8").tobytes())
        return found.hexdigest()


def fit_retrieval(
    cube: Cube,
    stack: Stack,
    config: RetrievalConfig,
    training: npt.NDArray[np.bool_],
    masks: DateMasks,
    crew: Crew | None = None,
    tracks: TracksConfig = TRACKS,
) -> Retrieval:
    """Fit references (and angle slopes) on training dates, and learn how far the labels are off.

    Args:
        cube: For orbits, incidence angles and the stated number of looks.
        stack: The multilooked backscatter.
        config: Percentiles, masks and how angles are treated.
        training: Which times are training dates, [time].
        masks: Frozen and snowy pixels, which are neither fitted on nor labelled.
        crew: Who fits bands of an extent; None: here, one after the other.
        tracks: Which images of two tracks are compared, to tell what a track sees alone.

    Raises:
        ConfigError: An angle slope is wanted with references per orbit.
        DataError: An angle slope is wanted but the extent has no incidence angles, or no pixel is seen under two.
        SplitError: Fewer training dates than references need.
    """
    speckle = known_speckle(cube, config, training)
    extents = fit_extents(cube, stack, config, training, masks, speckle, None if crew is None else crew.workers)
    tell_slopes(extents)
    sample = draw_sample(Source(cube, stack, extents, masks, speckle, config, training), crew)
    error = fit_label_error(sample, training)
    own = _track_variance(sample, error, cube, training, tracks)
    return Retrieval(stack, cube.orbits, speckle, extents, masks, error, own)


def _track_variance(
    sample: Sample, error: LabelError, cube: Cube, training: Booleans, tracks: TracksConfig
) -> TrackVariance:
    """By the sample's labels on training dates."""
    tell_far(tracks.most_hours)
    times = np.flatnonzero(training)
    ssm = np.clip(sample.relative[times], 0, 1)
    _, off = error.of(times, ssm[:, None], sample.sensitivity[times][:, None])
    found = track_variance(ssm, off[:, 0] ** 2, cube.orbits[times], cube.times[times], tracks.most_hours)
    log.info("%s", found)
    return found


def known_speckle(cube: Cube, config: RetrievalConfig, training: npt.NDArray[np.bool_]) -> Speckle:
    """The speckle of the cube's pixels: as its source states it, or as training dates show it.

    Raises:
        DataError: They show none.
    """
    looks = cube.manifest.looks
    return Speckle(looks) if looks is not None else cube_speckle(cube, config.polarisation, training)


def fit_extents(
    cube: Cube,
    stack: Stack,
    config: RetrievalConfig,
    training: npt.NDArray[np.bool_],
    masks: DateMasks,
    speckle: Speckle | None = None,
    workers: Workers | None = None,
) -> tuple[ExtentRetrieval, ...]:
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
    extents = []
    for number, extent in enumerate(stack.extents):
        angle = _angles(cube, stack.working, number) if angled else {}
        hidden = _hidden(cube, stack.working, number, angle) if config.layover_shadow else {}
        slanted = angle if config.incidence_slope else {}
        crossed = None if cross is None else cross.extents[number]
        extents.append(fit_extent(extent, number, fitting, slanted, hidden, crossed, workers))
    return tuple(extents)


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
    def of(orbit: int, part: Window) -> Floats:
        angle = cube.incidence(orbit, part)
        if angle is None:
            raise DataError(
                f"retrieval.incidence_slope=true needs the incidence angle of orbit {orbit}, which the area lacks; "
                "add its static layer or set it false (retrieval.layover_shadow too)"
            )
        return angle

    place = cube.extents[number], working.extents[number], working.factor, LEAST_SHARE
    return {int(orbit): averaged(partial(of, int(orbit)), *place) for orbit in np.unique(cube.orbits)}


def _hidden(cube: Cube, working: WorkingGrid, number: int, angle: Mapping[int, Floats]) -> dict[int, Booleans]:
    """Layover and shadow by orbit, [height, width]."""
    if "elevation" not in cube.manifest.features:
        raise DataError("retrieval.layover_shadow=true needs elevation, which the area lacks; set it false")
    place = cube.extents[number], working.extents[number], working.factor, LEAST_SHARE
    heights, found = averaged(partial(cube.static, "elevation"), *place), {}
    for orbit, degrees in angle.items():
        looks_to = LOOKS_TO[bool(cube.morning[cube.orbits == orbit].mean() >= 0.5)]
        found[orbit] = np.zeros(heights.shape, bool)
        for rows in bands(working.extents[number].shape):  # a row more on either side, for the slope
            first, last = max(rows.start - 1, 0), min(rows.stop + 1, len(heights))
            parts = heights[first:last], degrees[first:last]
            hidden = layover_or_shadow(*parts, working.grid.pixel, looks_to)
            found[orbit][rows] = hidden[rows.start - first :][: rows.stop - rows.start]
    return found
