"""How noise-free values are distributed, of which only noisy ones are seen.

For each date, and each class of pixels with like noise, that is the distribution under which the noisy values are
likely (Kiefer & Wolfowitz 1956, Ann. Math. Stat. 27; Koenker & Mizera 2014, J. Am. Stat. Assoc. 109): taking the noisy
values for it would make it too wide by the noise. It starts as a normal distribution of the right mean and variance,
and some rounds of expectation maximisation give it its shape; more would follow single values.

Found from few noisy values it is too wide all the same, as it follows their noise. How much so is seen by finding it
once more from noisy values that are drawn from the first one (the parametric bootstrap; Efron & Tibshirani 1993, An
Introduction to the Bootstrap, section 10.4); it is made narrower by that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

# bins of noisy values from 1.5 below 0 to 1.5 above 1, both of which are edges; noise-free values are their middles
PER_UNIT, BEYOND = 20, 1.5
EDGES = np.arange(round((1 + 2 * BEYOND) * PER_UNIT) + 1) / PER_UNIT - BEYOND
ATOMS = (EDGES[1:] + EDGES[:-1]) / 2
EDGES[[0, -1]] = -np.inf, np.inf
# rounds of EM; values that those less alike weigh as much as; least variance to start from, as a share of the noise's
ROUNDS, PRIOR, LEAST = 100, 20.0, 0.05


@dataclass(frozen=True)
class Noise:
    """What noise makes of values, by class.

    Attributes:
        noisy: Probability of each bin of noisy values at each noise-free one, [class, bin, atom].
        variance: Of the noise, [class].
    """

    noisy: Floats
    variance: Floats


def noise_free(counts: Floats, noise: Noise, training: npt.NDArray[np.bool_]) -> Floats:
    """Distributions of noise-free values.

    Args:
        counts: Of noisy values, [date, class, bin]; at least one value on a training date.
        noise: Of each class.
        training: Dates from which others may learn, [date]: no date learns anything from one that is held out.

    Returns:
        Probabilities of the atoms, [date, class, atom]; where there are no values, those of values less alike.
    """
    found = _likeliest(counts, noise, _normal(counts, noise.variance, training))
    number, expected = counts[training].sum(axis=2), _noisy(found[training], noise)
    shares = expected / expected.sum(axis=2, keepdims=True)
    drawn = np.random.default_rng(0).multinomial(number.astype(np.int64), shares).astype(float)
    again = _likeliest(drawn, noise, _normal(drawn, noise.variance, np.ones(len(drawn), bool)))
    once, twice = (float((number * _variance(each)).sum()) for each in (found[training], again))
    return narrowed(found, np.sqrt(min(once / twice, 1.0)) if twice > 0 else 1.0)


def narrowed(distribution: Floats, factor: float) -> Floats:
    """Distributions drawn together about their means, [date, class, atom], by linear interpolation."""
    mean = (distribution @ ATOMS)[..., None]
    place = (mean + factor * (ATOMS - mean) - ATOMS[0]) * PER_UNIT
    lower = np.clip(np.floor(place).astype(np.intp), 0, len(ATOMS) - 2)
    upper_share, found = place - lower, np.zeros_like(distribution)
    date, kind, _ = np.indices(place.shape)
    np.add.at(found, (date, kind, lower), distribution * (1 - upper_share))
    np.add.at(found, (date, kind, lower + 1), distribution * upper_share)
    return found


def _likeliest(counts: Floats, noise: Noise, start: Floats) -> Floats:
    found, number = start, counts.sum(axis=2, keepdims=True)
    for _ in range(ROUNDS):
        expected = _noisy(found, noise)
        ratio = np.divide(counts, expected, out=np.zeros_like(counts), where=expected > 0)
        share = found * (ratio.swapaxes(0, 1) @ noise.noisy).swapaxes(0, 1)
        found = np.divide(share, number, out=found.copy(), where=number > 0)
    return found


def _noisy(distribution: Floats, noise: Noise) -> Floats:
    """How likely noisy values are, [date, class, bin]."""
    return np.asarray((distribution.swapaxes(0, 1) @ noise.noisy.swapaxes(1, 2)).swapaxes(0, 1))


def _normal(counts: Floats, noise: Floats, training: npt.NDArray[np.bool_]) -> Floats:
    """Normal distributions of the mean and variance that the noise leaves, [date, class, atom].

    Where few values are alike, their mean is near that of the date, and their variance near that of the date's classes
    about their own means, which is near that of all training dates.
    """
    number = counts.sum(axis=2)
    of_one = np.maximum(number, 1)
    first, second = counts @ ATOMS, counts @ ATOMS**2
    excess = second - first**2 / of_one - number * noise
    mean, variance = (_near(total, number, training) for total in (first, excess))
    variance = np.maximum(variance, LEAST * noise + 1e-4)
    # never quite 0, as what is 0 stays so
    density = np.exp(-((ATOMS - mean[..., None]) ** 2) / (2 * variance[..., None])) + 1e-6
    return np.asarray(density / density.sum(axis=2, keepdims=True))


def _near(total: Floats, number: Floats, training: npt.NDArray[np.bool_]) -> Floats:
    """Means, [date, class]."""
    everywhere = float(total[training].sum() / number[training].sum())
    of_date = _shrunk(total.sum(axis=1), number.sum(axis=1), everywhere)
    return _shrunk(total, number, of_date[:, None])


def _shrunk(total: Floats, number: Floats, towards: Floats | float) -> Floats:
    return np.asarray((total + PRIOR * towards) / (number + PRIOR))


def _variance(distribution: Floats) -> Floats:
    return np.asarray(distribution @ ATOMS**2 - (distribution @ ATOMS) ** 2)
