"""Scores from streaming float64 sums: exact in any batching, and over processes."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, cast, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

Distribution = Literal["natural", "balanced"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)
SUMS = (
    "n",
    "target",
    "prediction",
    "target^2",
    "prediction^2",
    "prediction x target",
    "|prediction - target|",
    "(prediction - target)^2",
    "attainable",
    "attainable^2",
    "attainable x target",
)
SCORES = ("r2", "rmse", "mae", "corr", "bias", "r2_cap")  # columns of `score_values`
CONSTANT = 1e-9  # a variance below this share of the mean square is float rounding, not spread


@dataclass(frozen=True)
class Scores:
    """How well predictions fit labels; a score that is not defined (no pixels, constant values) is NaN.

    Attributes:
        n: Number of pixels, whatever they weigh.
        r2: Coefficient of determination, 1 - SSE / SST (Nash & Sutcliffe 1970, doi:10.1016/0022-1694(70)90255-6).
        rmse: Root mean square error, SSM units.
        mae: Mean absolute error, SSM units.
        corr: Pearson's correlation coefficient.
        bias: Mean of prediction - target, SSM units.
        r2_cap: R2 of the best prediction that knows the noise-free backscatter of the date and the fitted references,
            Cov(m, y)^2 / (Var(m) Var(y)), 0..1. m is what `mlssm.retrieval.label_error` says is attainable, of which
            mean and mean square are known for each label y, and Var(y) that of the noisy labels, which R2 is measured
            against as well. On the balanced distribution, where m itself hedges too much, that is its best affine map.
            Where the variance of labels that is their track's own is known (`mlssm.retrieval.track_variance`), R2 of
            the best prediction that does not know that either, less by that variance / Var(y).
    """

    n: int
    r2: float
    rmse: float
    mae: float
    corr: float
    bias: float
    r2_cap: float

    @property
    def reason(self) -> str:
        """Why a score is not defined; empty where all are."""
        if self.n == 0:
            return "no labelled pixels"
        if math.isnan(self.rmse):
            return "predictions are not finite"
        if math.isnan(self.r2):
            return "labels do not vary"
        return "predictions do not vary" if math.isnan(self.corr) else ""


def pixel_sums(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor,
    standard_error: Tensor,
    attainable: Tensor,
    group: Tensor,
    *,
    groups: int,
    bins: int,
) -> Tensor:
    """Sums over the valid pixels of each group and SSM bin.

    Args:
        prediction: SSM, [B, ...].
        target: SSM 0..1, [B, ...].
        valid: Bool, [B, ...]; other values are not read where it is False.
        standard_error: Of the target, SSM units, [B, ...].
        attainable: Mean best prediction of the target, [B, ...].
        group: Which date or other group a pixel is of, 0..groups - 1; int64, [B] or the shape of `valid`.
        groups: Number of groups.
        bins: Number of equal bins of the target over [0, 1]; 1 falls into the last.

    Returns:
        [groups, bins, len(SUMS)], float64, columns as in `SUMS`.
    """
    p, y, se, best = (values.detach()[valid].double() for values in (prediction, target, standard_error, attainable))
    shape = group.shape + (1,) * (valid.ndim - group.ndim)
    cell = group.reshape(shape).expand_as(valid)[valid] * bins + bin_of(y, bins)
    sums = y.new_zeros(len(SUMS), groups * bins)
    sums.index_add_(1, cell, terms(p, y, se, best))
    return sums.T.reshape(groups, bins, len(SUMS))


def bin_of(target: Tensor, bins: int) -> Tensor:
    """Which of the equal bins over [0, 1] a target falls into; int64, 1 falls into the last."""
    return (target * bins).long().clamp(0, bins - 1)


def terms(prediction: Tensor, target: Tensor, standard_error: Tensor, attainable: Tensor) -> Tensor:
    """What each pixel adds to the `SUMS`, [len(SUMS), pixels]; arguments float64 [pixels]."""
    p, y, best = prediction, target, attainable
    error, square = p - y, standard_error**2 - (y - best) ** 2 + best**2
    of_both = torch.ones_like(y), y, p, y * y, p * p, p * y, error.abs(), error * error
    return torch.stack((*of_both, best, square, best * y))


class Float64Sums(Metric):
    """Sums over all batches and processes.

    The states stay float64 whatever precision the module around them is cast to. Apple's mps has no float64, so they
    cannot live there.
    """

    full_state_update = False

    def add_sum(self, name: str, *shape: int, persistent: bool = False) -> None:
        """Add a sum that starts from zero; a persistent one is part of the module's state."""
        self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum", persistent=persistent)

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Self:
        # torchmetrics lets `Module.to(dtype)` through, which precision="bf16-true" calls: follow the device only
        super()._apply(fn, exclude_state=(*self._defaults, *exclude_state))
        for name in self._defaults:
            state = getattr(self, name).to(self.device)
            setattr(self, name, state)
            self._defaults[name] = torch.zeros_like(state)
        return self


class MeanLoss(Float64Sums):
    """The mean loss over all batches since the last reset, and over all processes; NaN where nothing was counted.

    Its states are part of the module's, so that a checkpoint in mid-epoch keeps them: see `joined` and `keep_on_first`.
    """

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        """Start from zero."""
        super().__init__()
        self.add_sum("total", persistent=True)
        self.add_sum("count", persistent=True)

    def update(self, total: Tensor, count: Tensor) -> None:
        """Add a batch: the sum of its losses and what its mean is taken over, scalars. Nothing waits for a GPU."""
        self.total += total.detach()
        self.count += count

    def compute(self) -> Tensor:
        """The mean over all processes, a float64 scalar."""
        return self.total / self.count

    def joined(self, prefix: str) -> dict[str, Tensor]:
        """The states of all processes, added up, by their names under a prefix; all processes must call it together."""
        with self.sync_context():
            return cast(dict[str, Tensor], self.state_dict(prefix=prefix))

    def keep_on_first(self, states: MutableMapping[str, Tensor], prefix: str, rank: int) -> None:
        """Leave what `joined` gave to the first process alone: in the others' copy the sums are zero."""
        if rank > 0:
            states.update({f"{prefix}{name}": torch.zeros_like(states[f"{prefix}{name}"]) for name in self._defaults})


class ScoreSums(Float64Sums):
    """The sums of `pixel_sums` over all batches and processes; `scores`, `per_date` and `per_bin` read them."""

    sums: Tensor

    def __init__(self, dates: int, bins: int) -> None:
        """Start from zero.

        Args:
            dates: Number of dates in the split.
            bins: Number of equal SSM bins over [0, 1].
        """
        super().__init__()
        self.dates, self.bins = dates, bins
        self.add_sum("sums", dates, bins, len(SUMS))

    def update(
        self,
        prediction: Tensor,
        target: Tensor,
        valid: Tensor,
        standard_error: Tensor,
        attainable: Tensor,
        date: Tensor,
    ) -> None:
        """Add pixels; arguments as in `pixel_sums`."""
        labels = target, valid, standard_error, attainable, date
        self.sums += pixel_sums(prediction, *labels, groups=self.dates, bins=self.bins)

    def compute(self) -> Tensor:
        """The sums over all processes, float64 [dates, bins, len(SUMS)]."""
        return self.sums.clone()


def scores(sums: Tensor, distribution: Distribution = "natural", track_variance: float = math.nan) -> Scores:
    """Scores over all dates and bins.

    Args:
        sums: [..., bins, len(SUMS)]; leading dimensions are summed.
        distribution: `natural`: every pixel weighs the same. `balanced`: every SSM bin that has pixels weighs the same,
            so each pixel weighs 1 / (pixels in its bin).
        track_variance: Of labels, that is their track's own, SSM units squared; NaN: the cap is of speckle alone.

    Returns:
        The scores, NaN where not defined.
    """
    bins = sums.double().cpu().reshape(-1, *sums.shape[-2:]).sum(0)
    found = Scores(round(bins[:, 0].sum().item()), *score_values(bins, distribution).tolist())
    if math.isnan(track_variance):
        return found
    totals = _weighed(bins, distribution).sum(0)
    variance = float(totals[3] / totals[0] - (totals[1] / totals[0]) ** 2)
    cap = found.r2_cap  # NaN where labels do not vary
    return replace(found, r2_cap=cap if math.isnan(cap) else max(cap - track_variance / variance, 0.0))


def score_values(sums: Tensor, distribution: Distribution = "natural") -> Tensor:
    """Scores of many sums at once, NaN where not defined; `scores` has them for one, with their number of pixels.

    Args:
        sums: [..., bins, len(SUMS)]; only the bins are summed. Pixels may have been weighed, as a bootstrap does.
        distribution: As in `scores`.

    Returns:
        [..., len(SCORES)], float64, columns as in `SCORES`.
    """
    totals = _weighed(sums, distribution).sum(-2)
    y, p, yy, pp, yp, absolute, squared, best, best2, best_y = (totals[..., 1:] / totals[..., :1]).unbind(-1)
    var_y = _spread(yy - y * y, yy)
    columns = (
        1 - squared / var_y,
        squared.sqrt(),
        absolute,
        correlation(y, p, yy, pp, yp),
        p - y,
        _explained(best, y, best2, yy, best_y),
    )
    return torch.stack(columns, -1)


def _weighed(sums: Tensor, distribution: Distribution) -> Tensor:
    """Sums [..., bins, sum] as each bin weighs."""
    if distribution == "natural":
        return sums
    return torch.where(sums[..., :1] > 0, sums / sums[..., :1], 0.0)


def correlation(x: Tensor, y: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """Pearson's correlation from the means of x, y, x^2, y^2 and x y; NaN where one of them is constant."""
    spread = _spread(xx - x * x, xx) * _spread(yy - y * y, yy)
    return ((xy - x * y) / spread.sqrt()).clamp(-1.0, 1.0)


def _explained(x: Tensor, y: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """Squared correlation from means as in `correlation`; 0 where x alone is constant."""
    found = correlation(x, y, xx, yy, xy) ** 2
    flat = (xx - x * x <= CONSTANT * xx) & ~_spread(yy - y * y, yy).isnan()
    return torch.where(flat, 0.0, found)


def per_date(sums: Tensor) -> tuple[Scores, ...]:
    """Natural scores of each date; `sums` is [dates, ..., bins, len(SUMS)]."""
    return tuple(scores(of_date) for of_date in sums)


def per_bin(sums: Tensor) -> tuple[Scores, ...]:
    """Scores of each SSM bin, driest first; `sums` is [..., bins, len(SUMS)]."""
    return tuple(scores(of_bin) for of_bin in sums.movedim(-2, 0).unsqueeze(-2))


def per_extent(sums: Tensor, extents: Sequence[int]) -> tuple[Scores, ...]:
    """Natural scores of each extent.

    Args:
        sums: [dates, blocks, bins, len(SUMS)].
        extents: Extent of each block, numbered from 0.
    """
    of_block, all_dates = torch.as_tensor(extents), sums.sum(0)
    return tuple(scores(all_dates[of_block == extent]) for extent in range(int(of_block.max()) + 1))


def _spread(variance: Tensor, mean_square: Tensor) -> Tensor:
    """A variance from moments; NaN where the values are constant."""
    return torch.where(variance > CONSTANT * mean_square, variance, torch.nan)
