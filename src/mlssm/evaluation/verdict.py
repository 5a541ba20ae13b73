"""What a run comes to, in plain words: whether it is any better than something simple, and what to beware of.

The one place that decides it: the terminal, the report, MLflow's description and the run's tags say the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from mlssm.evaluation.rows import best_baseline
from mlssm.evaluation.table import ScoreRow
from mlssm.scores.bootstrap import ONE_BLOCK, Interval, Resampling, difference, differs, resample

Side: TypeAlias = Literal["better", "worse", "not told apart", "not compared"]
FEW_DATES = 5  # labelled test dates, below which a score is that of a few days' weather
LOW_CAP = 0.3  # R2 that no model passes, below which the labels are mostly noise


@dataclass(frozen=True)
class Verdict:
    """What a run comes to on the test split, natural.

    Attributes:
        side: On which side of the best baseline the network lies, by the paired interval of their RMSE.
        sentence: The same in words, with the numbers, SSM units.
        cautions: A sentence each on what makes the scores say less than they seem to; mostly empty.
    """

    side: Side
    sentence: str
    cautions: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentence, and then the cautions."""
        return (self.sentence, *self.cautions)


def verdict(rows: Sequence[ScoreRow], sums: Mapping[str, Tensor], resampling: Resampling) -> Verdict:
    """Judge the network against the best baseline, which is the one with the lowest RMSE on the test split.

    Args:
        rows: The table; has the network's row of the test split, natural.
        sums: Of the test split, by model, float64 [dates, blocks, bins, len(SUMS)].
        resampling: How the paired differences are drawn.
    """
    (network,) = (row for row in rows if row.labels[1:] == ("test", "natural") and row.kind == "network")
    best = best_baseline(rows, "test", "natural")
    dates = int((sums[network.model][..., 0].flatten(1).sum(1) > 0).sum())
    if best is None:
        sentence = f"{network.model} was not compared: no baseline has a score on the test split"
        return Verdict("not compared", sentence, cautions(dates, network.scores.r2_cap))
    found = difference(resample(sums[network.model], resampling), resample(sums[best.model], resampling))
    told = () if found.reason != ONE_BLOCK else (f"intervals: {ONE_BLOCK}",)
    why = "" if found.reason == ONE_BLOCK else found.reason
    side, sentence = judged(network, best, found.rmse, why)
    return Verdict(side, sentence, (*cautions(dates, network.scores.r2_cap), *told))


def judged(network: ScoreRow, best: ScoreRow, interval: Interval, reason: str) -> tuple[Side, str]:
    """The side, and the sentence.

    Args:
        network: Its scores.
        best: Those of the best baseline.
        interval: Of the network's RMSE less the baseline's; NaN where it is not defined.
        reason: Why it is not.
    """
    change = network.scores.rmse - best.scores.rmse
    if math.isnan(interval.low):
        return "not told apart", f"{network.model} is not told apart from {best.model}: no interval ({reason})"
    if not differs(interval):
        ends = f"{interval.low:+.3f} to {interval.high:+.3f}"
        return "not told apart", f"{network.model} is not told apart from {best.model}: RMSE {change:+.3f} ({ends})"
    ends = " to ".join(f"{end:.3f}" for end in sorted((abs(interval.low), abs(interval.high))))
    amount = f"{best.model} by {abs(change):.3f} RMSE ({ends})"
    if interval.high < 0:
        return "better", f"{network.model} is better than {amount}"
    return "worse", f"{network.model} is worse than {amount}: do not use it"


def cautions(dates: int, cap: float) -> tuple[str, ...]:
    """What makes test scores say less than they seem to.

    Args:
        dates: Labelled dates of the test split.
        cap: R2 that no model passes there; NaN where it is not known.
    """
    found = []
    if dates < FEW_DATES:
        days = "1 test date" if dates == 1 else f"{dates} test dates"
        found.append(f"only {days}: the scores are of those days' weather, and say little of others")
    if cap < LOW_CAP:
        found.append(
            f"the cap of R2 is {cap:.2f}: most of what the labels vary by is speckle, which no model can know; average "
            "over more metres (retrieval.multilook_m)"
        )
    return tuple(found)
