"""The tables of maps against the ground: by station and series, and pooled over stations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.evaluation.ground.matched import Matched
from mlssm.evaluation.ground.scores import NOTHING, HowToScore, Score, StationScores, gain, score
from mlssm.scores.temporal import Quartiles

ALL, HELD_OUT, IMAGES = "all days", "days of seasons not trained on", "days of images"


@dataclass(frozen=True)
class Series:
    """Something that is compared with stations.

    Attributes:
        column: Of `Matched.days`.
        title: What it is called.
        days: On which days.
    """

    column: str
    title: str
    days: str


MODEL, RAIN = Series("model", "model", ALL), Series("rain", "rain alone", ALL)
SERIES = (
    MODEL,
    Series("response", "closed form", ALL),
    Series("fitted_rain", "antecedent rain, fitted", ALL),
    RAIN,
    Series("model", "model", HELD_OUT),
    Series("rain", "rain alone", HELD_OUT),
    Series("retrieved", "retrieved from images", IMAGES),
    Series("model", "model", IMAGES),
    Series("rain", "rain alone", IMAGES),
)


@dataclass(frozen=True)
class Scored:
    """A station's scores.

    Attributes:
        matched: The station and its days.
        scores: Of each series that there is.
        gains: Correlation of each less that of rain alone on the same days; not of rain itself.
    """

    matched: Matched
    scores: dict[Series, StationScores]
    gains: dict[Series, Score]

    @classmethod
    def of(cls, each: Matched, how: HowToScore, least_images: int) -> Scored:
        """Score all series on the days that the model and rain have as well: series of the same days are alike.

        Args:
            each: The station.
            how: To score.
            least_images: Days of images that a score needs.
        """
        scores = {}
        for series in SERIES:
            rows = each.days[_on(each.days, series.days)]
            if series is MODEL or rows[series.column].notna().any():
                own = replace(how, least_days=least_images) if series.days == IMAGES else how
                scores[series] = score(rows[series.column], rows["station"], own)
        rain = {series.days: found for series, found in scores.items() if series.column == "rain"}
        gains = {
            series: gain(found, rain[series.days])
            for series, found in scores.items()
            if series.column != "rain" and series.days in rain
        }
        return cls(each, scores, gains)


def _on(days: pd.DataFrame, which: str) -> npt.NDArray[np.bool_]:
    """The days of a kind."""
    there = days[["model", "rain", "station"]].notna().all(axis=1)
    if which == HELD_OUT:
        there &= days["held_out"]
    if which == IMAGES:
        there &= days["retrieved"].notna()
    return there.to_numpy(bool)


def station_table(many: Sequence[Scored]) -> pd.DataFrame:
    """A row a station, series and kind of days."""
    rows: list[dict[str, Any]] = []
    for each in many:
        for series, found in each.scores.items():
            row = {"station": each.matched.station.name, "series": series.title, "days": series.days, "n": found.n}
            row |= found.r.columns("r") | found.anomaly_r.columns("anomaly_r") | found.ubrmsd.columns("ubrmsd")
            row |= each.gains.get(series, NOTHING).columns("r_gain")
            rows.append({**row, "reason": found.reason})
    return pd.DataFrame(rows)


def pooled_table(many: Sequence[Scored]) -> pd.DataFrame:
    """A row a series and kind of days: medians over stations, and at what share of them it is significant."""
    rows = []
    for series in SERIES:
        own = [each for each in many if series in each.scores and np.isfinite(each.scores[series].r.value)]
        if not own:
            continue
        found = [each.scores[series] for each in own]
        r = _quartiles([each.r.value for each in found])
        row: dict[str, Any] = {"series": series.title, "days": series.days, "stations": len(own)}
        row |= {"station_days": sum(each.n for each in found)}
        row |= {"r_median": r.median, "r_q25": r.q25, "r_q75": r.q75}
        row |= {"share_r_above_0": _share([each.r for each in found])}
        row |= {"anomaly_r_median": _median([each.anomaly_r.value for each in found])}
        row |= {"share_anomaly_r_above_0": _share([each.anomaly_r for each in found])}
        row |= {"ubrmsd_median": _median([each.ubrmsd.value for each in found])}
        gains = [each.gains[series] for each in own if series in each.gains]
        row |= {"r_gain_median": _median([each.value for each in gains]), "share_better_than_rain": _share(gains)}
        rows.append(row)
    return pd.DataFrame(rows)


def places_table(many: Sequence[Scored]) -> pd.DataFrame:
    """A row a station: where it stands, and what is known of it."""
    rows = []
    for each in many:
        station, days = each.matched.station, each.matched.days
        known = days["station"].notna()
        rows.append(
            {
                "station": station.name,
                "longitude": station.longitude,
                "latitude": station.latitude,
                "from_pixel_middle_m": each.matched.distance_m,
                "sensors": len(station.sensors),
                "days_measured": int(known.sum()),
                "days_mapped": int((known & days["model"].notna()).sum()),
                "images": int((known & days["retrieved"].notna()).sum()),
                "days_frozen": station.frozen,
                "first": str(days.index[known].min())[:10] if known.any() else "",
                "last": str(days.index[known].max())[:10] if known.any() else "",
                "mean_m3m3": float(days["station"].mean()),
                "rain_decay_days": each.matched.decay_days,
            }
        )
    return pd.DataFrame(rows)


def _quartiles(values: Sequence[float]) -> Quartiles:
    return Quartiles.of(np.array(values, float), "no station has one")


def _median(values: Sequence[float]) -> float:
    return _quartiles(values).median if values else float("nan")


def _share(scores: Sequence[Score]) -> float:
    """Share of those with an interval whose interval lies above 0; NaN without any."""
    known = [each for each in scores if np.isfinite(each.interval.low)]
    return sum(each.interval.low > 0 for each in known) / len(known) if known else float("nan")
