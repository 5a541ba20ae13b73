"""What the variance of a label is made of: what both tracks see, speckle, and what each track sees alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlssm.config.retrieval import channel_title
from mlssm.evaluation.tracks.designs import VV, Design, Maker
from mlssm.evaluation.tracks.pairs import Pair, anomalies, correlation, site_means
from mlssm.retrieval.points import pixel_looks
from mlssm.sources.points import PointSeries

SHARES = (
    "standard deviation of speckle, dB",
    *("share that both tracks see", "share of speckle", "share of a track alone, slow", "share of a track alone, fast"),
    *("r", "r that speckle leaves"),
)
BETWEEN = 3.29  # 5th to 95th percentile of a normal distribution, in standard deviations


def noise_table(
    many: Sequence[PointSeries], pairs: Sequence[Pair], channel: Mapping[str, float], maker: Maker
) -> pd.DataFrame:
    """Looks of the pixels, and shares of the variance, a row each."""
    rows: list[tuple[str, float]] = []
    for polarisation in ("VV", "VH"):
        looks = pixel_looks(many, polarisation)
        if len(looks):
            low, middle, high = np.quantile(looks, [0.25, 0.5, 0.75])
            names = ("lower quartile of looks", "looks of a pixel", "upper quartile of looks")
            rows += [(f"{polarisation}: {name}", float(v)) for name, v in zip(names, (low, middle, high), strict=True)]
    rows += [("correlation with the pixels beside and above", float(np.mean(maker.speckle.correlation[:2])))]
    for each in [VV] if channel == VV else [VV, channel]:
        title = channel_title(each)
        there = [pair for pair in pairs if all(set(each) <= set(series.power) for series in (pair.a, pair.b))]
        rows += [(f"{title}: {name}", value) for name, value in _shares(there, Design(title, each), maker).items()]
    return pd.DataFrame(rows, columns=["what", "value"])


def _shares(pairs: Sequence[Pair], design: Design, maker: Maker) -> dict[str, float]:
    """Means over sites: s in dB, shares of the variance of labels that are not clipped, and the cap's factor."""
    parts = [_of_pair(pair, design, maker) for pair in pairs]
    sites = [pair.site for pair in pairs]
    if not parts:
        return {}
    means = {name: site_means(sites, [part[name] for part in parts]) for name in parts[0]}
    found = {name: float(np.mean([*each.values()])) if each else math.nan for name, each in means.items()}
    found["share of r that speckle leaves, as measured"] = found["r"] / found.pop("r that speckle leaves")
    return found


def _of_pair(pair: Pair, design: Design, maker: Maker) -> dict[str, float]:
    one, two = (maker.of(each, design) for each in (pair.a, pair.b))
    a, b = one.relative[pair.of_a, 0], two.relative[pair.of_b, 0]
    both = np.isfinite(a) & np.isfinite(b)
    a, b, times = a[both], b[both], pair.a.times[pair.of_a][both]
    if len(a) < 3:
        return dict.fromkeys(SHARES, math.nan)
    spans = float(one.span[0, 0]), float(two.span[0, 0])
    speckle = float(np.mean([(one.spread / span) ** 2 / x.var() for span, x in zip(spans, (a, b), strict=True)]))
    # each track on a scale of its own; half the variance of the difference is what a track does not share
    difference = (a - a.mean()) / a.std() - (b - b.mean()) / b.std()
    alone = float(difference.var()) / 2
    slow = _slow_share(times, difference, maker.tracks.anomaly_days)
    left = [max(1 - (BETWEEN * one.spread / span) ** 2, 0.0) for span in spans]
    r = correlation(np.clip(a, 0, 1), np.clip(b, 0, 1))
    found = one.spread, 1 - alone, speckle, slow, alone - slow - speckle, r, math.sqrt(left[0] * left[1])
    return dict(zip(SHARES, found, strict=True))


def _slow_share(times: Any, difference: Any, days: float) -> float:
    """Half the variance of a running mean, less what independent values of the same variance would leave of theirs."""
    slow = difference - anomalies(times, difference, days)
    near = np.abs(times[:, None] - times[None]) <= np.timedelta64(round(days * 86400), "s")
    number = float(near.sum(axis=1).mean())
    raw = float(np.nanvar(slow)) / 2
    return max((raw - float(np.nanvar(difference)) / 2 / number) / (1 - 1 / number), 0.0)
