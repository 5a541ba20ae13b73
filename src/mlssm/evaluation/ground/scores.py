"""How well maps follow a station: correlation, correlation of anomalies, and distance after rescaling.

As `pytesmo` defines them, which QA4SM uses as well. Maps are relative: they say nothing of m3/m3, so that a bias means
nothing, and an RMSD holds only after they were brought to the station's units. Intervals are of a bootstrap of whole
blocks of days, as days are correlated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from mlssm.errors import ConfigError
from mlssm.evaluation.ground.rescaling import NEEDS, fit_rescaling
from mlssm.scores.bootstrap import (
    Interval,
    Replicates,
    Resampling,
    difference,
    intervals,
    resample,
    unbiased_rmse,
)
from mlssm.scores.sums import SUMS, terms

Floats = npt.NDArray[np.floating[Any]]
LEAST_BLOCKS = 5  # of days, for an interval
NO_INTERVAL = Interval(math.nan, math.nan)


@dataclass(frozen=True)
class HowToScore:
    """What scores are told.

    Attributes:
        scaling: Before ubRMSD.
        anomaly_days: Length of the running mean that anomalies are left of.
        block_days: Days that the bootstrap draws together.
        least_days: Fewer have no score.
        resampling: Of the bootstrap.
    """

    scaling: Literal["mean_std", "cdf"]
    anomaly_days: int
    block_days: int
    least_days: int
    resampling: Resampling


@dataclass(frozen=True)
class Score:
    """A score and its interval; NaN where not defined."""

    value: float
    interval: Interval

    def columns(self, name: str) -> dict[str, float]:
        """As columns of a table."""
        return {name: self.value, f"{name}_low": self.interval.low, f"{name}_high": self.interval.high}


NOTHING = Score(math.nan, NO_INTERVAL)


@dataclass(frozen=True)
class StationScores:
    """Scores of one series against a station.

    Attributes:
        n: Days.
        r: Correlation.
        anomaly_r: Of anomalies.
        ubrmsd: m3/m3, after rescaling.
        replicates: Draws of the correlation, to be paired with another series' of the same days.
        reason: Why there are none.
    """

    n: int
    r: Score
    anomaly_r: Score
    ubrmsd: Score
    replicates: Replicates | None
    reason: str


def score(values: pd.Series[float], station: pd.Series[float], how: HowToScore) -> StationScores:
    """Score a series on the days that both have.

    Args:
        values: Of a map or a baseline, by day; any units.
        station: m3/m3, by day.
        how: What to score, and how to draw.

    Raises:
        ConfigError: The package pytesmo is missing.
    """
    pairs = pd.DataFrame({"values": values, "station": station}).dropna()
    reason = _reason(pairs, how)
    if reason:
        return StationScores(len(pairs), NOTHING, NOTHING, NOTHING, None, reason)
    x, y = pairs["values"].to_numpy(float), pairs["station"].to_numpy(float)
    block = _blocks(pairs.index, how.block_days)
    few = len(np.unique(block)) < LEAST_BLOCKS
    note = f"{len(np.unique(block))} blocks of {how.block_days} days: no interval" if few else ""
    drawn = None if few else _draw(x, y, block, how.resampling)
    r = Score(_pytesmo("pearson_r", x, y), NO_INTERVAL if drawn is None else intervals(drawn).corr)
    anomaly = _anomaly_score(pairs, block, few, how)
    scaled = np.asarray(fit_rescaling(how.scaling, x, y)(x), float)
    of_scaled = None if few else _draw(scaled, y, block, how.resampling)
    apart = Score(_pytesmo("ubrmsd", scaled, y), NO_INTERVAL if of_scaled is None else unbiased_rmse(of_scaled))
    return StationScores(len(pairs), r, anomaly, apart, drawn, note)


def gain(one: StationScores, other: StationScores) -> Score:
    """Correlation of one series less that of another of the same days, with a paired interval."""
    value = one.r.value - other.r.value
    if one.replicates is None or other.replicates is None or one.n != other.n:
        return Score(value if one.n == other.n else math.nan, NO_INTERVAL)
    return Score(value, difference(one.replicates, other.replicates).corr)


def anomalies(values: pd.Series[float], days: int) -> pd.Series[float]:
    """What is left of a centred running mean over so many days, by `pytesmo.time_series.anomaly.calc_anomaly`."""
    try:
        from pytesmo.time_series.anomaly import calc_anomaly
    except ImportError:
        raise ConfigError(NEEDS) from None
    found: pd.Series[float] = calc_anomaly(values, window_size=days)
    return found


def _reason(pairs: pd.DataFrame, how: HowToScore) -> str:
    if len(pairs) < how.least_days:
        return f"{len(pairs)} days, fewer than {how.least_days}"
    constant = [name for name in pairs if np.ptp(pairs[name].to_numpy(float)) == 0]
    return f"the {constant[0]} do not vary" if constant else ""


def _anomaly_score(pairs: pd.DataFrame, block: npt.NDArray[np.int64], few: bool, how: HowToScore) -> Score:
    x, y = (anomalies(pairs[name], how.anomaly_days).to_numpy(float) for name in ("values", "station"))
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3 or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return NOTHING
    value = _pytesmo("pearson_r", x[known], y[known])
    if few:
        return Score(value, NO_INTERVAL)
    return Score(value, intervals(_draw(x[known], y[known], block[known], how.resampling)).corr)


def _pytesmo(name: str, x: Floats, y: Floats) -> float:
    try:
        import pytesmo.metrics
    except ImportError:
        raise ConfigError(NEEDS) from None
    return float(getattr(pytesmo.metrics, name)(np.asarray(x, np.float64), np.asarray(y, np.float64)))


def _blocks(days: pd.Index[Any], length: int) -> npt.NDArray[np.int64]:
    """Which block each day is of, by the calendar, so that all series of a station have the same ones."""
    number = days.to_numpy().astype("datetime64[D]").astype(np.int64) // length
    return np.asarray(np.unique(number, return_inverse=True)[1], np.int64)


def _draw(values: Floats, station: Floats, block: npt.NDArray[np.int64], resampling: Resampling) -> Replicates:
    """Sums of each draw of blocks; see `mlssm.scores.bootstrap`, whose dates are the blocks here."""
    p, y = (torch.from_numpy(np.asarray(each, np.float64)) for each in (values, station))
    sums: Tensor = torch.zeros(len(SUMS), int(block.max()) + 1, dtype=torch.float64)
    sums.index_add_(1, torch.from_numpy(block), terms(p, y, torch.zeros_like(y), y))
    return resample(sums.T[:, None, None], resampling)
