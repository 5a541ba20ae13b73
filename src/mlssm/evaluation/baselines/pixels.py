"""Pixels one by one: the network's inputs as rows, for regressions that know no neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.data.batch import Batch, pixel_channels
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.data.spec import FeatureSpec
from mlssm.errors import SplitError
from mlssm.evaluation.baselines.training import TrainingPatch, regular_positions
from mlssm.variables import AVAILABLE, is_of_kind, named

# pixels of a date repeat each other: what counts are dates, and more pixels than these cost time alone
MOST_PIXELS = 50_000
MOST_VALUES = 16_000_000  # of the inputs, so that long windows stay within 64 MB


class Regressor(Protocol):
    """What scikit-learn's fitted regressions can do."""

    def predict(self, X: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """From [pixel, input] to [pixel]."""


@dataclass(frozen=True)
class PixelSample:
    """Training pixels.

    Attributes:
        inputs: Float32 [pixel, input]; the weather step by step, oldest first, and then the static inputs, all scaled
            as the network's.
        ssm: Labels 0..1, float64 [pixel].
        day: Local day of each, by which pixels are grouped, datetime64[D] [pixel].
        static: Which of the static channels these inputs are.
    """

    inputs: npt.NDArray[np.float32]
    ssm: npt.NDArray[np.float64]
    day: npt.NDArray[np.datetime64]
    static: Sequence[int] = ()

    @property
    def dates(self) -> int:
        """Number of different days."""
        return len(np.unique(self.day))


@dataclass(frozen=True)
class PixelRegression:
    """A regression from the inputs of a pixel to its SSM, clipped to 0..1.

    Attributes:
        name: As it stands in the tables.
        regressor: Fitted.
        static: Which static channels it sees.
    """

    name: str
    regressor: Regressor
    static: Sequence[int]

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """See `Baseline.predict`; NaN where a pixel has no label."""
        found = torch.full(batch.valid.shape, torch.nan, dtype=torch.float64)
        if batch.valid.any():
            ssm = self.regressor.predict(pixel_inputs(batch, self.static))
            found[batch.valid] = torch.from_numpy(np.clip(ssm, 0.0, 1.0).astype(float))
        return found


def own_static(spec: FeatureSpec) -> list[int]:
    """Static channels that a regression may see: not what was fitted to labels, which would make it no baseline."""
    sources = [named(name).source for name in spec.static if is_of_kind(name, "prefit")]
    return [
        position
        for position, name in enumerate(spec.static)
        if not is_of_kind(name, "prefit") and name.removesuffix(AVAILABLE) not in sources
    ]


def pixel_inputs(batch: Batch, static: Sequence[int]) -> npt.NDArray[np.float32]:
    """The inputs of the pixels that have a label, in the order of `batch.valid`, float32 [pixel, input].

    Args:
        batch: Patches.
        static: Which of the static channels.
    """
    chosen = batch._replace(static=batch.static[:, list(static)])
    return pixel_channels(chosen).movedim(1, -1)[batch.valid[:, 0]].numpy()


class PixelDraw:
    """Draws training pixels of the regular grid, each with the same probability and none twice, patch by patch.

    How many labels a patch has is known from the patch index, so that the draw is made before any patch is read.
    """

    def __init__(self, train: PatchDataset, days: npt.NDArray[np.datetime64], seed: int) -> None:
        """Draw.

        Args:
            train: The training patches.
            days: Local day of each acquisition, [time].
            seed: Of the draw.

        Raises:
            SplitError: No training pixel has a label.
        """
        counts = train.patches["pixels"].to_numpy(np.int64)[regular_positions(train)]
        if not counts.sum():
            raise SplitError("no training pixel has a label, so that no baseline can be fitted; hold out less")
        self._days, self._static = days, own_static(train.features.spec)
        chosen = _chosen(counts, _features(train, len(self._static)), seed)
        places = (_key(train.place(int(position))) for position in regular_positions(train))
        # of each patch, how many labels it has, and which of them are drawn
        self._drawn = dict(zip(places, zip(counts.tolist(), chosen, strict=True), strict=True))
        self._inputs: list[npt.NDArray[np.float32]] = []
        self._ssm: list[npt.NDArray[np.float64]] = []
        self._day: list[npt.NDArray[np.datetime64]] = []

    def of(self, patch: TrainingPatch) -> PixelSample | None:
        """What was drawn of a patch; None where nothing was.

        Raises:
            ValueError: It has not as many labels as the index says.
        """
        (count, chosen), found = self._drawn[_key(patch.place)], int(patch.batch.valid.sum())
        if found != count:
            raise ValueError(f"the patch at {patch.place} has {found} labels, and {count} in the patch index")
        if not chosen.size:
            return None
        batch = Batch(*(values.unsqueeze(0) for values in patch.batch))
        ssm = batch.target[batch.valid].double().numpy()[chosen]
        day = np.full(chosen.size, self._days[patch.place.time])
        return PixelSample(pixel_inputs(batch, self._static)[chosen], ssm, day)

    def add(self, some: PixelSample | None) -> None:
        """Take what was drawn of the next patch."""
        if some is not None:
            self._inputs.append(some.inputs)
            self._ssm.append(some.ssm)
            self._day.append(some.day)

    @property
    def sample(self) -> PixelSample:
        """What was drawn."""
        inputs, ssm = np.concatenate(self._inputs), np.concatenate(self._ssm)
        return PixelSample(inputs, ssm, np.concatenate(self._day), self._static)


def _key(place: PatchPlace) -> tuple[int, int, int, int]:
    return place.extent, place.time, place.rows.start, place.cols.start


def _features(train: PatchDataset, static: int) -> int:
    return len(train.features.spec.dynamic) * len(next(iter(train.moments.values())).window) + static


def _chosen(counts: npt.NDArray[np.int64], features: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """For each patch, which of its labelled pixels are drawn."""
    total, ends = int(counts.sum()), counts.cumsum()
    limit = min(total, MOST_PIXELS, max(1, MOST_VALUES // features))
    drawn = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
    places = np.searchsorted(drawn, np.append(0, ends))
    return (drawn[a:b] - start for a, b, start in zip(places[:-1], places[1:], ends - counts, strict=True))
