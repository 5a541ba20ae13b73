"""The ways to make labels that are compared, and the labels of pairs of tracks under each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig, TracksConfig
from mlssm.config.retrieval import channel_title
from mlssm.evaluation.tracks.pairs import Agreement, Pair, agreement
from mlssm.patches.dates import seasons
from mlssm.retrieval.labels import relative_backscatter
from mlssm.retrieval.multilook import list_mean
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.points import PointLabels, point_labels
from mlssm.retrieval.references import fit_references
from mlssm.sources.points import PointSeries

Floats = npt.NDArray[np.floating[Any]]
VV: Mapping[str, float] = {"VV": 1.0}
SEASON_START = 9  # month
NO_MASKS: Mapping[str, Any] = {
    "min_sensitivity_db": 0.0,
    "min_sensitivity_speckle": 0.0,
    "water_below_db": -100.0,
    "double_bounce_above_db": None,
    "edge_below_db": None,
}


@dataclass(frozen=True)
class Design:
    """A way to make labels.

    Attributes:
        title: What it is called.
        channel: Weight of each polarisation in dB.
        dry: Percentile of the dry reference.
        wet: Percentile of the wet one.
        mean: Whether a site's pixels are averaged first; else each stands for itself.
        per_season: Whether each season, from September on, has references of its own.
        linear: Whether the power itself is scaled, and not its decibels.
        against: Channel of the other track's labels; None: the same.
    """

    title: str
    channel: Mapping[str, float]
    dry: float = 5.0
    wet: float = 95.0
    mean: bool = True
    per_season: bool = False
    linear: bool = False
    against: Mapping[str, float] | None = None


PLAIN = Design("VV", VV)
SINGLE = Design("single pixel", VV, mean=False)


def designs(channel: Mapping[str, float]) -> tuple[Design, ...]:
    """All that are compared with plain VV; the first is the channel that is configured."""
    name = channel_title(channel)
    return (
        Design(name, channel),
        Design(f"{name} against VV of the other track", channel, against=VV),
        Design("0.5 VV + 0.5 VH", {"VV": 0.5, "VH": 0.5}),
        Design("minimum and maximum as references", VV, 0, 100),
        Design("2 and 98 %", VV, 2, 98),
        Design("10 and 90 %", VV, 10, 90),
        Design("references per season", VV, per_season=True),
        Design("less 0.5 (VH - VV)", {"VV": 1.5, "VH": -0.5}),
        Design("linear power", VV, linear=True),
        SINGLE,
    )


@dataclass(frozen=True)
class Maker:
    """Makes labels, without masks.

    Attributes:
        config: The retrieval's.
        tracks: Of the comparison.
        speckle: Of a pixel.
    """

    config: RetrievalConfig
    tracks: TracksConfig
    speckle: Speckle

    def of(self, series: PointSeries, design: Design) -> PointLabels:
        """The labels of a series, with references of all dates."""
        return self.fitted_on(series, design, np.ones(len(series.times), bool))

    def fitted_on(self, series: PointSeries, design: Design, training: npt.NDArray[np.bool_]) -> PointLabels:
        """The labels of a series, with references of some dates, [time]."""
        percentiles = {"dry_percentile": design.dry, "wet_percentile": design.wet, "min_dates": 2}
        config = self.config.model_copy(update={**NO_MASKS, **percentiles})
        if design.linear:
            return _of_power(series, design, config)
        since = series.times.astype("datetime64[D]")
        keys = seasons(since, SEASON_START).astype(np.int64) if design.per_season else None
        return point_labels(
            series, design.channel, config, self.speckle, mean=design.mean, keys=keys, training=training
        )

    def compared(self, pair: Pair, design: Design) -> Agreement:
        """The agreement of a pair: the mean over pixels, and over both ways round where the channels differ."""
        ways = [(design.channel, design.against or design.channel)]
        if design.against is not None:
            ways.append((design.against, design.channel))
        found = []
        for one, two in ways:
            a, b = (
                self.of(series, _with(design, channel)).relative for series, channel in ((pair.a, one), (pair.b, two))
            )
            pixels = range(min(a.shape[1], b.shape[1]))
            found += [agreement(pair, a[:, i], b[:, i], self.tracks.anomaly_days) for i in pixels]
        return _mean(found)


def _with(design: Design, channel: Mapping[str, float]) -> Design:
    return Design(design.title, channel, design.dry, design.wet, design.mean, design.per_season, design.linear)


def _mean(found: Sequence[Agreement]) -> Agreement:
    parts = zip(*((each.r, each.anomaly, each.ubrmsd, each.clipped) for each in found), strict=True)
    return Agreement(*(_mean_of_known(part) for part in parts))


def _mean_of_known(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _of_power(series: PointSeries, design: Design, config: RetrievalConfig) -> PointLabels:
    """Change detection on power, which images are never labelled by."""
    (polarisation,) = design.channel
    power = list_mean(series.power[polarisation][:, None], config.min_valid_fraction)[0][..., None]
    found = fit_references(power, config.dry_percentile, config.wet_percentile, config.min_dates)
    relative = relative_backscatter(power, found.dry, found.wet)[:, 0]
    span = np.broadcast_to(found.sensitivity[0], relative.shape)
    return PointLabels(series.times, relative, span, np.isfinite(span[0]), math.nan)
