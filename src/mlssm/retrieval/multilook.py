"""Averaging backscatter in linear power over a window: fewer, but far less noisy samples."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mlssm.errors import ConfigError

Array = npt.NDArray[np.float32]


def window_pixels(multilook_m: float, pixel: float) -> int:
    """The multilook window in whole pixels, at least 1.

    Args:
        multilook_m: The window in metres; 0 means single pixels.
        pixel: Pixel size, metres.

    Raises:
        ConfigError: The window is not a whole number of pixels.
    """
    ratio = multilook_m / pixel
    if multilook_m == 0:
        return 1
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-6:
        near = [pixel * max(1, int(ratio)), pixel * (int(ratio) + 1)]
        raise ConfigError(
            f"retrieval.multilook_m={multilook_m:g} is not a whole number of {pixel:g} m pixels; "
            f"use {near[0]:g} or {near[1]:g}, or 0 for single pixels"
        )
    return round(ratio)


def block_mean(values: npt.NDArray[Any], factor: int, min_valid_fraction: float) -> tuple[Array, npt.NDArray[np.int32]]:
    """Mean of the values in each block of `factor` x `factor` pixels.

    Args:
        values: [rows, columns], both multiples of `factor`; NaN where missing.
        factor: Pixels along a block's side.
        min_valid_fraction: Share of a block's pixels that must have a value.

    Returns:
        The means [rows / factor, columns / factor], NaN where too few pixels have a value; and how many have.
    """
    rows, cols = values.shape[0] // factor, values.shape[1] // factor
    blocks = values.reshape(rows, factor, cols, factor)
    count = np.isfinite(blocks).sum(axis=(1, 3), dtype=np.int32)
    total = np.nansum(blocks, axis=(1, 3), dtype=float)
    return mean_of(total, count, factor * factor, min_valid_fraction), count


def moving_mean(
    values: npt.NDArray[Any], factor: int, min_valid_fraction: float
) -> tuple[Array, npt.NDArray[np.int32]]:
    """Mean of the values in the `factor` x `factor` pixels around each; see `block_mean`; the grid stays.

    The window of an even `factor` lies half a pixel to the upper left. A pixel without a value of its own gets none.
    """
    valid = np.isfinite(values)
    extent = factor * factor
    total = ndimage.uniform_filter(np.where(valid, values, 0).astype(float), factor, mode="constant") * extent
    count = np.round(ndimage.uniform_filter(valid.astype(float), factor, mode="constant") * extent).astype(np.int32)
    return np.where(valid, mean_of(total, count, extent, min_valid_fraction), np.nan).astype(np.float32), count


def multilook_db(
    backscatter: Array, factor: int, mode: Literal["block", "moving"], min_valid_fraction: float
) -> tuple[Array, npt.NDArray[np.int32]]:
    """Average backscatter in linear power.

    Args:
        backscatter: dB, [rows, columns], NaN where missing; for blocks both multiples of `factor`.
        factor: Window in pixels.
        mode: Blocks on a coarser grid, or a moving window on the same grid.
        min_valid_fraction: Share of a window's pixels that must have a value.

    Returns:
        dB of the mean power, float32, and the number of pixels in each mean.
    """
    power = 10 ** (backscatter.astype(float) / 10)
    mean = block_mean if mode == "block" else moving_mean
    average, count = mean(power, factor, min_valid_fraction)
    return np.asarray(10 * np.log10(average), np.float32), count


def list_mean(values: npt.NDArray[Any], min_valid_fraction: float) -> tuple[Array, npt.NDArray[np.int32]]:
    """Mean of the values along the last axis, and how many there are; see `block_mean`."""
    count = np.isfinite(values).sum(axis=-1, dtype=np.int32)
    return mean_of(np.nansum(values, axis=-1, dtype=float), count, values.shape[-1], min_valid_fraction), count


def mean_of(total: npt.NDArray[Any], count: npt.NDArray[np.int32], pixels: int, min_valid_fraction: float) -> Array:
    """Means from sums and numbers of values; NaN where too few of so many pixels have one."""
    # the small number keeps e.g. 0.28 * 25 = 7.000000000000001 from asking for an eighth pixel
    enough = count >= max(1, min_valid_fraction * pixels - 1e-9)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=enough)
    return np.asarray(mean, np.float32)
