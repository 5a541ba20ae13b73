"""Scores taken apart: by date, extent and moisture, by what the error is made of, by what is correlated with what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor

from mlssm.config import WindowConfig
from mlssm.cube import Cube
from mlssm.evaluation.evaluate import Evaluation, SplitEvaluation
from mlssm.evaluation.where import parts_table, window_rain, worst_dates
from mlssm.scores.decomposition import decompose
from mlssm.scores.detection import detections
from mlssm.scores.sums import Scores, per_bin, per_date, per_extent
from mlssm.scores.temporal import Quartiles

NO_SPATIAL = "no date has labels and predictions that vary"


@dataclass(frozen=True)
class Breakdown:
    """The tables that an evaluation is taken apart into, by the names of the artifacts that they become."""

    by_date: pd.DataFrame
    by_bin: pd.DataFrame
    by_extent: pd.DataFrame
    detection: pd.DataFrame
    decomposition: pd.DataFrame
    correlation: pd.DataFrame
    variance_parts: pd.DataFrame
    worst_dates: pd.DataFrame

    @classmethod
    def of(cls, evaluation: Evaluation, cube: Cube, window: WindowConfig) -> Breakdown:
        """Make them, once a run; the antecedent window is that of the weather."""
        days = cube.local_days
        return cls(
            by_date=scores_by_date(evaluation, days),
            by_bin=scores_by_bin(evaluation),
            by_extent=scores_by_extent(evaluation),
            detection=detection_table(evaluation),
            decomposition=decomposition_table(evaluation),
            correlation=correlation_table(evaluation),
            variance_parts=parts_table(evaluation),
            worst_dates=worst_dates(evaluation, days, window_rain(cube, window)),
        )


def scores_by_date(evaluation: Evaluation, days: npt.NDArray[np.datetime64]) -> pd.DataFrame:
    """Natural scores of each model on each date, with the means of labels and predictions.

    Args:
        evaluation: The sums.
        days: Local day of each acquisition in the cube.
    """
    return pd.DataFrame(
        {"split": split, "date": str(days[time]), "model": model, **_means(sums[place]), **_all(found)}
        for split, part, model, sums in _models(evaluation)
        for place, (time, found) in enumerate(zip(part.times, per_date(sums), strict=True))
    )


def scores_by_extent(evaluation: Evaluation) -> pd.DataFrame:
    """Natural scores of each model on each extent, numbered from 1."""
    return pd.DataFrame(
        {"split": split, "extent": extent + 1, "model": model, **_all(found)}
        for split, part, model, sums in _models(evaluation)
        for extent, found in enumerate(per_extent(sums, part.blocks.tolist()))
    )


def scores_by_bin(evaluation: Evaluation) -> pd.DataFrame:
    """Number of pixels, bias, RMSE and MAE of each model in each bin of retrieved SSM, driest first.

    R2 and correlation are left out: within a bin the labels hardly vary.
    """
    return pd.DataFrame(
        {"split": split, "ssm_from": low, "ssm_to": high, "model": model, **_errors(found)}
        for split, _, model, sums in _models(evaluation)
        for low, high, found in _binned(per_bin(sums))
    )


def detection_table(evaluation: Evaluation) -> pd.DataFrame:
    """Detection of wet states by each model, a row a threshold; see `Detection`."""
    thresholds = evaluation.config.wet_thresholds
    return pd.DataFrame(
        {"split": split, "model": model, **asdict(found)}
        for split, part in evaluation.splits.items()
        for model, counts in part.wet.items()
        for found in detections(counts, thresholds)
    )


def decomposition_table(evaluation: Evaluation) -> pd.DataFrame:
    """What each model's mean square error is made of, natural; see `Decomposition`."""
    rows = []
    for split, _, model, sums in _models(evaluation):
        found = decompose(sums)
        rows.append({"split": split, "model": model, **asdict(found), "reason": found.reason})
    return pd.DataFrame(rows)


def correlation_table(evaluation: Evaluation) -> pd.DataFrame:
    """Quartiles of the correlations over time (of pixels) and over space (of dates), beside the pooled one."""
    return pd.DataFrame(
        {"split": split, "model": model, "over": over, **asdict(found)}
        for split, part, model, sums in _models(evaluation)
        for over, found in (("time", part.temporal[model]), ("space", spatial_correlation(sums)))
    )


def spatial_correlation(sums: Tensor) -> Quartiles:
    """Pearson's correlation over the pixels of a date, summed up over dates; `sums` is [dates, ...]."""
    return Quartiles.of(np.array([found.corr for found in per_date(sums)]), NO_SPATIAL)


def _models(evaluation: Evaluation) -> Iterator[tuple[str, SplitEvaluation, str, Tensor]]:
    for split, part in evaluation.splits.items():
        for model, sums in part.sums.items():
            yield split, part, model, sums


def _all(found: Scores) -> dict[str, Any]:
    return {**asdict(found), "reason": found.reason}


def _errors(found: Scores) -> dict[str, Any]:
    reason = found.reason if np.isnan(found.rmse) else ""
    return {"n": found.n, "bias": found.bias, "rmse": found.rmse, "mae": found.mae, "reason": reason}


def _means(sums: Tensor) -> dict[str, float]:
    totals = sums.flatten(0, -2).sum(0)
    return {"observed": float(totals[1] / totals[0]), "predicted": float(totals[2] / totals[0])}


def _binned(found: Sequence[Scores]) -> list[tuple[float, float, Scores]]:
    edges = np.linspace(0, 1, len(found) + 1).round(6).tolist()
    return list(zip(edges[:-1], edges[1:], found, strict=True))
