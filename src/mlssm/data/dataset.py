"""Patches as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch.utils.data import Dataset

from mlssm.data.batch import Batch
from mlssm.data.controls import apply_control
from mlssm.data.features import FeatureSource
from mlssm.data.moment import Moment
from mlssm.data.place import PatchPlace
from mlssm.data.plan import SamplingPlan
from mlssm.grid import carried_on, cut_off
from mlssm.retrieval.fit import Retrieval


class PatchDataset(Dataset[Batch]):
    """The patches of one split, each a `Batch` without the batch dimension."""

    def __init__(
        self,
        patches: pd.DataFrame,
        size: int,
        retrieval: Retrieval,
        features: FeatureSource,
        moments: dict[int, Moment],
        control: str = "none",
        plan: SamplingPlan | None = None,
        targets: Mapping[int, tuple[npt.NDArray[np.float32], ...]] | None = None,
        margin: int = 0,
    ) -> None:
        """Patches of a split.

        Args:
            patches: Rows of the patch index.
            size: Pixels along a patch.
            retrieval: The fitted labels.
            features: Makes the inputs.
            moments: Weather and NDVI of each usable time.
            control: What the inputs do without, see `mlssm.data.controls`.
            plan: How training draws these patches, and what each weighs; without one each weighs 1.
            targets: Of times, labels of each extent [h, w] that stand in for the retrieval's: what is learnt from maps
                that know nothing of a season has to be told labels that know as little.
            margin: Pixels around a patch that its inputs, and not its labels, have on every side.
        """
        self.patches, self.size = patches.reset_index(drop=True), size
        self.retrieval, self.features, self.moments = retrieval, features, moments
        self.control, self.plan, self.targets, self.margin = control, plan, targets or {}, margin
        self._places = tuple(self.patches[name].to_numpy() for name in ("extent", "time", "row", "col"))
        self.times = np.unique(self._places[1]).astype(np.int64)
        self._whole = slice(0, size)

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.patches)

    def __getitem__(self, position: int) -> Batch:
        """One patch; beyond its extent the inputs are the outermost ones, and nothing is valid."""
        place = self.place(position)
        extent, time, rows, cols = place
        inputs = self.features.patch(extent, self.moments[time], self._around(rows), self._around(cols))
        labels = self.retrieval.labels(extent, np.array([time]), rows, cols)
        if time in self.targets:
            labels = labels.replaced(self.targets[time][extent][rows, cols])
        _, height, width = labels.ssm.shape
        margin = self.margin
        usable = inputs.usable[margin : margin + height, margin : margin + width]
        valid = np.isfinite(labels.ssm) & usable
        item = Batch(
            dynamic=torch.from_numpy(np.ascontiguousarray(inputs.dynamic)),
            static=torch.from_numpy(np.ascontiguousarray(inputs.static)),
            target=self._tensor(np.where(valid, labels.ssm, np.nan)),
            valid=torch.from_numpy(np.ascontiguousarray(cut_off(valid, self._whole, self._whole))),
            standard_error=self._tensor(np.where(valid, labels.standard_error, np.nan)),
            date=torch.tensor(int(np.searchsorted(self.times, time))),
            weight=torch.tensor(1.0 if self.plan is None else self.plan.weight[position], dtype=torch.float32),
            attainable=self._tensor(np.where(valid, labels.attainable, np.nan)),
            reliability=self._tensor(np.where(valid, labels.reliability, np.nan)),
        )
        if self.control == "none":
            return item
        stacked = Batch(*(values[None] for values in item))
        return Batch(*(values[0] for values in apply_control(self.control, stacked, [place], self.features.spec)))

    def place(self, position: int) -> PatchPlace:
        """Where and when a patch lies."""
        extent, time, row, col = (int(column[position]) for column in self._places)
        return PatchPlace(extent, time, slice(row, row + self.size), slice(col, col + self.size))

    def _around(self, part: slice) -> slice:
        return slice(part.start - self.margin, part.stop + self.margin)

    def _tensor(self, values: npt.NDArray[np.float32]) -> torch.Tensor:
        """Labels as a tensor, padded below and to the right to the patch size, by edge values."""
        return torch.from_numpy(np.ascontiguousarray(carried_on(values, self._whole, self._whole)))
