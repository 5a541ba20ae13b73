"""A data set and linear networks whose importance is known by a formula."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.data.spec import FeatureSpec
from mlssm.models.prediction import Prediction

SIDE = 4
SPEC = FeatureSpec(("precipitation", "wind", "wind_available"), ("elevation", "slope", "ndvi"), (0.0,) * 6, (1.0,) * 6)


class Linear(nn.Module):
    """0.5 plus a weighted sum: of the dynamic channels of all steps, and of the static ones."""

    def __init__(self, dynamic: Tensor, static: Tensor) -> None:
        super().__init__()
        self.register_buffer("dynamic", dynamic)  # [T, channels]
        self.register_buffer("static", static)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        weather = torch.einsum("btchw,tc->bhw", dynamic, self.dynamic)
        return Prediction(0.5 + (weather + torch.einsum("bchw,c->bhw", static, self.static))[:, None])


@dataclass
class ToyPatches(Dataset[Batch]):
    """Each date has a weather and each place a land, the same at all of a patch's pixels; labels are `network`'s own.

    Attributes:
        network: Makes the labels.
        weather: By date, [dates, T, dynamic].
        land: By place, [places, static].
    """

    network: nn.Module
    weather: npt.NDArray[np.float32]
    land: npt.NDArray[np.float32]
    margin: int = 0
    patches: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        rows = [(0, date, 0, SIDE * place) for date in range(len(self.weather)) for place in range(len(self.land))]
        self.patches = pd.DataFrame(rows, columns=["extent", "time", "row", "col"])
        self.times = np.arange(len(self.weather))
        self.moments = dict(enumerate(self.weather))
        self.features: Any = self

    def __len__(self) -> int:
        return len(self.patches)

    def place(self, position: int) -> PatchPlace:
        row = self.patches.iloc[position]
        return PatchPlace(0, int(row["time"]), slice(0, SIDE), slice(int(row["col"]), int(row["col"]) + SIDE))

    def patch(self, extent: int, weather: npt.NDArray[np.float32], rows: slice, cols: slice) -> Any:
        ones = np.ones((SIDE, SIDE), np.float32)
        land = self.land[cols.start // SIDE]
        return SimpleNamespace(dynamic=weather[..., None, None] * ones, static=land[:, None, None] * ones)

    def __getitem__(self, position: int) -> Batch:
        place = self.place(position)
        inputs = self.patch(0, self.weather[place.time], place.rows, place.cols)
        dynamic, static = torch.from_numpy(inputs.dynamic), torch.from_numpy(inputs.static)
        label = self.network(dynamic[None], static[None]).mean[0]
        one = torch.ones_like(label)
        valid = one.bool()
        date = torch.tensor(place.time)
        return Batch(dynamic, static, label, valid, 0.01 * one, date, torch.tensor(1.0), label, one)


@pytest.fixture(scope="session")
def toys() -> Any:
    """`Linear`, `ToyPatches`, and their `SPEC` and `SIDE`."""
    return SimpleNamespace(Linear=Linear, ToyPatches=ToyPatches, SPEC=SPEC, SIDE=SIDE)
