"""Where the error of an evaluation lies: between dates, extents or pixels, and on which dates most of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import WindowConfig
from mlssm.cube import Cube
from mlssm.data.assemble import window_ends
from mlssm.evaluation.evaluate import Evaluation
from mlssm.scores.temporal import LABELS
from mlssm.scores.where import PREDICTION, TARGET, N, error_shares, variance_parts
from mlssm.weather.placement import placement_warnings
from mlssm.weather.stations import VARIABLES
from mlssm.weather.windows import antecedent

MOST_DATES = 5
PARTS = ("offset", "date", "date_extent", "pixel", "rest")


def parts_table(evaluation: Evaluation) -> pd.DataFrame:
    """What the variance of the labels and each model's mean squared error are made of; see `VarianceParts`."""
    rows = []
    for split, part in evaluation.splits.items():
        extents, of_labels = part.blocks.tolist(), next(iter(part.sums.values()))
        found = variance_parts(of_labels, extents, part.between_pixels[LABELS], "labels")
        rows.append({"split": split, "model": LABELS, **asdict(found), "reason": found.reason})
        for model, sums in part.sums.items():
            found = variance_parts(sums, extents, part.between_pixels[model], "error")
            rows.append({"split": split, "model": model, **asdict(found), "reason": found.reason})
    return pd.DataFrame(rows)


def worst_dates(
    evaluation: Evaluation, days: npt.NDArray[np.datetime64], rain: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """The dates that carry most of each model's sum of squared errors, `MOST_DATES` at most, the worst first.

    Args:
        evaluation: The sums.
        days: Local day of each acquisition in the cube.
        rain: Of its antecedent window, mm; see `window_rain`.
    """
    rows = []
    for split, part in evaluation.splits.items():
        for model, sums in part.sums.items():
            shares, totals = error_shares(sums).numpy(), sums.flatten(1, -2).sum(1).numpy()
            for place in np.argsort(-np.nan_to_num(shares), kind="stable")[:MOST_DATES]:
                n, time = totals[place, N], part.times[place]
                observed, predicted = (float(totals[place, name] / n) for name in (TARGET, PREDICTION))
                means = {"n": int(n), "observed": observed, "predicted": predicted, "window_rain": float(rain[time])}
                row = {"split": split, "model": model, "date": str(days[time]), "share": float(shares[place])}
                rows.append(row | means)
    return pd.DataFrame(rows)


def window_rain(cube: Cube, window: WindowConfig) -> npt.NDArray[np.float64]:
    """Rain of each acquisition's antecedent window, mean of the stations that have any of it, mm [time]."""
    values = antecedent(cube.weather, window_ends(cube, window), window.lag, "sequence", 1.0)
    rain = values[..., VARIABLES.index("precipitation")]
    known = np.isfinite(rain).any(axis=1)
    total = np.where(known, np.nansum(rain, axis=1), 0).sum(axis=1)
    stations = known.sum(axis=1)
    return np.asarray(np.divide(total, stations, out=np.full(len(total), np.nan), where=stations > 0))


def doubts(cube: Cube) -> tuple[str, ...]:
    """What is wrong with where the stations stand: a front that they miss is an error that no model can mend."""
    return placement_warnings(cube.station_xy, [cube.grid.crop(extent).bounds for extent in cube.extents])


def sentences(parts: pd.DataFrame, worst: pd.DataFrame, model: str) -> tuple[str, ...]:
    """Two lines on a model's test split, for the log and the report; none where nothing was scored."""
    row = parts[(parts["split"] == "test") & (parts["model"] == model)]
    if row.empty or not row["total"].iloc[0] > 0:
        return ()
    whole = row.iloc[0]
    shares = ", ".join(f"{whole[name] / whole['total']:.0%} {_word(name)}" for name in PARTS)
    dates = worst[(worst["split"] == "test") & (worst["model"] == model)]
    return (f"the squared error of {model} on the test split: {shares}", "most of it: " + "; ".join(_named(dates)))


def _word(name: str) -> str:
    return name.replace("date_extent", "date x extent")


def _named(dates: pd.DataFrame) -> Iterator[str]:
    for row in dates.to_dict("records"):
        rain, means = row["window_rain"], f"labels {row['observed']:.2f}, predicted {row['predicted']:.2f}"
        fallen = "rain unknown" if np.isnan(rain) else f"{rain:.0f} mm of rain in the window"
        yield f"{row['date']} ({row['share']:.0%}; {means}, {fallen})"
