"""Importance by permutation: how much worse the predictions get when a group of inputs is another date's or place's.

Whole dates and whole patches are exchanged, never pixels: pixels of a date share its weather and those of a patch their
soil, so that a pixel's input could be had back from its neighbours (Breiman 2001, doi:10.1023/A:1010933404324, with the
blocks of Roberts et al. 2017, doi:10.1111/ecog.02881). It says what the trained network goes by, and not what one could
do without: correlated inputs stand in for each other, and each then seems to matter less than both together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.data.spec import FeatureSpec
from mlssm.evaluation.evaluate import Settings
from mlssm.evaluation.stream import Network, batches
from mlssm.evaluation.why.groups import AXES, Axis, Group, groups_of, joint_groups
from mlssm.scores.bootstrap import Resampling, difference, resample
from mlssm.scores.cells import LabelledPixels
from mlssm.scores.sums import scores
from mlssm.scores.tally import ScoreTally

T = TypeVar("T")
WHOLE = "as it is"
COLUMNS = (
    *("permuted", "inputs", "channels", "r2_drop", "r2_drop_low", "r2_drop_high"),
    *("rmse_rise", "rmse_rise_low", "rmse_rise_high", "reason"),
)


@dataclass(frozen=True)
class Shuffle:
    """Which other date, and which other place, each of a sample's dates and places takes inputs from.

    Attributes:
        times: By time, another one of the sample.
        places: By extent, first row and column of a patch, those of another one.
    """

    times: dict[int, int]
    places: dict[tuple[int, int, int], tuple[int, int, int]]

    @classmethod
    def drawn(cls, dataset: PatchDataset, generator: np.random.Generator) -> Shuffle:
        """A random cycle through the dates, and one through the places: none keeps its own, unless it is the only."""
        rows = dataset.patches[["extent", "row", "col"]].drop_duplicates().to_numpy(np.int64)
        places = [(int(extent), int(row), int(col)) for extent, row, col in rows]
        return cls(_cycle([int(time) for time in dataset.times], generator), _cycle(places, generator))

    def donor(self, place: PatchPlace, axis: Axis) -> PatchPlace:
        """Where a patch takes inputs from."""
        if axis == "dates":
            return place._replace(time=self.times[place.time])
        extent, row, col = self.places[place.extent, place.rows.start, place.cols.start]
        height, width = (part.stop - part.start for part in (place.rows, place.cols))
        return PatchPlace(extent, place.time, slice(row, row + height), slice(col, col + width))


def permutation_importance(
    network: Network,
    dataset: PatchDataset,
    settings: Settings,
    resampling: Resampling,
    *,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    """What each group of inputs, and all of an axis together, are worth to the network's natural scores.

    Args:
        network: With the control that it was trained under.
        dataset: Labelled patches that the network was not trained on.
        settings: How sums are kept; its blocks and the dates are what the intervals are drawn from.
        resampling: How intervals are drawn.
        repeats: Permutations of each axis, whose errors are averaged.
        seed: Of the permutations.

    Returns:
        A row an axis and group, the joint one first, then by `rmse_rise`; columns `COLUMNS`: the loss of R2 and the
        rise of RMSE (SSM units), each with the interval of the paired difference, and why one is not defined.
    """
    groups = groups_of(network.spec)
    wanted = [(axis, group) for axis in AXES for group in _along(axis, groups)]
    generator = np.random.default_rng(seed)
    shuffles = [Shuffle.drawn(dataset, generator) for _ in range(repeats)]
    tally = ScoreTally(
        (WHOLE, *(_key(axis, group) for axis, group in wanted)), len(dataset.times), settings.layout, bins=1
    )
    for batch, places in batches(dataset, settings.batch_size):
        pixels = LabelledPixels.of(batch, places, settings.layout)
        cell = tally.cell(pixels)
        tally.add(WHOLE, pixels, cell, pixels.select(network.predict(places, batch)))
        for shuffle in shuffles:
            donors = {axis: _inputs(dataset, [shuffle.donor(place, axis) for place in places]) for axis in AXES}
            for axis, group in wanted:
                said = network.predict(places, group.moved(batch, donors[axis]))
                tally.add(_key(axis, group), pixels, cell, pixels.select(said))
    sums = tally.sums
    moved = [(axis, group, sums[_key(axis, group)] / repeats) for axis, group in wanted]
    rows = [_row(*each, sums[WHOLE], network.spec, resampling) for each in moved]
    return _ordered(pd.DataFrame(rows, columns=list(COLUMNS)))


def sample(dataset: PatchDataset, patches: int, seed: int) -> PatchDataset:
    """At most so many patches, as many of each date as can be; their labels and inputs stay as they are.

    They lose the margin, as patches in training: with it the same question takes several times as long.
    """
    generator, index = np.random.default_rng(seed), dataset.patches
    order = pd.Series(generator.permutation(len(index)), index=index.index)
    turn = order.groupby(index["time"]).rank(method="first")
    kept = pd.DataFrame({"turn": turn, "order": order}).sort_values(["turn", "order"]).index[:patches]
    parts = dataset.size, dataset.retrieval, dataset.features, dataset.moments
    return PatchDataset(index.loc[sorted(kept)], *parts)


def _along(axis: Axis, groups: Sequence[Group]) -> list[Group]:
    return [joint_groups(groups)[axis], *(group for group in groups if axis in group.axes)]


def _key(axis: Axis, group: Group) -> str:
    return f"{axis}: {group.name}"


def _cycle(items: Sequence[T], generator: np.random.Generator) -> dict[T, T]:
    order = [items[place] for place in generator.permutation(len(items))]
    return dict(zip(order, (*order[1:], *order[:1]), strict=True))


def _inputs(dataset: PatchDataset, places: Sequence[PatchPlace]) -> tuple[Tensor, Tensor]:
    """What a network would be fed with at these places, dynamic and static, [B, ...]."""
    margin = dataset.margin
    found = [
        dataset.features.patch(
            place.extent, dataset.moments[place.time], _around(place.rows, margin), _around(place.cols, margin)
        )
        for place in places
    ]
    return _stacked([each.dynamic for each in found]), _stacked([each.static for each in found])


def _around(part: slice, margin: int) -> slice:
    return slice(part.start - margin, part.stop + margin)


def _stacked(arrays: Sequence[npt.NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _row(
    axis: Axis, group: Group, moved: Tensor, whole: Tensor, spec: FeatureSpec, resampling: Resampling
) -> dict[str, object]:
    before, after = resample(whole, resampling), resample(moved, resampling)
    fall, rise = difference(before, after), difference(after, before)
    names = [*(spec.dynamic[place] for place in group.dynamic), *(spec.static[place] for place in group.static)]
    return {
        "permuted": axis,
        "inputs": group.name,
        "channels": " ".join(names),
        "r2_drop": scores(whole).r2 - scores(moved).r2,
        "r2_drop_low": fall.r2.low,
        "r2_drop_high": fall.r2.high,
        "rmse_rise": scores(moved).rmse - scores(whole).rmse,
        "rmse_rise_low": rise.rmse.low,
        "rmse_rise_high": rise.rmse.high,
        "reason": fall.reason,
    }


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """By axis, what is joint first, then by what it is worth."""
    first = frame.groupby("permuted", sort=False).head(1).index
    keys = frame.assign(
        axis=frame["permuted"].map(list(AXES).index), joint=~frame.index.isin(first), worth=-frame["rmse_rise"]
    )
    order = keys.sort_values(["axis", "joint", "worth"], kind="stable").index
    return frame.loc[order].reset_index(drop=True)
