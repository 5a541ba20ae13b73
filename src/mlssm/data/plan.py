"""How often an epoch draws each training patch, and what a patch weighs in a loss that gives the natural risk back.

The natural risk is the mean loss over the labelled pixels of the natural population of patches, M pixels in all. Let
S_i be the sum of a patch's losses over its labelled pixels, and an epoch draw D patches, patch i e_i times on average.
Then

    weight_i = D / (e_i M),    E[weight S] = sum_i e_i / D * weight_i S_i = sum_i S_i / M

(Hansen and Hurwitz 1943, doi:10.1214/aoms/1177731356), so the mean of weight x S over a batch is unbiased whatever its
size. Where the pool is a sample of the population itself and drawn as a whole, e_i is the probability of a patch to be
in the pool (Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drawing:
    """How an epoch is drawn from a pool of patches.

    Attributes:
        expected: Expected number of times that each patch is drawn, [patch]; their sum is `draws`.
        strata: Group of each patch, 0, 1, ...; each group is drawn its expected total, rounded down or up. [patch]
        draws: Patches an epoch.
    """

    expected: Floats
    strata: Ints
    draws: int

    @classmethod
    def once(cls, count: int) -> Self:
        """Every patch once."""
        return cls.evenly(count, count)

    @classmethod
    def evenly(cls, count: int, draws: int) -> Self:
        """Every patch as often as any other: some of them by chance, others each epoch, where draws are fewer."""
        return cls(np.full(count, draws / count), np.zeros(count, np.int64), draws)

    def positions(self, seed: int, epoch: int) -> list[int]:
        """The patches of an epoch in a random order; the same for the same seed and epoch.

        Each patch is drawn its expected number of times, rounded down or up at random such that the expectation is
        exact: systematic sampling with probability proportional to size from a shuffled list (Madow 1949, Ann.
        Math. Statist. 20, 333-354). So a patch is drawn twice only if it is expected more than once.
        """
        times = np.floor(self.expected).astype(np.int64)
        left = self.draws - int(times.sum())
        if left:
            times += self._rounded_up(left, np.random.default_rng([seed, epoch]))
        drawn = np.repeat(np.arange(len(times)), times)
        order = torch.randperm(self.draws, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        return [int(position) for position in drawn[order.numpy()]]

    def _rounded_up(self, count: int, rng: np.random.Generator) -> Ints:
        """1 for `count` patches, each with the probability of its expectation's fraction."""
        of_stratum = rng.permutation(self.strata.max() + 1)
        order = np.lexsort((rng.random(len(self.strata)), of_stratum[self.strata]))
        ends = np.cumsum((self.expected - np.floor(self.expected))[order])
        ends *= count / ends[-1]
        picked = np.searchsorted(ends[:-1], rng.random() + np.arange(count), side="right")
        return np.bincount(order[picked], minlength=len(order))


@dataclass(frozen=True)
class SamplingPlan:
    """What training does with its pool of patches.

    Attributes:
        drawing: How an epoch is drawn.
        inclusion: Expected number of times that a patch like this one of the natural population is drawn an epoch,
            [patch]; differs from `drawing.expected` where the pool is a sample itself.
        reweighted: Whether the loss gives the natural risk back.
        weight: Of each patch in the loss, 1 / labelled pixels; 1 where not reweighted. float32 [patch]
        labels: Share of the labels in each of equal bins of SSM over 0..1 that the loss sees: as drawn, and as weighed
            if reweighted. None where no loss needs it. [bin]
    """

    drawing: Drawing
    inclusion: Floats
    reweighted: bool
    weight: npt.NDArray[np.float32]
    labels: Floats | None = None


def natural_risk_weights(drawing: Drawing, inclusion: Floats, pixels: float) -> npt.NDArray[np.float32]:
    """Weights under which the mean of weight x (sum of a patch's losses) estimates the natural risk without bias.

    Args:
        drawing: How an epoch is drawn.
        inclusion: See `SamplingPlan`.
        pixels: Labelled pixels of all patches of the natural population.
    """
    return (drawing.draws / (inclusion * pixels)).astype(np.float32)
