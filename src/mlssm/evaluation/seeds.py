"""How much of a score is the luck of the seed: several networks that differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mlssm.crew import Crew
from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.evaluation.parts import Patches, look_at
from mlssm.evaluation.stream import Network
from mlssm.scores.decomposition import decompose
from mlssm.scores.sums import SCORES, SUMS, pixel_sums

if TYPE_CHECKING:
    import pandas as pd

    from mlssm.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class SeedSplit:
    """What a split's error is made of, when only the seed of the training changes; SSM units squared.

    The mean square error that one training is expected to have is bias^2 + variance + noise (Geman, Bienenstock &
    Doursat 1992, doi:10.1162/neco.1992.4.1.1), each estimated without bias from a few networks: of the mean of m
    networks' predictions, MSE = bias^2 + variance / m + noise. That predictions know nothing of the labels' noise holds
    on dates that were not trained on. `bias_squared` falls below 0 where the labels' standard errors are too large.

    Attributes:
        networks: Number of networks.
        mse: Mean over the networks of their mean square error; the sum of the next three.
        bias_squared: Of the mean of all networks that could be trained, against the truth.
        variance: Of a pixel's prediction over seeds (n - 1), mean over the pixels.
        noise: Mean squared standard error of the labels.
        ensemble_sums: Of the mean of the networks' predictions; float64 [dates, 1, len(SUMS)].
        reason: Why it is not defined; empty where it is.
    """

    networks: int
    mse: float
    bias_squared: float
    variance: float
    noise: float
    ensemble_sums: Tensor
    reason: str


def seed_split(
    networks: Sequence[nn.Module],
    dataset: PatchDataset,
    batch_size: int,
    control: str = "none",
    crew: Crew | None = None,
) -> SeedSplit:
    """Predict a split by several networks at once, and split their error.

    Args:
        networks: Trained alike but for the seed, each on the device that it is to run on.
        dataset: The split's patches.
        batch_size: Patches that are predicted at once.
        control: What they were trained without.
        crew: Who predicts; None: here, one batch after the other.
    """
    spec = dataset.features.spec
    models = [Network(f"network {place}", network, spec, control) for place, network in enumerate(networks)]
    dates = len(dataset.times)
    sums = torch.zeros(dates, 1, len(SUMS), dtype=torch.float64)
    squares = torch.zeros((), dtype=torch.float64)

    def add(found: tuple[Tensor, Tensor]) -> None:
        for total, part in zip((sums, squares), found, strict=True):
            total.add_(part)

    look_at(Patches(dataset, batch_size), _Together(models, dates), add, crew, "seeds")
    return split_error(len(models), sums, squares / (len(models) - 1))


@dataclass(frozen=True)
class _Together:
    """Networks that predict a batch; see `mlssm.evaluation.parts.Look`.

    Attributes:
        models: They.
        dates: Of the split.
    """

    models: Sequence[Network]
    dates: int

    def __call__(self, batch: Batch, places: Sequence[PatchPlace]) -> tuple[Tensor, Tensor]:
        """Sums of the mean of their predictions [dates, 1, len(SUMS)], and of the squared distances from it."""
        found = torch.stack([model.predict(places, batch)[batch.valid].double() for model in self.models])
        mean = torch.zeros(batch.valid.shape, dtype=torch.float64).masked_scatter(batch.valid, found.mean(0))
        labels = (batch.target, batch.valid, batch.standard_error, batch.attainable, batch.date)
        # by hand, for var() warns of a single network, whose variance is 0 / 0
        squares = ((found - found.mean(0)) ** 2).sum()
        return pixel_sums(mean, *labels, groups=self.dates, bins=1), squares


def split_error(networks: int, sums: Tensor, variance: Tensor) -> SeedSplit:
    """Split the error, from sums over a split.

    Args:
        networks: Number of networks.
        sums: Of the mean of their predictions, float64 [..., len(SUMS)].
        variance: Sum over the pixels of the variance of their predictions (n - 1).
    """
    mean, n = decompose(sums), sums[..., 0].sum()
    of_seeds = float(variance / n)
    bias_squared = mean.mse - of_seeds / networks - mean.noise
    reason = mean.reason or ("one seed" if networks == 1 else "")
    mse = mean.mse + (of_seeds * (networks - 1) / networks if networks > 1 else 0.0)
    return SeedSplit(networks, mse, bias_squared, of_seeds, mean.noise, sums, reason)


def spread(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """Mean and standard deviation (n - 1) over seeds of each score.

    Args:
        evaluations: One a seed.

    Returns:
        A row a split, distribution and model, in the order of the tables, with `seeds`, and of each score and of the
        skill `<score>` (mean) and `<score>_sd`; and the reason where there is none.
    """
    import pandas as pd

    keys = ["split", "distribution", "model"]
    rows = [row for evaluation in evaluations for row in evaluation.rows]
    frame = pd.DataFrame(
        {
            "split": row.split,
            "distribution": row.distribution,
            "model": row.model,
            **asdict(row.scores),
            "skill": row.skill,
        }
        for row in rows
    )
    names = [*SCORES, "skill"]
    grouped = frame.groupby(keys, sort=False)[names]
    # a score that one seed lacks has no mean: pandas would take that of the others
    found = grouped.agg(_mean).join(grouped.agg(_deviation).add_suffix("_sd"))
    ordered = found[[column for name in names for column in (name, f"{name}_sd")]].reset_index()
    ordered.insert(len(keys), "seeds", grouped.size().to_numpy())
    return ordered.assign(reason="one seed: no spread" if len(evaluations) == 1 else "")


def _mean(values: pd.Series[float]) -> float:
    return float(values.mean(skipna=False))


def _deviation(values: pd.Series[float]) -> float:
    return float(values.std(skipna=False))
