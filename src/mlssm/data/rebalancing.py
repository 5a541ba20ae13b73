"""The sampling plan of a training split, from its rows of the patch index and the configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import SamplerConfig, TrainConfig
from mlssm.crew import Crew
from mlssm.data.label_density import PATCHES, Counts, Floats, label_histograms, of_patches, rarity_weights
from mlssm.data.plan import Drawing, SamplingPlan, natural_risk_weights
from mlssm.errors import SplitError
from mlssm.patches.index import LabelMap

log = logging.getLogger(__name__)

# patches of an epoch, unless sampler.draws says otherwise: a county has two million, of which an epoch needs few
MOST_DRAWS = 20_000


def training_pool(index: pd.DataFrame, sampler: SamplerConfig) -> pd.DataFrame:
    """The rows that training draws from: the regular grid, and under `two_pass` the second pass too."""
    train = index["split"] == "train"
    return index[train if sampler.name == "two_pass" else train & (index["pass"] == 1)]


def plan_training(
    pool: pd.DataFrame,
    config: TrainConfig,
    labels: LabelMap,
    dense_pixels: Callable[[], float],
    crew: Crew | None = None,
) -> SamplingPlan:
    """How an epoch draws from the pool, and what each patch weighs.

    The natural population is the regular grid's training patches; under `two_pass` it is all positions of the lattice
    that the regular grid is a sample of, see `mlssm.patches.inclusion`.

    Args:
        pool: See `training_pool`.
        config: Sampler, loss and patch size.
        labels: The labels; not read unless sampler or loss needs their histogram.
        dense_pixels: Labelled pixels of all patches of the lattice; not called unless needed.
        crew: Who counts labels; None: here, one date after the other.

    Raises:
        SplitError: More patches are to be drawn than there are.
    """
    sampler = config.sampler
    wanted = sampler.name == "density" or config.loss.name == "balanced_mse"
    histograms = label_histograms(pool, config.patches.size, labels, crew) if wanted else None
    drawing = _drawing(pool, sampler, histograms)
    two_pass = sampler.name == "two_pass"
    inclusion = pool["inclusion"].to_numpy(float) * drawing.expected if two_pass else drawing.expected
    weight = np.ones(len(pool), np.float32)
    if sampler.reweight:
        pixels = dense_pixels() if two_pass else float(pool["pixels"].sum())
        weight = natural_risk_weights(drawing, inclusion, pixels)
    shares = None if histograms is None else _shares(histograms, drawing.expected * weight)
    _report(pool, sampler, drawing)
    return SamplingPlan(drawing, inclusion, sampler.reweight, weight, shares)


def with_inclusion(index: pd.DataFrame, plan: SamplingPlan, sampler: SamplerConfig) -> pd.DataFrame:
    """The index with the expected draws an epoch as the training rows' inclusion, where the sampler draws by chance."""
    if sampler.name in ("natural", "two_pass") and plan.drawing.draws == len(plan.inclusion):
        return index
    inclusion, train = index["inclusion"].to_numpy(float).copy(), index["split"] == "train"
    inclusion[train] = 0.0
    inclusion[train if sampler.name == "two_pass" else train & (index["pass"] == 1)] = plan.inclusion
    return index.assign(inclusion=inclusion)


def _drawing(pool: pd.DataFrame, sampler: SamplerConfig, histograms: Counts | None) -> Drawing:
    if sampler.name in ("natural", "two_pass"):
        return Drawing.evenly(len(pool), _draws(len(pool), sampler))
    if sampler.name == "stratified":
        return _stratified(pool["mean_ssm"].to_numpy(float), sampler)
    assert histograms is not None
    return _by_density(histograms, sampler)


def _draws(patches: int, sampler: SamplerConfig) -> int:
    """Patches of an epoch: as many as were asked for, or as there are, up to `MOST_DRAWS`."""
    return sampler.draws or min(patches, MOST_DRAWS)


def _stratified(mean_ssm: Floats, sampler: SamplerConfig) -> Drawing:
    """As many draws from each bin of mean SSM that has patches, within it each patch as often as any other."""
    bins = np.clip((mean_ssm * sampler.bins).astype(np.int64), 0, sampler.bins - 1)
    filled, strata, counts = np.unique(bins, return_inverse=True, return_counts=True)
    draws = _draws(len(mean_ssm), sampler)
    share = draws / len(filled)
    least = int(counts.argmin())
    if not sampler.replacement and np.ceil(share) > counts[least]:
        low = filled[least] / sampler.bins
        raise SplitError(
            f"sampler.draws={draws} wants {share:.6g} patches from each of {len(filled)} bins of mean SSM, but that of "
            f"{low:g} to {low + 1 / sampler.bins:g} has {counts[least]}; set sampler.draws to at most "
            f"{counts[least] * len(filled)}, sampler.replacement=true or sampler.bins lower"
        )
    return Drawing(share / counts[strata], strata.astype(np.int64), draws)


def _by_density(histograms: Counts, sampler: SamplerConfig) -> Drawing:
    """Each patch as often as its labels are rare, on the mean over them."""
    weights = rarity_weights(histograms.sum(axis=0, dtype=np.int64), sampler)
    rarity = of_patches(histograms, lambda part: part @ weights / part.sum(axis=1))
    draws = _draws(len(rarity), sampler)
    strata = np.zeros(len(rarity), np.int64)
    if sampler.replacement:
        return Drawing(draws * rarity / rarity.sum(), strata, draws)
    if draws > len(rarity):
        raise SplitError(
            f"sampler.draws={draws} without replacement, but there are {len(rarity)} training patches; "
            f"set sampler.draws to at most {len(rarity)}, or sampler.replacement=true"
        )
    return Drawing(capped(rarity, draws), strata, draws)


def capped(size: Floats, total: int) -> Floats:
    """Inclusion probabilities proportional to size, none above 1, that sum to `total`.

    Args:
        size: Above 0, [patch].
        total: At most the number of patches.
    """
    certain = np.zeros(len(size), bool)
    while not certain.all():
        factor = (total - certain.sum()) / size[~certain].sum()
        beyond = ~certain & (factor * size >= 1 - 1e-12)
        if not beyond.any():
            return np.where(certain, 1.0, factor * size)
        certain |= beyond
    return np.ones(len(size))


def _shares(histograms: Counts, seen: npt.NDArray[np.floating]) -> Floats:
    parts = range(0, len(histograms), PATCHES)
    counts = np.sum([seen[i : i + PATCHES] @ histograms[i : i + PATCHES] for i in parts], axis=0)
    return np.asarray(counts / counts.sum())


def _report(pool: pd.DataFrame, sampler: SamplerConfig, drawing: Drawing) -> None:
    if drawing.draws < len(pool):
        other = "; sampler.draws sets another number" if sampler.draws is None else ""
        log.info("an epoch draws %d of the %d training patches, others each time%s", drawing.draws, len(pool), other)
    if sampler.name not in ("stratified", "density"):
        return
    least, most = drawing.expected.min(), drawing.expected.max()
    log.info(
        "sampler %s: %d draws an epoch from %d patches, a patch expectedly %.3g to %.3g times",
        *(sampler.name, drawing.draws, len(pool), least, most),
    )
    if np.allclose(drawing.expected, 1):
        log.warning("sampler=%s draws every patch once, as sampler=natural does; set sampler.draws lower", sampler.name)
