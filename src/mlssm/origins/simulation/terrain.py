"""Fractal terrain by spectral synthesis, and what follows from its shape."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage, stats

from mlssm.origins.simulation.arrays import Floats

# Natural terrain has a Hurst exponent near 0.8; a 2-D field's power spectrum then falls as k^-(2H + 2).
HURST = 0.8
SPECTRAL_EXPONENT = 2 * HURST + 2

RELIEF_M = 110.0  # standard deviation of elevation over RELIEF_EXTENT_M
RELIEF_EXTENT_M = 7200.0
RELIEF_LIMIT_M = 400.0
BASE_M = 350.0
TILT = 0.5  # a regional slope from the south-west up to the north-east, in standard deviations at the edge
WETNESS_SCALE_M = 600.0


def spectral_field(rng: np.random.Generator, shape: tuple[int, int], exponent: float) -> Floats:
    """A periodic Gaussian random field whose power spectrum falls as k^-exponent.

    Source: Saupe (1988), in The Science of Fractal Images, chapter 2: white noise filtered in Fourier space.

    Args:
        rng: The stream to draw from.
        shape: Rows and columns.
        exponent: Exponent of the two-dimensional power spectrum, at least 0.

    Returns:
        float32 of `shape`, mean 0, standard deviation 1.
    """
    spectrum = fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    wavenumber = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :])
    wavenumber[0, 0] = 1  # any but 0; the mean itself is taken out
    spectrum[0, 0] = 0
    field = fft.irfft2(spectrum * wavenumber.astype(np.float32) ** (-exponent / 2), s=shape)
    return np.asarray(field / field.std(), dtype=np.float32)


def synthesise_elevation(rng: np.random.Generator, shape: tuple[int, int], pixel_m: float) -> Floats:
    """Elevation of a hilly region in metres; relief grows with extent as extent^H, to a limit.

    Args:
        rng: The stream to draw from.
        shape: Rows and columns, north up.
        pixel_m: Pixel size, metres.

    Returns:
        float32 of `shape`, metres.
    """
    extent = pixel_m * max(shape)
    relief = min(RELIEF_M * (extent / RELIEF_EXTENT_M) ** HURST, RELIEF_LIMIT_M)
    # twice the size and cropped: what is synthesised is periodic, what is kept must not be
    field = spectral_field(rng, (2 * shape[0], 2 * shape[1]), SPECTRAL_EXPONENT)[: shape[0], : shape[1]]
    north = np.linspace(TILT, -TILT, shape[0], dtype=np.float32)[:, None]
    east = np.linspace(-TILT, TILT, shape[1], dtype=np.float32)[None, :]
    shape_only = field + north + east
    return np.asarray(BASE_M + relief * (shape_only - shape_only.mean()) / shape_only.std(), dtype=np.float32)


def fill_lake(elevation: Floats, level: float) -> Floats:
    """Elevation in metres with all that lies below a water level raised to it."""
    return np.maximum(elevation, np.float32(level))


def slope_degrees(elevation: Floats, pixel_m: float) -> Floats:
    """Slope of the steepest descent by central differences, degrees, same shape."""
    down, right = np.gradient(elevation, pixel_m)
    return np.asarray(np.degrees(np.arctan(np.hypot(down, right))), dtype=np.float32)


def wetness_index(elevation: Floats, pixel_m: float) -> Floats:
    """Topographic wetness from 0 (crest) to 1 (hollow): the rank of height below the surroundings' mean.

    Source: Weiss (2001), topographic position index; its sign turned and its values ranked.

    Args:
        elevation: Metres.
        pixel_m: Pixel size, metres.

    Returns:
        float32 of the same shape, uniformly distributed over 0..1.
    """
    surroundings = ndimage.gaussian_filter(elevation, WETNESS_SCALE_M / pixel_m, mode="nearest", truncate=3)
    return quantile_rank(surroundings - elevation)


def quantile_rank(values: Floats) -> Floats:
    """Each value's rank among all as a fraction in (0, 1]; ties share their mean rank."""
    return np.asarray(stats.rankdata(values).reshape(values.shape) / values.size, dtype=np.float32)
