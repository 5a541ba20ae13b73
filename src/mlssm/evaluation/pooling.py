"""Several evaluations on different dates as one: sums add, so the pixels of all folds are scored together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.evaluation.evaluate import Evaluation, SplitEvaluation, correlations
from mlssm.retrieval.track_variance import TrackVariance
from mlssm.scores.histogram import DensityHistogram
from mlssm.scores.temporal import TemporalSums
from mlssm.scratch import scratch
from mlssm.uncertainty.tally import IntervalTally


def pool_evaluations(evaluations: Sequence[Evaluation]) -> Evaluation:
    """All folds as one evaluation, split by split; see `pool_splits`."""
    splits = {name: pool_splits([found.splits[name] for found in evaluations]) for name in evaluations[0].splits}
    tallies = [found.intervals for found in evaluations if found.intervals is not None]
    # of folds that could not all be calibrated, coverage would be that of some seasons alone
    intervals = IntervalTally.joined(tallies) if len(tallies) == len(evaluations) else None
    track = TrackVariance.pooled([found.track for found in evaluations])
    return replace(evaluations[0], splits=splits, intervals=intervals, track=track)


def pool_splits(parts: Sequence[SplitEvaluation]) -> SplitEvaluation:
    """One split of several folds as one, in the order of time.

    A date that several folds have (as most training dates of seasons held out in turn) has the sums of all, so that it
    stays one date to the bootstrap.

    Args:
        parts: Of the same extents, models and settings, and poolable.

    Raises:
        ValueError: What joins them was not kept.
    """
    layout = parts[0].layout
    sums_over_time = [part.over_time for part in parts if part.over_time is not None]
    if layout is None or len(sums_over_time) < len(parts):
        raise ValueError("splits that were not evaluated as poolable cannot be pooled")
    times, place = np.unique(np.concatenate([part.times for part in parts]).astype(np.int64), return_inverse=True)
    over_time = TemporalSums.joined(sums_over_time)
    temporal, map_of_first = correlations(over_time, list(parts[0].sums))
    return SplitEvaluation(
        times=tuple(times.tolist()),
        blocks=parts[0].blocks,
        sums=_by_time([part.sums for part in parts], place, len(times)),
        wet=_by_time([part.wet for part in parts], place, len(times)),
        temporal=temporal,
        between_pixels=over_time.between_pixels(layout),
        temporal_maps=layout.maps(map_of_first),
        histogram=DensityHistogram.joined([part.histogram for part in parts]),
        digest=_joined([part.digest for part in parts]),
        two_pass={name: torch.cat([part.two_pass[name] for part in parts]) for name in parts[0].two_pass},
        over_time=over_time,
        layout=layout,
    )


def _joined(digests: Sequence[str]) -> str:
    """Of the labels of all folds; that of one alone stays."""
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _by_time(parts: Sequence[Mapping[str, Tensor]], place: npt.NDArray[np.intp], times: int) -> dict[str, Tensor]:
    """Tables [date, ...] of several folds added up at the place of each date."""
    where = torch.from_numpy(place)
    found = {}
    for name in parts[0]:
        first, start = parts[0][name], 0
        kept = torch.from_numpy(scratch((times, *first.shape[1:]), first.numpy().dtype))
        for part in parts:
            dates = len(part[name])
            found[name] = kept.index_add_(0, where[start : start + dates], part[name])
            start += dates
    return found
