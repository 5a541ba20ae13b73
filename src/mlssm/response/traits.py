"""Traits of pixels: what a departure from the base can be told from, beside the driver.

Features are traits, and traits times the driver's anomaly, less their means over the extent on the date. Of the traits
two depend on the date, E and C; all others are fixed. So with weights w of the traits and v of the products

    weights . features = w0 E + w1 C + A + a (v0 E + v1 C + B)

less the same of the means, where A and B are sums of fixed traits that are made once for all dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from mlssm.grid import Floats
from mlssm.response.base import Booleans, Population, Response, Seasons, fit_rows
from mlssm.response.folds import Retrieved
from mlssm.response.rows import Maps, few_rows, fill, over_rows, rows_of
from mlssm.response.surroundings import fixed_traits
from mlssm.retrieval.bands import Bands, bands
from mlssm.scratch import scratch

LEAST_SPREAD = 1e-6
OF_DATES = 2  # traits that depend on the date
TEMPORARIES = 6  # arrays of all features while these are made


@dataclass(frozen=True)
class Traits:
    """An extent's pixels, as the correction sees them.

    Attributes:
        relative: How backscatter, in units of wet - dry and not clipped, responds to the driver.
        noise: Standard deviation of what that leaves of the training dates [h, w].
        fixed: What does not change with the date [trait, h, w]; NaN where unknown.
        names: Of the fixed traits.
    """

    relative: Response
    noise: Floats
    fixed: Floats
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, found: Retrieved, base: Response, driver: Maps, training: Booleans, seasons: Seasons, pixel_m: float
    ) -> Traits:
        """Fit them on training dates.

        Args:
            found: Labels by references fitted on the same dates.
            base: Fitted on the same dates.
            driver: At all times.
            training: Which times are training dates [T].
            seasons: Of each time [T].
            pixel_m: Pixel size, metres.
        """

        def values(rows: slice) -> Floats:
            return found.of(training, rows)

        (fits,) = fit_rows(values, [driver], training, found.shape, seasons[training])
        relative = fits.pooled(1.0, Population.of([fits]))
        noise: Floats = scratch(found.shape, np.float64)

        def scatter(rows: slice) -> Floats:
            return _noise(values(rows) - relative.rows(rows).linear(rows_of(driver, training, rows)))

        fill(noise, scatter, few_rows(found.shape, int(training.sum())))
        names, fixed = fixed_traits(found, base, relative, pixel_m)
        return cls(relative, noise, fixed, names)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = self.noise.shape
        return height, width

    def part(self, rows: slice) -> Traits:
        """Those of some rows."""
        return Traits(self.relative.rows(rows), self.noise[rows], self.fixed[:, rows], self.names)

    def bands(self, dates: int) -> Bands:
        """Rows in bands whose features are worked on at once, for so many dates."""
        return bands(self.shape, TEMPORARIES * (len(self.fixed) + OF_DATES) + 4 * dates)

    def sums(self, driver: Maps, times: npt.NDArray[np.int64]) -> FeatureSums:
        """Of the features of some times, over all pixels."""

        def of_rows(rows: slice) -> FeatureSums:
            return TraitPixels(self.part(rows)).sums(rows_of(driver, times, rows))

        first, *others = over_rows(of_rows, self.bands(len(times)))
        return sum(others, first)

    def features(self, driver: Floats) -> Floats:
        """Features of one date [feature, h, w]; 0, the extent's mean, where a trait is unknown.

        Args:
            driver: [h, w], or broadcastable to it.
        """
        pixels = TraitPixels(self)
        return pixels.features(driver, pixels.sums(driver[None]).mean[0])


@dataclass(frozen=True)
class FeatureSums:
    """Sums of the correction's features over pixels that have them; sums of parts add up.

    Attributes:
        total: By day [D, K].
        count: Number of pixels that have each [K].
    """

    total: Floats
    count: Floats

    def __add__(self, other: FeatureSums) -> FeatureSums:
        """Of both parts."""
        return FeatureSums(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> Floats:
        """By day [D, K]; 0 where no pixel has a feature."""
        return np.asarray(self.total / np.maximum(self.count, 1))


class TraitPixels:
    """The features of some of an extent's pixels."""

    def __init__(self, traits: Traits) -> None:
        """Add up what no day changes; `traits` has these pixels alone."""
        self._traits = traits

    def sums(self, driver: Floats) -> FeatureSums:
        """Of the features on some days; `driver` [D, h, w], or broadcastable to it."""
        total = np.empty((len(driver), len(self._known)))
        fixed, half = self._fixed.sum(axis=1), len(self._known) // 2
        for found, each in zip(total, driver, strict=True):
            expected, clipped, anomaly = (part.ravel() for part in self._of_day(each))
            found[:half] = np.array([expected.sum(), clipped.sum(), *fixed])
            found[half:] = np.array([expected @ anomaly, clipped @ anomaly, *(self._fixed @ anomaly)])
        return FeatureSums(total, self._count)

    def features(self, driver: Floats, means: Floats) -> Floats:
        """Features less their means over the extent [K, h, w]; 0 where a trait is unknown.

        Args:
            driver: Of a day [h, w], or broadcastable to it.
            means: Of the features over the whole extent on that day [K].
        """
        expected, clipped, anomaly = self._of_day(driver)
        found = np.empty(self._known.shape)
        half = len(found) // 2
        found[0], found[1] = expected, clipped
        found[OF_DATES:half] = self._fixed.reshape(-1, *self._traits.shape)
        np.multiply(found[:half], anomaly, out=found[half:])
        found -= means[:, None, None]
        np.copyto(found, 0.0, where=~self._known)
        return found

    def told(self, driver: Floats, weights: Floats, means: Floats) -> Floats:
        """Weights . features [h, w]; arguments as of `features`, and the weights [K]."""
        expected, clipped, anomaly = self._of_day(driver)
        half = len(weights) // 2
        w, v = weights[:half], weights[half:]
        by_anomaly = v[0] * expected
        by_anomaly += v[1] * clipped
        by_anomaly += self._fixed_sums(v)
        by_anomaly *= anomaly
        by_anomaly += w[0] * expected
        by_anomaly += w[1] * clipped
        by_anomaly += self._fixed_sums(w)
        patterns, number = self._patterns
        by_anomaly -= (patterns @ (weights * means))[number]
        return np.asarray(by_anomaly)

    def _fixed_sums(self, weights: Floats) -> Floats:
        """A or B [h, w], made once for the same weights."""
        key = weights.tobytes()
        if key not in self._sums_of:
            self._sums_of[key] = (weights[OF_DATES:] @ self._fixed).reshape(self._traits.shape)
        return self._sums_of[key]

    @cached_property
    def _sums_of(self) -> dict[bytes, Floats]:
        return {}

    @cached_property
    def _fixed(self) -> Floats:
        """Fixed traits, 0 where unknown [trait, P]."""
        fixed = self._traits.fixed.reshape(len(self._traits.fixed), -1)
        return np.where(np.isfinite(fixed), fixed, 0.0)

    @cached_property
    def _known(self) -> Booleans:
        """Which of the traits, and of the traits times the anomaly, each pixel has [K, h, w]."""
        traits, relative = self._traits, self._traits.relative
        mean = np.isfinite(relative.mean) & np.isfinite(relative.slope) & np.isfinite(relative.centre)
        plain = np.stack([mean & np.isfinite(traits.noise), mean, *np.isfinite(traits.fixed)])
        return np.concatenate([plain, plain & np.isfinite(relative.centre)])

    @cached_property
    def _count(self) -> Floats:
        return np.asarray(self._known.sum(axis=(1, 2)), float)

    @cached_property
    def _patterns(self) -> tuple[Booleans, npt.NDArray[np.intp]]:
        """What kinds of pixels there are, by what they lack [kind, K], and the kind of each pixel [h, w]."""
        flat = self._known.reshape(len(self._known), -1)
        packed, code = np.packbits(flat, axis=0), np.zeros(flat.shape[1], np.uint64)
        if len(packed) > code.itemsize:
            raise ValueError(f"{len(flat)} features are more than the bits of a pixel's kind")
        for part in packed:
            code = (code << np.uint64(8)) | part
        number, kinds = pd.factorize(code)
        first = np.empty(len(kinds), np.intp)
        first[number[::-1]] = np.arange(len(number))[::-1]
        return flat[:, first].T, number.reshape(self._traits.shape)

    def _of_day(self, driver: Floats) -> tuple[Floats, Floats, Floats]:
        """E, C and the driver's anomaly, 0 where unknown, each [h, w]."""
        traits, known = self._traits, self._known
        mean = traits.relative.linear(driver)
        expected = np.where(known[0], expected_clipped(mean, traits.noise), 0.0)
        clipped = np.where(known[1], np.clip(mean, 0, 1), 0.0)
        anomaly = np.where(np.isfinite(traits.relative.centre), driver - traits.relative.centre, 0.0)
        return expected, clipped, anomaly


def _noise(left: Floats) -> Floats:
    """Standard deviation of what a line leaves over dates [h, w]; NaN where it leaves nothing."""
    known = np.isfinite(left)
    count = known.sum(axis=0)
    squares = np.square(np.where(known, left, 0.0)).sum(axis=0)
    return np.where(count > 0, np.sqrt(squares / np.maximum(count - 2, 1)), np.nan)


def expected_clipped(mean: Floats, deviation: Floats) -> Floats:
    """Expected value of clip(x, 0, 1), x normal: what a label is on average where its backscatter scatters.

    With a = -mean / sd, b = (1 - mean) / sd: mean (Phi(b) - Phi(a)) + sd (phi(a) - phi(b)) + 1 - Phi(b) (Greene 2018,
    Econometric Analysis, section 19.3, for both ends).

    Args:
        mean: Of x.
        deviation: Standard deviation of x; without any, x is its mean.
    """
    scatter = np.maximum(deviation, LEAST_SPREAD)
    low, high = -mean / scatter, (1 - mean) / scatter
    density = [np.exp(-(each**2) / 2) / np.sqrt(2 * np.pi) for each in (low, high)]
    below = ndtr(high)
    return np.asarray(mean * (below - ndtr(low)) + scatter * (density[0] - density[1]) + 1 - below)
