"""Experiments of one and of several extents, their training labels as a table, and batches of patches."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import default_collate

from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines import fit_baselines
from mlssm.evaluation.baselines.base import Baseline


@pytest.fixture(scope="session")
def five_extents(santa_barbara: Any) -> Experiment:
    """Real images; few dates, and pixels without any label."""
    found: Experiment = santa_barbara.experiment("retrieval.multilook_m=150", "split.test=[2022]", "patches.size=8")
    return found


@pytest.fixture(params=["experiment", "five_extents"])
def any_experiment(request: pytest.FixtureRequest) -> Experiment:
    """A simulated area, then five real ones."""
    found: Experiment = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def fitted() -> Callable[[Experiment], tuple[Baseline, ...]]:
    """The baselines of an experiment, fitted once on a dataset that may hold the second pass too."""
    found: dict[int, tuple[Baseline, ...]] = {}

    def fit(experiment: Experiment) -> tuple[Baseline, ...]:
        if id(experiment) not in found:
            found[id(experiment)] = fit_baselines(experiment, experiment.datasets["train"], 3)
        return found[id(experiment)]

    return fit


@pytest.fixture(scope="session")
def training_labels() -> Callable[[Experiment], pd.DataFrame]:
    """Extent, time, row, column and SSM of every training label of the regular grid."""
    return _training_labels


def _training_labels(experiment: Experiment) -> pd.DataFrame:
    index, size = experiment.index, experiment.datasets["train"].size
    parts = []
    for row in index[(index["split"] == "train") & (index["pass"] == 1)].itertuples():
        window = slice(row.row, row.row + size), slice(row.col, row.col + size)
        ssm = experiment.retrieval.labels(row.extent, np.array([row.time]), *window).ssm[0].astype(float)
        rows, cols = np.nonzero(np.isfinite(ssm))
        place = {"extent": row.extent, "time": row.time, "row": rows + row.row, "col": cols + row.col}
        parts.append(pd.DataFrame(place | {"ssm": ssm[rows, cols]}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def batches() -> Callable[..., Iterator[tuple[list[PatchPlace], Batch]]]:
    """A dataset in batches, with the patches' places."""
    return _batches


def _batches(dataset: PatchDataset, size: int, order: Any = None) -> Iterator[tuple[list[PatchPlace], Batch]]:
    positions = list(range(len(dataset))) if order is None else list(order)
    for start in range(0, len(positions), size):
        part = positions[start : start + size]
        yield [dataset.place(i) for i in part], Batch(*default_collate([tuple(dataset[i]) for i in part]))
