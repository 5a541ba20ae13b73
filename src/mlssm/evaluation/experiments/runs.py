"""The trainings that an experiment compares, and the scores found in them, with the reason where there are none."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("n", "r2", "r2_cap", "rmse", "mae", "corr", "bias")
REQUIRED = ("model", "kind", "split", "distribution", *SCORES)
UNDEFINED = "not defined on these pixels: none is labelled, or all labels are the same"


@dataclass(frozen=True)
class Setting:
    """What an experiment varies.

    Attributes:
        lag: Days of the antecedent window.
        sampler: Of the training patches, e.g. `natural` or `two_pass`.
        split: E.g. `by_season`.
    """

    lag: int
    sampler: str
    split: str

    def __str__(self) -> str:
        """In the words of the command line."""
        return f"model.lag={self.lag} sampler={self.sampler} split={self.split}"


@dataclass(frozen=True)
class TrainedRun:
    """A training that ended, and its `scores.csv`.

    Attributes:
        lag: Days of the antecedent window.
        sampler: Of the training patches.
        split: Of dates and places.
        scores: A row a model, split (`train`, `val`, `test`) and distribution (`natural`, `balanced`, `two_pass`), with
            the columns `REQUIRED`, and where known `r2_low`, `r2_high` and `reason`. `kind` is `network` of one model,
            and `control` or `baseline` of the others.
    """

    lag: int
    sampler: str
    split: str
    scores: pd.DataFrame

    def __post_init__(self) -> None:
        """Refuse scores that lack a column.

        Raises:
            ValueError: A column is missing.
        """
        missing = [name for name in REQUIRED if name not in self.scores]
        if missing:
            raise ValueError(f"the scores of {self.setting} lack the columns {missing}")

    @property
    def setting(self) -> Setting:
        """What the run was trained with."""
        return Setting(self.lag, self.sampler, self.split)


@dataclass(frozen=True)
class FailedRun:
    """A training that left no scores, and why."""

    lag: int
    sampler: str
    split: str
    reason: str

    @property
    def setting(self) -> Setting:
        """What the run should have been trained with."""
        return Setting(self.lag, self.sampler, self.split)


@dataclass(frozen=True)
class Found:
    """One model's scores on one split and distribution; SSM units.

    Attributes:
        n: Pixels.
        r2: Coefficient of determination.
        r2_low: Lower end of its interval; NaN = unknown, or the mean of several runs.
        r2_high: Upper end.
        r2_cap: That of the best prediction that knows the noise-free backscatter.
        rmse: Root mean square error.
        mae: Mean absolute error.
        corr: Pearson's correlation.
        bias: Mean of prediction - label.
        reason: Why scores are NaN; empty where none is.
    """

    n: float
    r2: float
    r2_low: float
    r2_high: float
    r2_cap: float
    rmse: float
    mae: float
    corr: float
    bias: float
    reason: str

    @classmethod
    def nothing(cls, reason: str) -> Found:
        """No score at all."""
        return cls(*(math.nan,) * 9, reason=reason)


@dataclass(frozen=True)
class Children:
    """All trainings of an experiment."""

    runs: tuple[TrainedRun, ...]
    failures: tuple[FailedRun, ...] = ()

    @property
    def settings(self) -> list[Setting]:
        """What was trained, or should have been, each once."""
        trained, failed = [run.setting for run in self.runs], [run.setting for run in self.failures]
        return list(dict.fromkeys(trained + failed))

    def count(self, setting: Setting) -> int:
        """How many runs have scores under a setting: more than one where they differ in their seed."""
        return sum(run.setting == setting for run in self.runs)

    def baselines(self, setting: Setting) -> list[str]:
        """The baselines scored under a setting, each once."""
        scores = [run.scores for run in self.runs if run.setting == setting]
        return list(
            dict.fromkeys(str(name) for part in scores for name in part.loc[part["kind"] == "baseline", "model"])
        )

    def find(self, setting: Setting, split: str, distribution: str, model: str | None = None) -> Found:
        """A model's scores; the mean of them where several runs have the same setting.

        Args:
            setting: Of the training.
            split: `train`, `val` or `test`.
            distribution: `natural`, `balanced` or `two_pass`.
            model: Its name in the scores; None = the network.

        Returns:
            The scores, NaN with the reason where there are none.
        """
        runs = [run for run in self.runs if run.setting == setting]
        if not runs:
            return Found.nothing(self._why_missing(setting))
        rows = [row for run in runs for row in _rows(run.scores, model, split, distribution)]
        if not rows:
            cure = "; evaluation.two_pass=true does it" if distribution == "two_pass" else ""
            return Found.nothing(
                f"{model or 'the network'} was not scored on {split}, {distribution} ({setting}){cure}"
            )
        return _mean(rows)

    def _why_missing(self, setting: Setting) -> str:
        reasons = dict.fromkeys(run.reason for run in self.failures if run.setting == setting)
        return f"{setting}: {'; '.join(reasons)}" if reasons else f"no run of {setting}"


def _rows(scores: pd.DataFrame, model: str | None, split: str, distribution: str) -> list[dict[Hashable, Any]]:
    of_model = scores["kind"] == "network" if model is None else scores["model"] == model
    there = (scores["split"] == split) & (scores["distribution"] == distribution)
    return scores[of_model & there].to_dict("records")


def _mean(rows: Sequence[Mapping[Hashable, Any]]) -> Found:
    means = {name: fmean(float(row[name]) for row in rows) for name in SCORES}
    single = rows[0] if len(rows) == 1 else {}  # the mean of several intervals is no interval
    ends = {name: float(single.get(name, math.nan)) for name in ("r2_low", "r2_high")}
    told = [row["reason"] for row in rows if isinstance(row.get("reason"), str) and row["reason"]]
    reason = (told[0] if told else UNDEFINED) if any(map(math.isnan, means.values())) else ""
    return Found(**means, **ends, reason=reason)
