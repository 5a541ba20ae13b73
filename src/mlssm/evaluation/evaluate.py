"""Scores of the network and of the baselines on the same pixels, from one streamed pass over each split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mlssm.data.assemble import Experiment
from mlssm.data.datamodule import PatchDataModule
from mlssm.evaluation.baselines import AntecedentPrecipitation, PixelMean
from mlssm.evaluation.histogram import DensityHistogram
from mlssm.evaluation.table import ScoreRow
from mlssm.training.batch import Batch
from mlssm.training.metrics import DISTRIBUTIONS, SUMS, pixel_sums, scores
from mlssm.weather.interpolation import inverse_distance
from mlssm.weather.stations import VARIABLES
from mlssm.weather.windows import antecedent_precipitation_index

NETWORK = "ConvLSTM"
PIXEL_MEAN = "pixel mean"
ANTECEDENT = "antecedent rain"
HISTOGRAM_BINS = 50


@dataclass(frozen=True)
class Evaluated:
    """A network's predictions of one split, summed up.

    Attributes:
        sums: float64 [date, bin, sum], see `mlssm.training.metrics`.
        histogram: Predicted against retrieved SSM.
    """

    sums: Tensor
    histogram: DensityHistogram


def evaluate_network(network: nn.Module, loader: DataLoader[Batch], dates: int, bins: int) -> Evaluated:
    """Predict a split once and sum up, a batch at a time.

    Args:
        network: On the device that it is to run on.
        loader: The split's patches, none twice.
        dates: Number of the split's dates.
        bins: SSM bins of the balanced scores.
    """
    found = Evaluated(torch.zeros(dates, bins, len(SUMS), dtype=torch.float64), DensityHistogram(HISTOGRAM_BINS))
    for batch, prediction in predictions(network, loader):
        found.sums.add_(_sums(batch, prediction, dates, bins))
        valid = batch.valid
        found.histogram.add(prediction[valid].double().numpy(), batch.target[valid].double().numpy())
    return found


def predictions(network: nn.Module, loader: DataLoader[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """Each batch with the network's SSM, [B, 1, H, W], both on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        for batch in loader:
            yield batch, network(batch.dynamic.to(device), batch.static.to(device)).float().cpu()


def _sums(batch: Batch, prediction: Tensor, dates: int, bins: int) -> Tensor:
    return pixel_sums(prediction, batch.target, batch.valid, batch.standard_error, batch.date, dates=dates, bins=bins)


@dataclass(frozen=True)
class Evaluation:
    """All scores of one training.

    Attributes:
        network: The network's sums by split.
        baselines: The baselines' sums by their name and the split.
    """

    network: Mapping[str, Evaluated]
    baselines: Mapping[tuple[str, str], Tensor]

    @property
    def rows(self) -> list[ScoreRow]:
        """The table: the network first, then the baselines, on test, validation and training."""
        found: list[ScoreRow] = []
        for split in ("test", "val", "train"):
            found += score_rows(NETWORK, split, self.network[split].sums)
            for (name, where), sums in self.baselines.items():
                found += score_rows(name, where, sums) if where == split else []
        return found


def evaluate(experiment: Experiment, network: nn.Module, data: PatchDataModule, bins: int) -> Evaluation:
    """Score a network and the baselines on all three splits, each read once.

    Args:
        experiment: Labels, weather and patches.
        network: The trained network.
        data: Loaders of its patches, on this process alone.
        bins: SSM bins of the balanced scores.
    """
    found = {
        split: evaluate_network(network, data.loader(split), len(dataset.times), bins)
        for split, dataset in experiment.datasets.items()
    }
    return Evaluation(found, evaluate_baselines(experiment, bins))


def score_rows(model: str, split: str, sums: Tensor) -> list[ScoreRow]:
    """The table's rows of one model on one split, natural and balanced."""
    return [ScoreRow(model, split, distribution, scores(sums, distribution)) for distribution in DISTRIBUTIONS]


def evaluate_baselines(experiment: Experiment, bins: int) -> dict[tuple[str, str], Tensor]:
    """Sums of each baseline on each split, by its name and the split's.

    The baselines are fitted on the labels of the training patches of the regular grid, and scored on the pixels that
    the network is scored on.

    Args:
        experiment: Labels, weather and patches.
        bins: SSM bins of the balanced scores.
    """
    fallback = _mean_ssm(experiment)
    totals: dict[tuple[str, str], Tensor] = {}
    for area in range(len(experiment.stack.areas)):
        fitted = _fit(experiment, area, fallback)
        for split, dataset in experiment.datasets.items():
            patches = dataset.patches[(dataset.patches["area"] == area) & (dataset.patches["pass"] == 1)]
            for time, here in patches.groupby("time"):
                date = int(np.searchsorted(dataset.times, int(str(time))))
                for name, prediction in fitted.predict(int(str(time))).items():
                    sums = _area_sums(experiment, area, here, prediction, date, len(dataset.times), bins)
                    totals[name, split] = totals[name, split] + sums if (name, split) in totals else sums
    return totals


@dataclass(frozen=True)
class _Fitted:
    """The baselines of one area, and its antecedent precipitation index by time."""

    mean: PixelMean
    antecedent: AntecedentPrecipitation
    api: npt.NDArray[np.float64]

    def predict(self, time: int) -> Mapping[str, npt.NDArray[np.float64]]:
        return {PIXEL_MEAN: self.mean.predict(), ANTECEDENT: self.antecedent.predict(float(self.api[time]))}


def _fit(experiment: Experiment, area: int, fallback: float) -> _Fitted:
    api = area_precipitation_index(experiment, area)
    train = experiment.datasets["train"]
    patches = train.patches[(train.patches["area"] == area) & (train.patches["pass"] == 1)]
    times = np.unique(patches["time"].to_numpy(np.int64))
    everything = slice(None)
    ssm = experiment.retrieval.labels(area, times, everything, everything).ssm
    inside = np.zeros(ssm.shape, bool)
    for position, time in enumerate(times):
        inside[position] = _covered(patches[patches["time"] == time], ssm.shape[1:], train.size)
    ssm = np.where(inside, ssm, np.nan).astype(float)
    fitted = AntecedentPrecipitation.fit(ssm, api[times], fallback)
    return _Fitted(PixelMean.fit(ssm, fallback), fitted, api)


def area_precipitation_index(experiment: Experiment, area: int) -> npt.NDArray[np.float64]:
    """Antecedent precipitation index at an area's middle at the end of each acquisition's window, mm, [time]."""
    field, place = experiment.field, experiment.field.places[area]
    middle = np.array([[place.x.mean(), place.y.mean()]])
    rain = field.weather.values[:, :, VARIABLES.index("precipitation")].T
    config = field.config
    daily = inverse_distance(rain, field.station_xy, middle, config.neighbours, config.power)[0]
    index = antecedent_precipitation_index(daily)
    position = (experiment.cube.window_ends - field.weather.days[0]).astype(int)
    inside = (position >= 0) & (position < len(index))
    return np.where(inside, index[np.clip(position, 0, len(index) - 1)], 0.0)


def _area_sums(
    experiment: Experiment,
    area: int,
    patches: pd.DataFrame,
    prediction: npt.NDArray[np.float64],
    date: int,
    dates: int,
    bins: int,
) -> Tensor:
    time = int(patches["time"].iloc[0])
    everything = slice(None)
    labels = experiment.retrieval.labels(area, np.array([time]), everything, everything)
    usable = experiment.features.patch(area, experiment.moments[time], everything, everything).usable
    size = experiment.datasets["train"].size
    valid = np.isfinite(labels.ssm) & usable & _covered(patches, prediction.shape, size)
    return pixel_sums(
        torch.from_numpy(prediction[None]),
        torch.from_numpy(labels.ssm),
        torch.from_numpy(valid),
        torch.from_numpy(labels.standard_error),
        torch.tensor([date]),
        dates=dates,
        bins=bins,
    )


def _covered(patches: pd.DataFrame, shape: tuple[int, ...], size: int) -> npt.NDArray[np.bool_]:
    """Which pixels of an area lie in one of the patches."""
    covered = np.zeros(shape, bool)
    for row, col in patches[["row", "col"]].itertuples(index=False):
        covered[row : row + size, col : col + size] = True
    return covered


def _mean_ssm(experiment: Experiment) -> float:
    patches = experiment.datasets["train"].patches
    patches = patches[patches["pass"] == 1]
    return float(np.average(patches["mean_ssm"], weights=patches["valid_fraction"]))
