"""What the backscatter of a sample's pixels would be without speckle: not each value, but how they are distributed.

A pixel's noise-free backscatter is taken as a level plus an amplitude times the course of its neighbourhood, and the
course of a neighbourhood as the area's common course plus departures from it along a few others. Empirical Bayes in
three steps, in each of which the speckle's variance is known:

1. Courses: the principal components of the neighbourhoods' means over training dates. How much of a component is
   signal, and how well its course is known, follows from its singular value (Benaych-Georges & Nadakuditi 2012,
   J. Multivar. Anal. 111; Gavish & Donoho 2017, IEEE Trans. Inf. Theory 63). Only those well known are kept: what noise
   is left in a course would lower the driest of its dates and lift the wettest.
2. Departures shrink towards none, the more the weaker a neighbourhood responds: a forest dries as its surroundings do.
3. Amplitudes, positive, get the distribution under which the noisy ones are likeliest (Kiefer & Wolfowitz 1956; Koenker
   & Mizera 2014, J. Am. Stat. Assoc. 109), and each pixel draws from its posterior: unlike posterior means, which vary
   too little, draws are distributed as the truth is (Louis 1984, J. Am. Stat. Assoc. 79).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.retrieval.sample import Sample

Floats = npt.NDArray[np.floating[Any]]
Booleans = npt.NDArray[np.bool_]

WELL_KNOWN = 0.9  # squared cosine between a course as estimated and the true one
# amplitudes that a distribution is made of, rounds of EM, and numbers that it is found from
ATOMS, ROUNDS, ENOUGH = 100, 100, 2000


@dataclass(frozen=True)
class Courses:
    """Courses of neighbourhoods.

    Attributes:
        time: Values of each course, [time, course]; NaN where nothing is known. The first is the common one.
        weight: Of each course in each neighbourhood, [course, neighbourhood].
    """

    time: Floats
    weight: Floats


@dataclass(frozen=True)
class NoiseFree:
    """How the noise-free backscatter of a sample's pixels is distributed.

    Attributes:
        level: Mean of the training dates that share references, dB, [time, neighbourhood, pixel].
        course: Of each neighbourhood, [time, neighbourhood].
        known: Which pixels can be known, [neighbourhood, pixel].
        amplitudes: Of these.
    """

    level: Floats
    course: Floats
    known: Booleans
    amplitudes: Amplitudes

    @classmethod
    def of(cls, sample: Sample, training: Booleans, keys: npt.NDArray[np.int64]) -> NoiseFree:
        """Estimate it from noisy backscatter.

        Held-out dates change nothing on training dates: amplitudes and weights are those of training dates, and the
        courses go on through the values that fit the neighbourhoods on each held-out date best.

        Args:
            sample: With speckle.
            training: Which times are training dates, [time].
            keys: Which times share references, and so a level, [time].
        """
        level = _levels(sample.sigma, training, keys)
        anomaly = sample.sigma - level
        courses = find_courses(anomaly, sample.variance * sample.redundancy, training)
        course = courses.time @ courses.weight
        seen = np.isfinite(anomaly[training]) & np.isfinite(course[training])[..., None]
        weights = np.where(seen, course[training][..., None], 0)
        power = (weights**2).sum(axis=0)
        known = power > 0
        fitted = (weights * np.where(seen, anomaly[training], 0)).sum(axis=0)[known] / power[known]
        return cls(level, course, known, Amplitudes.of(fitted, sample.variance[known] / power[known]))

    def draw(self, rng: np.random.Generator) -> Floats:
        """Noise-free backscatter, dB, [time, neighbourhood, pixel]; NaN where a date or pixel cannot be known."""
        amplitude = np.full(self.known.shape, np.nan)
        amplitude[self.known] = self.amplitudes.draw(rng)
        return np.asarray(self.level + amplitude * self.course[..., None])


def _levels(sigma: Floats, training: Booleans, keys: npt.NDArray[np.int64]) -> Floats:
    """Mean of the training dates that share references, dB, the shape of `sigma`."""
    level = np.full(sigma.shape, np.nan)
    for key in np.unique(keys[training]):
        level[keys == key] = _mean(sigma[training & (keys == key)], 0)
    return level


def _mean(values: Floats, axis: int) -> Floats:
    """Mean of the finite values; NaN where there are none."""
    count = np.isfinite(values).sum(axis=axis)
    total = np.nansum(values, axis=axis)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def find_courses(anomaly: Floats, variance: Floats, training: Booleans) -> Courses:
    """The courses of neighbourhoods.

    Args:
        anomaly: Backscatter less its level, dB, [time, neighbourhood, pixel], NaN where missing.
        variance: Speckle variance of the pixels' values, dB^2, [neighbourhood, pixel].
        training: Which times are training dates, [time].
    """
    mean = _mean(anomaly, 2)
    seen = np.isfinite(mean[training])
    known = np.asarray(seen.any(axis=0))
    noise = _noise_of_means(anomaly[training], variance)
    course, energy = principal_courses(mean[training][:, known], float(noise[known].mean()))
    share = np.maximum((course**2).T @ seen, 1e-9)  # of a course that a neighbourhood has values of
    loading, spread = course.T @ np.nan_to_num(mean[training]) / share, noise / share
    first = np.full(known.shape, np.nan)
    first[known] = Amplitudes.of(loading[0, known], spread[0, known]).mean
    prior = first**2 * (energy / energy[0])[1:, None]
    departure = prior / (prior + spread[1:]) * loading[1:] / first
    weight = np.vstack([np.where(known, 1.0, np.nan), departure])
    time = np.full((len(mean), len(weight)), np.nan)
    time[training] = course
    for day in np.flatnonzero(~training):
        time[day] = _continued(mean[day], first * weight)
    return Courses(time, weight)


def _noise_of_means(anomaly: Floats, variance: Floats) -> Floats:
    """Speckle variance of neighbourhoods' means, dB^2, [neighbourhood]; of as many pixels as have values on average."""
    valid = np.isfinite(anomaly)
    pixels = valid.sum(axis=(0, 2)) / np.maximum(valid.any(axis=2).sum(axis=0), 1)
    return np.asarray(_mean(np.where(valid.any(axis=0), variance, np.nan), 1) / np.maximum(pixels, 1))


def _continued(values: Floats, weight: Floats) -> Floats:
    """Values of the courses on a date that they were not found on, by least squares over neighbourhoods, [course].

    The weights are posterior means, so that their own error does not bias it (Carroll et al. 2006, Measurement Error in
    Nonlinear Models, chapter 4: regression calibration).
    """
    seen = np.isfinite(values) & np.isfinite(weight).all(axis=0)
    if seen.sum() < len(weight):
        return np.full(len(weight), np.nan)
    known = weight[:, seen]
    return np.asarray(np.linalg.lstsq(known @ known.T, known @ values[seen], rcond=None)[0])  # normal equations


def principal_courses(values: Floats, noise: float) -> tuple[Floats, Floats]:
    """Principal components of noisy series that are well known in spite of the noise, at least one.

    A component of singular value X without noise shows, in T dates x N series of noise variance v, the square
    (X^2 + T v) (X^2 + N v) / X^2, and its course has the squared cosine (X^4 - T N v^2) / (X^4 + T v X^2) with the true
    one (Benaych-Georges & Nadakuditi 2012, section 3.1).

    Args:
        values: Less their mean, [time, series], NaN where missing.
        noise: Variance v of a value's noise.

    Returns:
        The courses, of length 1, [time, course], the first with mostly positive weights; and their mean square without
        noise in a series, X^2 / N.
    """
    seen, number = np.isfinite(values).astype(float), values.shape[1]
    filled = np.nan_to_num(values)
    pairs = np.maximum(seen @ seen.T, 1)
    square, course = np.linalg.eigh(filled @ filled.T * number / pairs)
    square, course = square[::-1], course[:, ::-1]
    dates = max(len(values) - 1, 1)
    rest = square - (dates + number) * noise
    signal = np.maximum((rest + np.sqrt(np.maximum(rest**2 - 4 * dates * number * noise**2, 0))) / 2, 0)
    detected = (rest > 0) & (signal**2 > dates * number * noise**2)
    signal = np.where(detected, signal, np.maximum(square[0] * 1e-6, 1e-12))
    cosine = (signal**2 - dates * number * noise**2) / (signal**2 + dates * noise * signal)
    kept = detected & (cosine > WELL_KNOWN)
    kept[0] = True
    course[:, 0] *= np.sign(np.median(filled.T @ course[:, 0])) or 1.0
    return course[:, kept], signal[kept] / number


@dataclass(frozen=True)
class Amplitudes:
    """Posterior distribution of positive numbers that were measured with known noise.

    Attributes:
        atoms: Values that they can have, [atom].
        posterior: Probability of each, [number, atom].
    """

    atoms: Floats
    posterior: Floats

    @classmethod
    def of(cls, measured: Floats, variance: Floats) -> Amplitudes:
        """Under the prior that makes the measurements likeliest, found by expectation maximisation.

        Args:
            measured: Of either sign, [number].
            variance: Of the noise, [number].
        """
        highest = max(float(measured.max(initial=0)), 1e-9)
        atoms = np.linspace(highest / 1000, highest, ATOMS)
        distance = (measured[:, None] - atoms) ** 2 / (2 * np.maximum(variance, 1e-12)[:, None])
        likelihood = np.exp(distance.min(axis=1, keepdims=True) - distance)
        some, prior = likelihood[:: -(-len(measured) // ENOUGH)], np.full(ATOMS, 1 / ATOMS)
        for _ in range(ROUNDS):
            prior *= (1 / (some @ prior)) @ some / len(some)
        prior += 1e-9
        posterior = likelihood * prior
        return cls(atoms, posterior / posterior.sum(axis=1, keepdims=True))

    @property
    def mean(self) -> Floats:
        """Posterior means, [number]."""
        return np.asarray(self.posterior @ self.atoms)

    def draw(self, rng: np.random.Generator) -> Floats:
        """One draw of each, [number]."""
        below = self.posterior.cumsum(axis=1) < rng.random((len(self.posterior), 1))
        return np.asarray(self.atoms[np.minimum(below.sum(axis=1), ATOMS - 1)])
