"""Traits of pixels: what a departure from the base can be told from, beside the driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.special import ndtr

from mlssm.grid import Floats
from mlssm.response.base import Booleans, Population, Response, Seasons, fit_pixels
from mlssm.response.correction import corrected
from mlssm.response.folds import Retrieved
from mlssm.retrieval.bands import bands
from mlssm.scratch import in_scratch

AROUND_M = (0.0, 90.0, 300.0, 1000.0)  # that means and slopes are averaged over; 0: the pixel itself
LEAST_SPREAD = 1e-6
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
        cls, found: Retrieved, base: Response, driver: Floats, training: Booleans, seasons: Seasons, pixel_m: float
    ) -> Traits:
        """Fit them on training dates.

        Args:
            found: Labels by references fitted on the same dates.
            base: Fitted on the same dates.
            driver: [T, h, w], or broadcastable to it.
            training: Which times are training dates [T].
            seasons: Of each time [T].
            pixel_m: Pixel size, metres.
        """
        values, of_training = found.of(training), driver[training]
        fits = fit_pixels(values, of_training, seasons[training])
        relative = fits.pooled(1.0, Population.of([fits]))
        left = values - relative.linear(of_training)
        count = np.isfinite(left).sum(axis=0)
        noise = np.sqrt(np.nansum(left**2, axis=0) / np.maximum(count - 2, 1))
        names, maps = zip(*_fixed(found, base, relative, pixel_m).items(), strict=True)
        return cls(relative, np.where(count > 0, noise, np.nan), in_scratch(np.stack(maps)), names)

    def features(self, driver: Floats) -> Floats:
        """Features on one date: traits, and traits times the driver's anomaly, less the extent's means of the date.

        Args:
            driver: [h, w], or broadcastable to it.

        Returns:
            [feature, h, w]; 0, the extent's mean, where a trait is unknown.
        """
        return np.concatenate([found for _, found in self.in_bands(driver)], axis=1)

    def in_bands(self, driver: Floats) -> Iterator[tuple[slice, Floats]]:
        """The features of one date [feature, rows, w], some rows at a time: all of them are too many to keep."""
        shape = self.noise.shape
        wide = np.broadcast_to(driver, shape)
        parts = bands((shape[0], shape[1]), TEMPORARIES * (len(self.fixed) + 2))
        total, count = np.zeros((2, 2 * (len(self.fixed) + 2)))
        for rows in parts:
            found = self._of_rows(wide[rows], rows)
            known = np.isfinite(found)
            count += known.sum(axis=(1, 2))
            total += found.sum(axis=(1, 2), where=known)
        mean = (total / np.maximum(count, 1))[:, None, None]
        for rows in parts:
            found = self._of_rows(wide[rows], rows)
            yield rows, np.where(np.isfinite(found), found - mean, 0.0)

    def corrected(self, base: Floats, driver: Floats, weights: Floats) -> Floats:
        """The base of a date and its correction, 0..1 [h, w]; see `mlssm.response.correction.corrected`."""
        parts = [corrected(base[rows], features, weights) for rows, features in self.in_bands(driver)]
        return np.concatenate(parts)

    def _of_rows(self, driver: Floats, rows: slice) -> Floats:
        """Of some rows, NaN where unknown and not less any mean."""
        relative = self.relative.rows(rows)
        mean = relative.linear(driver)
        traits = np.concatenate([[expected_clipped(mean, self.noise[rows]), np.clip(mean, 0, 1)], self.fixed[:, rows]])
        return np.concatenate([traits, traits * (driver - relative.centre)])


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
    return np.asarray(mean * (ndtr(high) - ndtr(low)) + scatter * (density[0] - density[1]) + 1 - ndtr(high))


def _fixed(found: Retrieved, base: Response, relative: Response, pixel_m: float) -> dict[str, Floats]:
    """Span, spread and neighbours in units of the span; means and slopes of the surroundings, clipped and not."""
    span = np.where(found.span > 0, found.span, np.nan)
    around = (9 * smoothed(found.level, 3) - np.nan_to_num(found.level)) / 8
    maps = {"1 / span": 1 / span, "spread": found.spread / span, "neighbours": (around - found.level) / span}
    for kind, response, widths in (("ssm", base, AROUND_M), ("backscatter", relative, AROUND_M[:-1])):
        for size in sorted({2 * int(metres / pixel_m / 2) + 1 for metres in widths}):  # odd: around its pixel
            maps[f"{kind} mean of {size} pixels"] = smoothed(response.mean, size)
            maps[f"{kind} slope of {size} pixels"] = smoothed(response.slope, size)
    if found.ratio is not None:
        maps["cross-polarised"] = found.ratio
    return maps


def smoothed(values: Floats, size: int) -> Floats:
    """Mean of the known values in the `size` x `size` pixels around each [h, w]; NaN where there is none."""
    known = np.isfinite(values)
    total, share = (
        uniform_filter(part.astype(float), size, mode="nearest") for part in (np.where(known, values, 0), known)
    )
    return np.asarray(np.divide(total, share, out=np.full(values.shape, np.nan), where=share > 0.5 / size**2))
