"""Each pixel's training mean and the time of the year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.evaluation.baselines.placed import placed
from mlssm.grid import Floats
from mlssm.scratch import scratch

Days = npt.NDArray[np.datetime64]
BANDWIDTH_DAYS = 15.0  # standard deviation of the kernel over the days of the year
PRIOR_DATES = 1.0  # mean training dates, of anomaly 0, that every day of the year is given beforehand
YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Season:
    """How far one extent's labels lie off their pixels' means over the year.

    Attributes:
        phase: Share of the year that is over on each training date, 0..1 [date].
        count: Labels of each training date, > 0 [date].
        total: Sum of their anomalies, label - mean of its pixel [date].
    """

    phase: Floats
    count: Floats
    total: Floats

    def anomaly(self, phase: float) -> float:
        """The anomaly at a time of the year, SSM units: sum K total / (sum K count + n).

        K = exp(-(days apart / 15)^2 / 2) is a Gaussian over the circle of the year (Nadaraya 1964, Watson 1964), and n
        the labels of a mean training date: the further a time of the year is from all training dates, the closer its
        anomaly is to 0. An extent without training dates has none.
        """
        if not self.count.size:
            return 0.0
        apart = np.abs(self.phase - phase)
        days = YEAR_DAYS * np.minimum(apart, 1 - apart)
        weight = np.exp(-((days / BANDWIDTH_DAYS) ** 2) / 2)
        return float(weight @ self.total / (weight @ self.count + PRIOR_DATES * self.count.mean()))


class DateLabels:
    """The training labels of each date: their sum, and which pixels have one, a bit each.

    Attributes:
        count: Labels, [extent, time].
        total: Their sum, SSM, [extent, time].
    """

    def __init__(self, extents: int, times: int, patches: int, size: int) -> None:
        """Start with no label.

        Args:
            extents: Number of extents.
            times: Number of acquisitions.
            patches: How many patches there will be.
            size: Pixels along a patch.
        """
        self.count, self.total = np.zeros((2, extents, times))
        self._places = scratch((patches, 6), np.int32)
        self._bits = scratch((patches, -(-(size**2) // 8)), np.uint8)
        self._added = 0

    def add(self, place: PatchPlace, ssm: Floats) -> None:
        """Add a patch's labels, of the part that lies in its extent, NaN where there is none [h, w]."""
        valid = np.isfinite(ssm)
        self.count[place.extent, place.time] += valid.sum()
        self.total[place.extent, place.time] += ssm[valid].sum()
        bits, (extent, time, rows, cols) = np.packbits(valid), place
        self._places[self._added] = extent, time, rows.start, rows.stop, cols.start, cols.stop
        self._bits[self._added, : bits.size] = bits
        self._added += 1

    def anomalies(self, mean: PixelMean) -> Floats:
        """Sum of the labels less their pixels' means, [extent, time]."""
        found = self.total.copy()
        for numbers, bits in zip(self._places[: self._added], self._bits, strict=False):
            extent, time, top, bottom, left, right = numbers.tolist()
            means = mean.at(PatchPlace(extent, time, slice(top, bottom), slice(left, right)))
            valid = np.unpackbits(bits, count=means.size).reshape(means.shape).astype(bool)
            found[extent, time] -= means[valid].sum()
        return found


@dataclass(frozen=True)
class Climatology:
    """Each pixel is predicted as its training mean plus its extent's anomaly at that time of the year, clipped to 0..1.

    Attributes:
        mean: The pixels' means.
        seasons: Of each extent.
        phases: Share of the year that is over on the local day of each acquisition, 0..1 [time].
    """

    name: ClassVar[str] = "climatology"
    mean: PixelMean
    seasons: tuple[Season, ...]
    phases: Floats

    @classmethod
    def fit(cls, labels: DateLabels, mean: PixelMean, days: Days) -> Self:
        """Average the anomalies of each training date.

        Args:
            labels: Those of each date.
            mean: The pixels' means.
            days: Local day of each acquisition, [time].
        """
        count, total = labels.count, labels.anomalies(mean)
        phases = year_phase(days)
        seasons = (Season(phases[n > 0], n[n > 0], sums[n > 0]) for n, sums in zip(count, total, strict=True))
        return cls(mean, tuple(seasons), phases)

    def at(self, place: PatchPlace) -> Floats:
        """SSM of the part of a patch that lies in its extent, 0..1 [h, w]."""
        anomaly = self.seasons[place.extent].anomaly(float(self.phases[place.time]))
        return np.clip(self.mean.at(place) + anomaly, 0.0, 1.0)

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """See `Baseline.predict`."""
        return placed(places, batch, self.at)


def year_phase(days: Days) -> Floats:
    """Share of its year that is over at the begin of each day: 0 on 1 January, below 1 on 31 December."""
    years = days.astype("datetime64[Y]")
    first, following = years.astype("datetime64[D]"), (years + 1).astype("datetime64[D]")
    return np.asarray((days - first) / (following - first), float)
