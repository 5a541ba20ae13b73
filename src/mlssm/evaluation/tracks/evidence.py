"""The tables of what two tracks agree on."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlssm.config import EvaluationConfig, RetrievalConfig, TracksConfig
from mlssm.config.retrieval import channel_title
from mlssm.evaluation.tracks.conditions import conditions_table
from mlssm.evaluation.tracks.designs import NO_MASKS, PLAIN, SINGLE, VV, Design, Maker, designs
from mlssm.evaluation.tracks.noise import noise_table
from mlssm.evaluation.tracks.pairs import Agreement, Pair, correlation, find_pairs, mean_interval, site_means
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.points import PointLabels, point_labels
from mlssm.sources.points import PointSeries

log = logging.getLogger(__name__)

REFERENCE_DAYS = (60, 182, 365)
THRESHOLDS = (0.0, 4.65, 6.6)


@dataclass(frozen=True)
class Evidence:
    """What the tracks say.

    Attributes:
        pairs: Each pair of tracks, with its agreement and spans.
        agreement: Of plain VV, by the distance between the references.
        designs: Of each way to make labels, and the change against plain VV.
        masks: What a threshold keeps, and how well it agrees.
        dates: Agreement by how many days the references are of.
        conditions: Agreement by hours apart, time of day and subswath.
        noise: Looks, and what the variance of a label is made of.
    """

    pairs: pd.DataFrame
    agreement: pd.DataFrame
    designs: pd.DataFrame
    masks: pd.DataFrame
    dates: pd.DataFrame
    conditions: pd.DataFrame
    noise: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """By name."""
        return {
            "agreement": self.agreement,
            "designs": self.designs,
            "masks": self.masks,
            "dates": self.dates,
            "conditions": self.conditions,
            "noise": self.noise,
            "pairs": self.pairs,
        }


@dataclass(frozen=True)
class Settings:
    """What the evidence is gathered with: configuration, the speckle of a pixel, and the seed of the bootstrap."""

    retrieval: RetrievalConfig
    tracks: TracksConfig
    evaluation: EvaluationConfig
    speckle: Speckle
    seed: int

    @property
    def maker(self) -> Maker:
        """Makes labels."""
        return Maker(self.retrieval, self.tracks, self.speckle)

    def interval(self, pairs: Sequence[Pair], values: Iterable[float]) -> tuple[float, float, float]:
        """Mean over sites, with its interval."""
        means = site_means([pair.site for pair in pairs], values)
        return mean_interval(means, self.evaluation.draws, self.evaluation.level, self.seed)


def gather(many: Sequence[PointSeries], settings: Settings) -> tuple[list[Pair], Evidence]:
    """Compare the labels of all pairs of tracks; none may be there."""
    pairs = find_pairs(many, settings.tracks)
    maker = settings.maker
    plain = [maker.compared(pair, PLAIN) for pair in pairs]
    for pair in (pair for pair, each in zip(pairs, plain, strict=True) if math.isnan(each.r)):
        log.warning("site %s: labels of %s or %s do not vary: not counted", pair.site, pair.a.burst, pair.b.burst)
    spans = [min(float(maker.of(each, PLAIN).span[0, 0]) for each in (pair.a, pair.b)) for pair in pairs]
    evidence = Evidence(
        _pairs(pairs, plain, spans, settings),
        _agreement(pairs, plain, spans, settings),
        _designs(pairs, plain, settings),
        pd.DataFrame([*_masks(pairs, settings)]),
        pd.DataFrame([_dates(pairs, days, settings) for days in (*REFERENCE_DAYS, None)]),
        conditions_table(pairs, plain, maker, settings.interval),
        noise_table(many, pairs, settings.retrieval.channel, maker),
    )
    return pairs, evidence


def _pairs(pairs: Sequence[Pair], plain: Sequence[Agreement], spans: Sequence[float], settings: Settings) -> Any:
    channel = Design("", settings.retrieval.channel)
    rows = []
    for pair, found, span in zip(pairs, plain, spans, strict=True):
        mixed = settings.maker.compared(pair, channel) if _has(pair, channel) else None
        rows.append(
            {
                **{"site": pair.site, "a": pair.a.burst, "b": pair.b.burst, "images": len(pair.of_a)},
                **{"smaller_span_db": span, "r": found.r, "anomaly_r": found.anomaly, "ubrmsd": found.ubrmsd},
                "r_of_channel": math.nan if mixed is None else mixed.r,
            }
        )
    return pd.DataFrame(rows)


def _agreement(pairs: Sequence[Pair], plain: Sequence[Agreement], spans: Sequence[float], settings: Settings) -> Any:
    strong = settings.tracks.strong_db
    wide = np.array(spans) >= strong
    single = [settings.maker.compared(pair, SINGLE) for pair in pairs]
    rows = [("mean of the pixels", np.ones(len(pairs), bool), plain)]
    rows += [(f"both spans at least {strong:g} dB", wide, plain), (f"smaller span below {strong:g} dB", ~wide, plain)]
    rows += [("single pixel", np.ones(len(pairs), bool), single)]
    return pd.DataFrame([_row(title, pairs, mask, found, settings) for title, mask, found in rows])


def _row(
    title: str, pairs: Sequence[Pair], mask: Any, found: Sequence[Agreement], settings: Settings
) -> dict[str, Any]:
    known = [there and math.isfinite(each.r) for each, there in zip(found, mask, strict=True)]
    kept = [pair for pair, there in zip(pairs, known, strict=True) if there]
    values = [each for each, there in zip(found, known, strict=True) if there]
    r, low, high = settings.interval(kept, [each.r for each in values])
    others = {
        name: settings.interval(kept, [getattr(each, key) for each in values])[0]
        for name, key in (("anomaly_r", "anomaly"), ("ubrmsd", "ubrmsd"), ("ubrmsd_clipped", "clipped"))
    }
    number = {"pairs": len(kept), "sites": len({pair.site for pair in kept})}
    return {"labels": title, "r": r, "low": low, "high": high, **others, **number}


def _designs(pairs: Sequence[Pair], plain: Sequence[Agreement], settings: Settings) -> Any:
    rows = []
    for design in designs(settings.retrieval.channel):
        there = [(pair, base) for pair, base in zip(pairs, plain, strict=True) if _has(pair, design)]
        if len(there) < len(pairs):
            log.warning("%s: %d of %d pairs lack a polarisation", design.title, len(pairs) - len(there), len(pairs))
        kept = [pair for pair, _ in there]
        found = [settings.maker.compared(pair, design) for pair in kept]
        change, low, high = settings.interval(kept, [f.r - base.r for f, (_, base) in zip(found, there, strict=True)])
        anomaly, *_ = settings.interval(
            kept, [f.anomaly - base.anomaly for f, (_, base) in zip(found, there, strict=True)]
        )
        r, *_ = settings.interval(kept, [each.r for each in found])
        rows.append(
            {
                **{"design": design.title, "r": r, "change": change, "low": low, "high": high},
                **{"anomaly_change": anomaly, "pairs": sum(math.isfinite(each.r) for each in found)},
            }
        )
    return pd.DataFrame(rows)


def _masks(pairs: Sequence[Pair], settings: Settings) -> Iterator[dict[str, Any]]:
    """Coverage and pooled correlation by threshold; a pixel counts where both tracks keep it."""
    for channel in _channels(settings):
        kept = [pair for pair in pairs if _has(pair, Design("", channel))]
        for mean in (False, True):
            for fixed, times in ((0.0, 0.0), *((settings.retrieval.min_sensitivity_db, each) for each in THRESHOLDS)):
                yield _masked(kept, channel, mean, fixed, times, settings)


def _channels(settings: Settings) -> list[Mapping[str, float]]:
    own = settings.retrieval.channel
    return [own] if own == VV else [own, VV]


def _masked(
    pairs: Sequence[Pair], channel: Mapping[str, float], mean: bool, fixed: float, times: float, settings: Settings
) -> dict[str, Any]:
    masks = {**NO_MASKS, "min_sensitivity_db": fixed, "min_sensitivity_speckle": times, "min_dates": 2}
    config = settings.retrieval.model_copy(update=masks)
    parts: list[tuple[Any, Any]] = []
    pixels, spread = 0, math.nan
    for pair in pairs:
        a, b = (point_labels(each, channel, config, settings.speckle, mean=mean) for each in (pair.a, pair.b))
        pixels, spread = pixels + len(a.usable), a.spread
        parts += [_matched(pair, a, b, int(i)) for i in np.flatnonzero(a.usable & b.usable)]
    one, two = (np.concatenate(each) for each in zip(*parts, strict=True)) if parts else (np.zeros(0), np.zeros(0))
    return {
        **{"channel": channel_title(channel), "pixels": "mean" if mean else "single", "s_db": spread},
        **{"least_db": fixed, "times_s": times},
        **{"coverage": len(parts) / pixels if pixels else math.nan, "pooled_r": correlation(one, two)},
    }


def _matched(pair: Pair, a: PointLabels, b: PointLabels, pixel: int) -> tuple[Any, Any]:
    return a.ssm[pair.of_a, pixel], b.ssm[pair.of_b, pixel]


def _dates(pairs: Sequence[Pair], days: int | None, settings: Settings) -> dict[str, Any]:
    """Agreement within windows of so many days, by references of the window's own images alone."""
    found = [np.mean([*_windows(pair, days, settings)] or [math.nan]) for pair in pairs]
    r, low, high = settings.interval(pairs, [float(each) for each in found])
    return {"days": "all" if days is None else str(days), "r": r, "low": low, "high": high}


def _windows(pair: Pair, days: int | None, settings: Settings) -> Iterator[float]:
    if days is None:
        yield settings.maker.compared(pair, PLAIN).r
        return
    step = np.timedelta64(days, "D")
    start, end = max(pair.a.times[0], pair.b.times[0]), min(pair.a.times[-1], pair.b.times[-1])
    while start + step <= end:
        inside = [(each.times >= start) & (each.times < start + step) for each in (pair.a, pair.b)]
        here = inside[0][pair.of_a] & inside[1][pair.of_b]
        if here.sum() >= 4:
            a, b = (
                settings.maker.fitted_on(each, PLAIN, training).ssm[:, 0]
                for each, training in zip((pair.a, pair.b), inside, strict=True)
            )
            if math.isfinite(r := correlation(a[pair.of_a[here]], b[pair.of_b[here]])):
                yield r
        start = start + step


def _has(pair: Pair, design: Design) -> bool:
    names = {*design.channel, *(design.against or {})}
    return all(names <= set(each.power) for each in (pair.a, pair.b))
