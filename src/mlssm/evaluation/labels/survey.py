"""A look at an extent's labels, on so many of its pixels as a figure can show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import RetrievalConfig, TracksConfig
from mlssm.cube import Cube
from mlssm.evaluation.labels.cap import LabelCap, left_by_speckle
from mlssm.retrieval.fit import Retrieval
from mlssm.retrieval.noise import speckle_variance_db
from mlssm.retrieval.platforms import PlatformOffset, platform_offsets
from mlssm.retrieval.reasons import TITLES, Reason
from mlssm.retrieval.references import fit_references
from mlssm.retrieval.slopes import SlopeSummary
from mlssm.retrieval.track_variance import nearest

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.uint16]

PIXELS = 90_000  # of an extent that are looked at
DRAWS = 40  # of the bootstrap of references
LEAST_DATES = 8  # that two tracks need in common for a pixel's correlation
SPANS = (0.0, 3.0, 5.0, 7.0, math.inf)


@dataclass(frozen=True)
class ReferenceMaps:
    """The references of one key; maps [h, w], NaN where there is none.

    Attributes:
        title: Whose they are: an orbit's, mornings' or evenings', or all images'.
        sensitivity: Wet - dry, dB.
        dry_error: Standard error of the dry reference, dB, by a bootstrap of training dates.
        wet_error: Of the wet one.
        dates: Training dates.
    """

    title: str
    sensitivity: Floats
    dry_error: Floats
    wet_error: Floats
    dates: int


@dataclass(frozen=True)
class ExtentSurvey:
    """One extent.

    Attributes:
        title: Its name.
        pixel_m: Distance between the pixels that are looked at, metres.
        references: Of each key.
        looks: Equivalent number of looks of a value, [h, w].
        masked: Share of the images without a label, [h, w].
        reason: The reason that holds on most images, a flag of `Reason`; 0 where most have a label, [h, w].
        counts: A row a reason: share of pixels and images for which it holds, and of those for which it alone does.
        agreement: A row a pair of orbits and class of sensitivity.
        correlation: By pair of orbits, the correlation of their labels over time, [h, w].
        slope: With the incidence angle; None where none is fitted.
        level: Of each date, dB, see `date_level`; NaN of those that are no training dates, [time].
        offsets: Of platforms.
        cap: How well the labels of the training dates can be predicted.
    """

    title: str
    pixel_m: float
    references: tuple[ReferenceMaps, ...]
    looks: Floats
    masked: Floats
    reason: Flags
    counts: pd.DataFrame
    agreement: pd.DataFrame
    correlation: dict[str, Floats]
    slope: SlopeSummary | None
    level: Floats
    offsets: tuple[PlatformOffset, ...]
    cap: LabelCap


@dataclass(frozen=True)
class Surveyor:
    """What is looked at.

    Attributes:
        cube: Its times, orbits and platforms.
        retrieval: The fitted labels.
        config: What they were fitted with.
        tracks: Which images of two tracks are compared.
        training: Which times are training dates, [time].
        seed: Of the bootstrap.
    """

    cube: Cube
    retrieval: Retrieval
    config: RetrievalConfig
    tracks: TracksConfig
    training: npt.NDArray[np.bool_]
    seed: int

    def survey(self, number: int) -> ExtentSurvey:
        """Look at one extent."""
        height, width = self.retrieval.stack.extents[number].packed.shape[1:]
        step = max(1, math.ceil(math.sqrt(height * width / PIXELS)))
        part = slice(None, None, step)
        stack, fitted = self.retrieval.stack.extents[number], self.retrieval.extents[number]
        times = np.arange(len(self.cube.times))
        sigma = stack.backscatter(slice(None), part, part)
        flags = self.retrieval.masked(number, times, part, part)
        frozen = flags & np.uint16(Reason.FROZEN | Reason.SNOW | Reason.WET_CANOPY)
        clear = np.where(frozen != 0, np.nan, sigma)
        relative, span = fitted.relative(clear, self.cube.orbits, part, part)
        working = self.retrieval.stack.working
        looks = self.retrieval.speckle.sample_looks(working.window_pixels, stack.count[:, part, part])
        there = stack.count[:, part, part] > 0
        shown = np.where(there, looks, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        correlation = dict(self._correlations(np.clip(relative, 0, 1)))
        level = np.where(self.training, date_level(clear, self.cube.orbits), np.nan)
        return ExtentSurvey(
            title=f"extent {number + 1}",
            pixel_m=working.grid.pixel * step,
            references=tuple(self._references(number, clear, part)),
            looks=np.where(there.any(axis=0), shown, np.nan),
            masked=(flags != 0).mean(axis=0),
            reason=most_frequent(flags),
            counts=reason_counts(flags),
            agreement=pd.DataFrame([*self._agreement(correlation, span)]),
            correlation=correlation,
            slope=SlopeSummary.of(fitted),
            level=level,
            offsets=platform_offsets(level, self.cube.platforms, self.cube.orbits),
            cap=self._cap(number, part),
        )

    def offsets(self, surveys: Sequence[ExtentSurvey]) -> tuple[PlatformOffset, ...]:
        """Of platforms over all extents together, which count alike; a date has those that it covers."""
        levels = np.stack([each.level for each in surveys])
        known = np.isfinite(levels)
        number = known.sum(axis=0)
        mean = np.divide(levels.sum(axis=0, where=known), number, out=np.full(number.shape, np.nan), where=number > 0)
        return platform_offsets(mean, self.cube.platforms, self.cube.orbits)

    def _cap(self, number: int, part: slice) -> LabelCap:
        labels = self.retrieval.labels(number, np.flatnonzero(self.training), part, part)
        return LabelCap.of(labels, self.retrieval.track)

    def _left(self, title: str, span: Floats) -> Floats:
        """The correlation of a pair of orbits that speckle alone would leave, [h, w]."""
        window = self.retrieval.stack.working.window_pixels
        variance = float(speckle_variance_db(self.retrieval.speckle.sample_looks(window, window**2)))
        spread = math.sqrt(variance * self.retrieval.stack.squared_weights)
        return left_by_speckle(self._spans(title, span), spread)

    def _spans(self, title: str, span: Floats) -> list[Floats]:
        return [span[self.cube.orbits == int(orbit)][0] for orbit in title.split(" and ")]

    def _references(self, number: int, clear: Floats, part: slice) -> Iterator[ReferenceMaps]:
        fitted = self.retrieval.extents[number]
        keys = np.array([fitted.key(int(orbit)) for orbit in self.cube.orbits])
        rng = np.random.default_rng(self.seed)
        percentiles = self.config.dry_percentile, self.config.wet_percentile
        for key, references in fitted.references.items():
            times = np.flatnonzero(self.training & (keys == key))
            sigma = clear[times]
            if fitted.slope is not None:
                orbits = self.cube.orbits[times]
                sigma = np.stack(
                    [fitted.normalised(one, int(orbit), part, part) for one, orbit in zip(sigma, orbits, strict=True)]
                )
            dry, wet = reference_errors(sigma, *percentiles, rng)
            span = references.sensitivity[part, part]
            unknown = np.isnan(span)
            dry, wet = (np.where(unknown, np.nan, each) for each in (dry, wet))
            yield ReferenceMaps(key_title(key), span, dry, wet, len(times))

    def _correlations(self, ssm: Floats) -> Iterator[tuple[str, Floats]]:
        """Of each pair of orbits, over images that are near in time."""
        orbits = self.cube.orbits
        for one, two in combinations(np.unique(orbits), 2):
            first, second = np.flatnonzero(orbits == one), np.flatnonzero(orbits == two)
            of_one, of_two = nearest(self.cube.times[first], self.cube.times[second], self.tracks.most_hours)
            if len(of_one) >= LEAST_DATES:
                yield f"{one} and {two}", correlation_over_time(ssm[first[of_one]], ssm[second[of_two]])

    def _agreement(self, correlation: dict[str, Floats], span: Floats) -> Iterator[dict[str, Any]]:
        for title, r in correlation.items():
            smaller, left = np.minimum(*self._spans(title, span)), self._left(title, span)
            for low, high in pairwise(SPANS):
                chosen = np.isfinite(r) & (smaller >= low) & (smaller < high)
                if chosen.any():
                    mean, expected = float(r[chosen].mean()), float(left[chosen].mean())
                    yield {
                        **{"orbits": title, "span_db": f"{low:g} to {high:g}", "pixels": int(chosen.sum()), "r": mean},
                        **{"r_that_speckle_leaves": expected, "ratio": mean / expected if expected else math.nan},
                    }


def reference_errors(sigma: Floats, dry: float, wet: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Standard errors of references, dB, [h, w], by a bootstrap of dates, as independent samples.

    Args:
        sigma: dB, [training date, h, w].
        dry: Percentile.
        wet: Percentile.
        rng: Draws the dates.
    """
    found = [fit_references(sigma[rng.integers(0, len(sigma), len(sigma))], dry, wet, 1) for _ in range(DRAWS)]
    return _deviation([each.dry for each in found]), _deviation([each.wet for each in found])


def _deviation(draws: list[Floats]) -> Floats:
    """Standard deviation of the draws that have a value; NaN of fewer than two."""
    values = np.stack(draws)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1)
    square = np.where(known, (values - mean) ** 2, 0).sum(axis=0)
    return np.asarray(np.sqrt(np.divide(square, count - 1, out=np.full(count.shape, np.nan), where=count > 1)))


def correlation_over_time(a: Floats, b: Floats) -> Floats:
    """Correlation of two stacks over the dates that both have, [h, w]; NaN of fewer than `LEAST_DATES`."""
    known = np.isfinite(a) & np.isfinite(b)
    count = known.sum(axis=0)
    one, two = (np.where(known, each, 0).astype(float) for each in (a, b))
    mean = [each.sum(axis=0) / np.maximum(count, 1) for each in (one, two)]
    one, two = (np.where(known, each - m, 0) for each, m in zip((one, two), mean, strict=True))
    scale = np.sqrt((one**2).sum(axis=0) * (two**2).sum(axis=0))
    enough = (count >= LEAST_DATES) & (scale > 0)
    return np.asarray(np.divide((one * two).sum(axis=0), scale, out=np.full(count.shape, np.nan), where=enough))


def date_level(sigma: Floats, orbits: npt.NDArray[np.int64]) -> Floats:
    """Mean over pixels of backscatter less each pixel's mean on its orbit, dB, [time]; NaN where nothing is known."""
    level = np.full(len(sigma), np.nan)
    for orbit in np.unique(orbits):
        times = orbits == orbit
        known = np.isfinite(sigma[times])
        count = np.maximum(known.sum(axis=0), 1)
        off = np.where(known, sigma[times] - np.where(known, sigma[times], 0).sum(axis=0) / count, 0)
        pixels = known.sum(axis=(1, 2))
        level[times] = np.divide(off.sum(axis=(1, 2)), pixels, out=np.full(len(pixels), np.nan), where=pixels > 0)
    return level


def reason_counts(flags: Flags) -> pd.DataFrame:
    """A row a reason: of all pixels and images, the share in % for which it holds, and for which it alone does."""
    rows = [
        {
            "mask": TITLES[reason],
            "percent": 100 * float(((flags & np.uint16(reason)) != 0).mean()),
            "percent_alone": 100 * float((flags == np.uint16(reason)).mean()),
        }
        for reason in Reason
    ]
    rows.append({"mask": "any", "percent": 100 * float((flags != 0).mean()), "percent_alone": math.nan})
    return pd.DataFrame(rows)


def most_frequent(flags: Flags) -> Flags:
    """The reason that holds on most images of each pixel; 0 where most images have a label, [h, w]."""
    share = np.stack([((flags & np.uint16(reason)) != 0).mean(axis=0) for reason in Reason])
    found = np.array([int(reason) for reason in Reason], np.uint16)[share.argmax(axis=0)]
    return np.where((flags != 0).mean(axis=0) > 0.5, found, 0).astype(np.uint16)


def key_title(key: int) -> str:
    """Whose references a key names."""
    return {0: "all images", -1: "mornings", -2: "evenings"}.get(key, f"orbit {key}")
