"""Made-up predictions and labels whose errors are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlssm.uncertainty.held_out import HeldOutMap

SIDE = 16


def make_maps(dates: int, seed: int, common: float = 0.5, size: float = 0.1, first: int = 0) -> list[HeldOutMap]:
    """Dates whose errors are Gaussian, a share of their variance common to the date, and labels that are clipped.

    The deviation is `size` times sqrt(0.5 + 2 m (1 - m) + (3 / span)^2), so that a scale can be right.
    """
    rng = np.random.default_rng(seed)
    maps = []
    for number in range(dates):
        mean = np.clip(rng.uniform(0.1, 0.9) + rng.normal(0, 0.15, (SIDE, SIDE)), 0, 1)
        span = rng.uniform(1.5, 8, (SIDE, SIDE))
        deviation = size * np.sqrt(0.5 + 2 * mean * (1 - mean) + (3 / span) ** 2)
        z = np.sqrt(common) * rng.normal() + np.sqrt(1 - common) * rng.normal(size=(SIDE, SIDE))
        label = np.clip(mean + deviation * z, 0, 1)
        label[rng.random((SIDE, SIDE)) < 0.1] = np.nan
        leverage = np.full((SIDE, SIDE), 0.1)
        parts = (each.astype(np.float32) for each in (mean, label, span, leverage))
        maps.append(HeldOutMap(first + number, 0, *parts))
    return maps


@pytest.fixture(scope="session")
def made_up() -> Callable[..., list[HeldOutMap]]:
    """Makes up held-out dates: `dates`, `seed`, `common` share of the variance, `size` of the errors, `first` time."""
    return make_maps
