"""Two tracks of one place, and how far their labels agree."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import TracksConfig
from mlssm.retrieval.multilook import list_mean
from mlssm.retrieval.track_variance import nearest
from mlssm.sources.points import PointSeries

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]
Times = npt.NDArray[np.datetime64]
LEAST = 20  # images of both tracks that a pair needs
ONE_PASS = 1.0  # hours; two tracks see no place so soon after each other


@dataclass(frozen=True)
class Pair:
    """Two tracks of a site.

    Attributes:
        site: Its name.
        a: One of the series.
        b: The other one, of another track.
        of_a: Images of `a` that have one of `b` near in time.
        of_b: Which image of `b` that is.
    """

    site: str
    a: PointSeries
    b: PointSeries
    of_a: npt.NDArray[np.intp]
    of_b: npt.NDArray[np.intp]

    @property
    def hours_apart(self) -> float:
        """The median over the images that are compared."""
        apart = np.abs(self.a.times[self.of_a] - self.b.times[self.of_b]) / np.timedelta64(1, "h")
        return float(np.median(apart))


def find_pairs(many: Sequence[PointSeries], config: TracksConfig) -> list[Pair]:
    """All pairs of tracks of each site, of each track the burst with most images; water is left out.

    Each image of one track is paired with the nearest one of the other, if that is near enough. Pairs with fewer than
    `LEAST` such images, of one pass under two names that tell no track, or of other pixels are left out, each with a
    line.
    """
    sites: dict[str, dict[str, PointSeries]] = defaultdict(dict)
    for series in many:
        if "VV" not in series.power:
            log.warning("site %s, burst %s has no VV: left out", series.site, series.burst)
            continue
        if _median_db(series) <= config.water_below_db:
            log.info("site %s, burst %s is water: left out", series.site, series.burst)
            continue
        known = sites[series.site].get(series.track)
        if known is None or len(series.times) > len(known.times):
            sites[series.site][series.track] = series
    pairs = (
        Pair(site, a, b, *_near(a, b, config)) for site, of in sites.items() for a, b in combinations(of.values(), 2)
    )
    return [pair for pair in pairs if _is_fit(pair)]


def _near(a: PointSeries, b: PointSeries, config: TracksConfig) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which images with VV are near in time."""
    of_a, of_b = nearest(a.times, b.times, config.most_hours)
    known = np.isfinite(_mean_vv(a))[of_a] & np.isfinite(_mean_vv(b))[of_b]
    return of_a[known], of_b[known]


def _is_fit(pair: Pair) -> bool:
    """Whether two series can be compared; the log says why not."""
    place = f"site {pair.site}, bursts {pair.a.burst} and {pair.b.burst}"
    sizes = [each.power["VV"].shape[1] for each in (pair.a, pair.b)]
    if sizes[0] != sizes[1]:
        log.warning("%s have %d and %d pixels, which are not the same ones: left out", place, *sizes)
        return False
    if len(pair.of_a) < LEAST:
        log.info("%s: %d images of VV are near in time, fewer than %d: left out", place, len(pair.of_a), LEAST)
        return False
    nameless = any(each.track == each.burst for each in (pair.a, pair.b))
    if nameless and pair.hours_apart < ONE_PASS:
        log.warning("%s are of one pass by their times, and their names tell no track: left out", place)
        return False
    return True


@dataclass(frozen=True)
class Agreement:
    """How far two tracks' labels agree; NaN where there are too few.

    Attributes:
        r: Correlation.
        anomaly: Correlation of what is left of a running mean.
        ubrmsd: Standard deviation of the difference before labels are clipped, SSM units.
        clipped: The same of the clipped labels.
    """

    r: float
    anomaly: float
    ubrmsd: float
    clipped: float


def agreement(pair: Pair, a: Floats, b: Floats, days: float) -> Agreement:
    """Compare labels.

    Args:
        pair: The two tracks.
        a: Of the first one, not clipped, [time].
        b: Of the second one.
        days: The running mean of anomalies is that of so many days before and after.
    """
    one, two = np.clip(a, 0, 1), np.clip(b, 0, 1)
    off = [anomalies(pair.a.times, one, days)[pair.of_a], anomalies(pair.b.times, two, days)[pair.of_b]]
    return Agreement(
        correlation(one[pair.of_a], two[pair.of_b]),
        correlation(*off),
        _spread(a[pair.of_a] - b[pair.of_b]),
        _spread(one[pair.of_a] - two[pair.of_b]),
    )


def anomalies(times: Times, values: Floats, days: float) -> Floats:
    """Values less the mean of those of the days around, [time]."""
    near = np.abs(times[:, None] - times[None]) <= np.timedelta64(round(days * 86400), "s")
    known = np.isfinite(values)
    count = (near & known).sum(axis=1)
    total = np.where(near & known, np.nan_to_num(values), 0).sum(axis=1)
    return np.asarray(values - np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0))


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's, of the values that both have; NaN of fewer than three, or where one does not vary."""
    known = np.isfinite(a) & np.isfinite(b)
    one, two = a[known], b[known]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return math.nan
    return float(np.corrcoef(one, two)[0, 1])


def _spread(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.std()) if known.size > 1 else math.nan


def site_means(sites: Sequence[str], values: Iterable[float]) -> dict[str, float]:
    """The mean of each site's pairs, so that one with three tracks counts once; without those that have none."""
    parts: dict[str, list[float]] = defaultdict(list)
    for site, value in zip(sites, values, strict=True):
        if math.isfinite(value):
            parts[site].append(value)
    return {site: float(np.mean(each)) for site, each in parts.items()}


def mean_interval(means: dict[str, float], draws: int, level: float, seed: int) -> tuple[float, float, float]:
    """The mean over sites and its percentile interval, by a bootstrap of whole sites; NaN where there are too few."""
    values = np.array([*means.values()])
    if len(values) == 0:
        return math.nan, math.nan, math.nan
    if len(values) < 3:
        return float(values.mean()), math.nan, math.nan
    drawn = np.random.default_rng(seed).choice(values, (draws, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)


def _mean_vv(series: PointSeries) -> Floats:
    """Mean power of the pixels, [time]; NaN where fewer than half of them have a value."""
    return list_mean(series.power["VV"], 0.5)[0]


def _median_db(series: PointSeries) -> float:
    """Of VV's means over the pixels; NaN where there is none."""
    means = _mean_vv(series)
    known = means[np.isfinite(means)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(10 * np.log10(np.median(known))) if known.size else math.nan
