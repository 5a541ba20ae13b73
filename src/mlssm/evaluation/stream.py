"""A split's patches, batch by batch, and the network as one of the models that predict them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.utils.data import DataLoader

from mlssm.data.batch import Batch
from mlssm.data.controls import apply_control
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.data.spec import FeatureSpec
from mlssm.evaluation.baselines.base import Baseline
from mlssm.models.prediction import predict
from mlssm.scores.cells import LabelledPixels, Layout


@dataclass(frozen=True)
class Network:
    """A trained network, which predicts as a baseline does.

    Attributes:
        name: As it stands in the tables.
        network: On the device that it is to run on.
        spec: Its channels.
        control: What it has to do without: `none`, or as in `mlssm.data.controls`.
    """

    name: str
    network: nn.Module
    spec: FeatureSpec
    control: str = "none"

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """SSM 0..1, float32 [B, 1, H, W] on the CPU; see `Baseline.predict`."""
        inputs = apply_control(self.control, batch, places, self.spec)
        return predict(self.network, inputs.dynamic, inputs.static).middle(inputs.target).ssm


@dataclass(frozen=True)
class Predicted:
    """Labelled pixels, and what models say of them.

    Attributes:
        pixels: One after the other.
        ssm: By model, float64 [pixels].
    """

    pixels: LabelledPixels
    ssm: Mapping[str, Tensor]


@dataclass(frozen=True)
class Predictors:
    """Models that predict batches.

    Attributes:
        models: They.
        layout: Blocks and pixels of the extents.
    """

    models: Sequence[Baseline]
    layout: Layout

    def __call__(self, batch: Batch, places: Sequence[PatchPlace]) -> Predicted:
        """See `mlssm.evaluation.parts.Look`."""
        pixels = LabelledPixels.of(batch, places, self.layout)
        return Predicted(pixels, {model.name: pixels.select(model.predict(places, batch)) for model in self.models})


def batches(dataset: PatchDataset, batch_size: int) -> Iterator[tuple[Batch, list[PatchPlace]]]:
    """All patches in the dataset's order, on the CPU, each with its place."""
    # a plain loader: the one of training would share the patches among processes
    loader: DataLoader[Batch] = DataLoader(dataset, batch_size=batch_size)
    start = 0
    for batch in loader:
        end = start + len(batch.date)
        yield batch, [dataset.place(position) for position in range(start, end)]
        start = end
