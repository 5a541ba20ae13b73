"""What a day's map comes to as a whole, summed from its tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mlssm.inference.flags import OUTSIDE
from mlssm.jobs.day_map import OLDEST

Array = npt.NDArray[np.float32]


@dataclass
class DayTotals:
    """Sums over the pixels of a day.

    Attributes:
        sums: By band, of its values.
        counts: By band, of its pixels with a value.
        outside: Mapped pixels that are unlike those of training.
        ages: Pixels whose latest image is so many days old.
    """

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    outside: int = 0
    ages: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(int(OLDEST) + 1, np.int64))

    def add(self, bands: Mapping[str, Array]) -> None:
        """Add a tile."""
        mapped = np.isfinite(bands["ssm"])
        for name, values in bands.items():
            known = values[np.isfinite(values)]
            self.sums[name] = self.sums.get(name, 0.0) + float(known.sum(dtype=float))
            self.counts[name] = self.counts.get(name, 0) + known.size
        self.outside += int((bands["flags"][mapped].astype(np.int64) & OUTSIDE > 0).sum())
        if "image_age" in bands:
            ages = bands["image_age"][np.isfinite(bands["image_age"])].astype(np.int64)
            self.ages += np.bincount(ages, minlength=len(self.ages))

    def mean(self, name: str) -> float:
        """Mean of a band over its pixels; NaN without one."""
        return self.sums[name] / self.counts[name] if self.counts.get(name) else float("nan")

    @property
    def share_outside(self) -> float:
        """Share of the mapped pixels that are unlike those of training; NaN without a pixel."""
        return self.outside / self.counts["ssm"] if self.counts.get("ssm") else float("nan")

    @property
    def age(self) -> str:
        """Age of the latest images that the pixels know, days: median, least and most."""
        there = np.flatnonzero(self.ages)
        if not there.size:
            return "no earlier image"
        running = np.cumsum(self.ages)
        ranks = np.array([running[-1] - 1, running[-1]]) // 2
        median = np.searchsorted(running, ranks, side="right").mean()
        return f"{median:g} (median; {there[0]} to {there[-1]})"
