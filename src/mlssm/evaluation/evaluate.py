"""Scores of the network and of the baselines on the same pixels, from one streamed pass over each split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.area_baselines import NAMES, AreaBaselines, fit_baselines, places_of
from mlssm.evaluation.histogram import DensityHistogram
from mlssm.evaluation.table import ScoreRow
from mlssm.training.batch import Batch
from mlssm.training.metrics import DISTRIBUTIONS, SUMS, pixel_sums, scores

NETWORK = "ConvLSTM"
HISTOGRAM_BINS = 50
ORDER = ("test", "val", "train")


@dataclass(frozen=True)
class SplitEvaluation:
    """What one split's predictions come to.

    Attributes:
        times: Acquisitions of the split, positions in the cube, in the order of the sums' first dimension.
        sums: By model, the network's and the baselines'; float64 [date, bin, sum], see `mlssm.training.metrics`.
        histogram: The network's SSM against retrieved SSM.
    """

    times: tuple[int, ...]
    sums: Mapping[str, Tensor]
    histogram: DensityHistogram


@dataclass(frozen=True)
class Evaluation:
    """All scores of one training.

    Attributes:
        splits: By "train", "val" and "test".
    """

    splits: Mapping[str, SplitEvaluation]

    @property
    def rows(self) -> list[ScoreRow]:
        """The table: on test, validation and training, the network and then the baselines."""
        return [
            ScoreRow(model, split, distribution, scores(sums, distribution))
            for split in ORDER
            for model, sums in self.splits[split].sums.items()
            for distribution in DISTRIBUTIONS
        ]


def evaluate(experiment: Experiment, network: nn.Module, batch_size: int, bins: int) -> Evaluation:
    """Score a network and the baselines on all three splits, each read once.

    All are scored on the patches of the regular grid, so that training scores are those of the natural distribution
    too, whatever the sampler drew. The baselines are fitted on the labels of the training ones.

    Args:
        experiment: Labels, weather and patches.
        network: The trained network, on the device that it is to run on.
        batch_size: Patches that are predicted at once.
        bins: SSM bins of the balanced scores.
    """
    regular = {split: regular_grid(dataset) for split, dataset in experiment.datasets.items()}
    baselines = fit_baselines(experiment, regular["train"])
    return Evaluation(
        {split: evaluate_split(network, baselines, dataset, batch_size, bins) for split, dataset in regular.items()}
    )


def regular_grid(dataset: PatchDataset) -> PatchDataset:
    """The same patches without those of the second pass."""
    first = dataset.patches[dataset.patches["pass"] == 1]
    return PatchDataset(first, dataset.size, dataset.retrieval, dataset.features, dataset.moments)


def evaluate_split(
    network: nn.Module, baselines: tuple[AreaBaselines, ...], dataset: PatchDataset, batch_size: int, bins: int
) -> SplitEvaluation:
    """Predict a split once, by the network and by the baselines, and sum up, a batch at a time.

    Args:
        network: On the device that it is to run on.
        baselines: Fitted, by area.
        dataset: The split's patches.
        batch_size: Patches in a batch.
        bins: SSM bins of the balanced scores.
    """
    dates = len(dataset.times)
    sums = {name: torch.zeros(dates, bins, len(SUMS), dtype=torch.float64) for name in (NETWORK, *NAMES)}
    histogram = DensityHistogram(HISTOGRAM_BINS)
    places = places_of(dataset)
    for batch, prediction in predictions(network, dataset, batch_size):
        here = [next(places) for _ in range(len(batch.date))]
        found = {NETWORK: prediction} | {name: _of_baseline(name, baselines, here, batch) for name in NAMES}
        for name, values in found.items():
            sums[name] += pixel_sums(
                values, batch.target, batch.valid, batch.standard_error, batch.date, groups=dates, bins=bins
            )
        histogram.add(prediction[batch.valid].double().numpy(), batch.target[batch.valid].double().numpy())
    return SplitEvaluation(tuple(int(time) for time in dataset.times), sums, histogram)


def predictions(network: nn.Module, dataset: PatchDataset, batch_size: int) -> Iterator[tuple[Batch, Tensor]]:
    """Each batch, in the dataset's order, with the network's SSM, [B, 1, H, W], both on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    # a plain loader: the one of training would share the patches among processes
    loader: DataLoader[Batch] = DataLoader(dataset, batch_size=batch_size)
    with torch.inference_mode():
        for batch in loader:
            yield batch, network(batch.dynamic.to(device), batch.static.to(device)).float().cpu()


def _of_baseline(
    name: str, baselines: tuple[AreaBaselines, ...], places: list[tuple[int, int, slice, slice]], batch: Batch
) -> Tensor:
    """A baseline's SSM of a batch, [B, 1, H, W]; 0, and not valid, where a patch reaches past its area."""
    prediction = torch.zeros(batch.target.shape, dtype=torch.float64)
    for position, (area, time, rows, cols) in enumerate(places):
        ssm = baselines[area].predict(name, time, rows, cols)
        height, width = ssm.shape
        prediction[position, 0, :height, :width] = torch.from_numpy(np.ascontiguousarray(ssm))
    return prediction
