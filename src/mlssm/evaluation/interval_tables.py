"""Coverage, width and reliability of intervals as tables, each with its own interval by a bootstrap over dates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.grid import Floats
from mlssm.scores.bootstrap import Resampling
from mlssm.uncertainty.tally import (
    ALL,
    BINS,
    CONSERVATIVE,
    EXTENT,
    PIT_BINS,
    PREDICTED,
    SPAN,
    SPAN_EDGES,
    SUPPORT,
    SUPPORTS_M,
    IntervalTally,
)

Seasons = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]
COVERED = "coverage"


@dataclass(frozen=True)
class IntervalTables:
    """What intervals come to.

    Attributes:
        groups: A row a group of pixels: `of`, `group`, `dates`, `n`, `coverage` with `low` and `high`, `width`,
            `score` (of the interval, SSM units; less is better).
        reliability: A row a threshold and bin of P(SSM > threshold): `threshold`, `n`, `forecast`, `observed` with
            `low` and `high`.
        pit: A row a bin of rank: `rank` (its middle), `share` with `low` and `high`; 1 / 20 where calibrated.
        sentence: What can be claimed, and the worst date.
    """

    groups: pd.DataFrame
    reliability: pd.DataFrame
    pit: pd.DataFrame
    sentence: str

    @classmethod
    def of(cls, tally: IntervalTally, days: Days, seasons: Seasons, resampling: Resampling) -> IntervalTables:
        """Tables of a tally.

        Args:
            tally: Of some dates, at least one.
            days: Local day of each acquisition in the cube.
            seasons: Of each acquisition in the cube.
            resampling: How dates are drawn.
        """
        drawn = _draws(len(tally.times), resampling)
        own_days, own_seasons = days[list(tally.times)], seasons[list(tally.times)]
        rows = [
            _row(of, name, values, drawn, resampling.level)
            for of, name, values in _groups(tally, own_days, own_seasons)
            if values[:, 0].sum() > 0
        ]
        groups = pd.DataFrame(rows)
        reliability = _reliability(tally, drawn, resampling.level)
        return cls(groups, reliability, _pit(tally, drawn, resampling.level), _sentence(groups, tally.level))


def _draws(dates: int, resampling: Resampling) -> Floats:
    """How often each date is drawn [draws, dates]."""
    rng = np.random.default_rng(resampling.seed)
    return rng.multinomial(dates, np.full(dates, 1 / dates), resampling.draws).astype(float)


def _groups(tally: IntervalTally, days: Days, seasons: Seasons) -> Iterator[tuple[str, str, Floats]]:
    """What a row is of, its name, and its sums by date [D, 4]."""
    yield ALL, "", tally.groups[ALL][:, 0]
    yield CONSERVATIVE, "", tally.groups[CONSERVATIVE][:, 0]
    for place, name in enumerate(_bins()):
        yield "predicted SSM", name, tally.groups[PREDICTED][:, place]
    for place, name in enumerate(_spans()):
        yield "span, dB", name, tally.groups[SPAN][:, place]
    for place in range(tally.groups[EXTENT].shape[1]):
        yield "extent", str(place + 1), tally.groups[EXTENT][:, place]
    for place, metres in enumerate(SUPPORTS_M):
        yield "mean over a block", f"{metres:g} m", tally.groups[SUPPORT][:, place]
    for season in np.unique(seasons):
        yield "season", str(season), tally.groups[ALL][:, 0] * (seasons == season)[:, None]
    for place, day in enumerate(days):
        yield "date", str(day), tally.groups[ALL][:, 0] * (np.arange(len(days)) == place)[:, None]


def _bins() -> list[str]:
    return [f"{place / BINS:g} to {(place + 1) / BINS:g}" for place in range(BINS)]


def _spans() -> list[str]:
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(SPAN_EDGES)]
    return [f"below {SPAN_EDGES[0]:g}", *inner, f"{SPAN_EDGES[-1]:g} and more"]


def _row(of: str, name: str, values: Floats, drawn: Floats, level: float) -> dict[str, object]:
    n, covered, width, score = values.sum(axis=0)
    dates = int((values[:, 0] > 0).sum())
    low, high = _ends(drawn @ values[:, 1], drawn @ values[:, 0], level) if dates > 1 else (np.nan, np.nan)
    return {
        "of": of,
        "group": name,
        "dates": dates,
        "n": int(n),
        COVERED: covered / n,
        "low": low,
        "high": high,
        "width": width / n,
        "score": score / n,
    }


def _ends(top: Floats, bottom: Floats, level: float) -> tuple[float, float]:
    """Ends of the percentile interval of a quotient, over the draws in which there is one; NaN without any."""
    some = bottom > 0
    if not some.any():
        return float("nan"), float("nan")
    low, high = np.quantile(top[some] / bottom[some], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _reliability(tally: IntervalTally, drawn: Floats, level: float) -> pd.DataFrame:
    rows = []
    for number, threshold in enumerate(tally.thresholds):
        for values in tally.reliability[:, number].transpose(1, 0, 2):
            n, forecast, above = values.sum(axis=0)
            if n == 0:
                continue
            low, high = _ends(drawn @ values[:, 2], drawn @ values[:, 0], level)
            found = {"threshold": threshold, "n": int(n), "forecast": forecast / n, "observed": above / n}
            rows.append({**found, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["threshold", "n", "forecast", "observed", "low", "high"])


def _pit(tally: IntervalTally, drawn: Floats, level: float) -> pd.DataFrame:
    total, whole = tally.pit.sum(axis=1), tally.pit.sum()
    rows = []
    for place in range(PIT_BINS):
        low, high = _ends(drawn @ tally.pit[:, place], drawn @ total, level)
        share = tally.pit[:, place].sum() / whole
        rows.append({"rank": (place + 0.5) / PIT_BINS, "share": share, "low": low, "high": high})
    return pd.DataFrame(rows)


def _sentence(groups: pd.DataFrame, level: float) -> str:
    """Coverage is of dates: their number stands for how much is known of it, and never that of pixels."""
    whole = groups[groups["of"] == ALL].iloc[0]
    dates = groups[groups["of"] == "date"]
    seasons = int((groups["of"] == "season").sum())
    worst = dates.sort_values(COVERED).iloc[0]
    return (
        f"the {level:.0%} intervals held {whole[COVERED]:.3f} [{whole['low']:.2f}, {whole['high']:.2f}] of the labels "
        f"on {whole['dates']} held-out dates in {seasons} season{'s' if seasons > 1 else ''}, mean width "
        f"{whole['width']:.2f}; worst date {worst['group']}: {worst[COVERED]:.2f}"
    )
