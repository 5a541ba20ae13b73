"""How far speckle shifts a quantile on average: extremes of noisy samples lie further out than those of the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

# pixels that the shift is simulated at, in how many draws, and groups of pixels alike that share their mean shift
PIXELS, DRAWS, GROUPS, LEAST_IN_GROUP = 2000, 4, 8, 50
# how many times the shift by as much speckle again the shift by the first is: if values pile up at an edge beside the
# quantile, it grows with the root of the variance (1 / (sqrt(2) - 1)); if they thin out, with the variance
PILED_UP, THINNED_OUT = 1 + np.sqrt(2), 1.0


def quantile(backscatter: Floats, percent: float) -> Floats:
    """Quantile along the first axis by linear interpolation (Hyndman & Fan 1996, type 7), as `numpy.nanquantile`.

    Args:
        backscatter: [time, ...], NaN where missing.
        percent: 0..100.

    Returns:
        [...], NaN where nothing has a value.
    """
    lower, upper, weight = neighbours(np.isfinite(backscatter).sum(axis=0), percent)
    ordered = np.sort(backscatter.astype(float), axis=0)  # NaN goes to the end
    low, high = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (lower, upper))
    return np.asarray(low * (1 - weight) + high * weight)


def neighbours(count: npt.NDArray[Any], percent: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Ranks of the two of `count` sorted values that a quantile lies between, and the weight of the upper one."""
    last = np.maximum(count - 1, 0)
    position = percent / 100 * last
    lower = np.floor(position).astype(np.int64)
    return lower, np.minimum(lower + 1, last), position - lower


def quantile_shift(
    backscatter: Floats, value: Floats, percent: float, speckle_variance: float, extrapolation: float
) -> Floats:
    """Estimate how far speckle shifts a quantile on average, by simulation and extrapolation.

    Speckle is added once more to the samples, and the quantile's mean change is extrapolated back to no speckle at all
    (SIMEX; Cook & Stefanski 1994, J. Am. Stat. Assoc. 89, 1314). The shift depends on how far the quantile lies from
    the median in units of the speckle's standard deviation, so pixels alike in that share their mean. The draws are
    always the same.

    Args:
        backscatter: dB, [time, height, width], NaN where missing.
        value: The quantile, dB, [height, width], NaN where it is not known.
        percent: 0..100.
        speckle_variance: Of one sample, dB^2.
        extrapolation: `PILED_UP` or `THINNED_OUT`.

    Returns:
        Quantile with speckle less the one without, dB, [height, width]; NaN where the quantile is not known.
    """
    known = np.flatnonzero(np.isfinite(value))
    if not known.size or not speckle_variance > 0:
        return np.where(np.isfinite(value), 0.0, np.nan)
    deviation = np.sqrt(speckle_variance)
    spread = np.abs(quantile(backscatter, 50) - value) / deviation
    taken = known[np.linspace(0, known.size - 1, min(known.size, PIXELS)).astype(np.int64)]
    samples = backscatter.reshape(len(backscatter), -1)[:, taken]
    shift = extrapolation * _shift(samples / deviation, value.ravel()[taken] / deviation, percent)
    # numpy.interp gives a number even for NaN
    return np.where(np.isfinite(value), deviation * _shared(spread, spread.ravel()[taken], shift), np.nan)


def _shift(samples: Floats, value: Floats, percent: float) -> Floats:
    """Shift by noise of variance 1 that is added [pixel]."""
    half = np.random.default_rng(0).standard_normal((len(samples), DRAWS // 2, samples.shape[1]))
    noisy = samples[:, None] + np.concatenate([half, -half], axis=1)  # opposite draws cancel what is not a shift
    return np.asarray(quantile(noisy, percent).mean(axis=0) - value)


def _shared(spread: Floats, sampled: Floats, shift: Floats) -> Floats:
    """The shift at every spread, from the means of groups of sampled pixels with like spread."""
    number = max(1, min(GROUPS, len(sampled) // LEAST_IN_GROUP))
    groups = np.array_split(np.argsort(sampled, kind="stable"), number)
    at, mean = (np.array([values[group].mean() for group in groups]) for values in (sampled, shift))
    return np.asarray(np.interp(spread, at, mean))
