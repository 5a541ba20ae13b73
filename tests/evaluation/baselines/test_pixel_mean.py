from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from mlssm.data.assemble import Experiment
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.pixel_mean import PixelMean

Table = Callable[[Experiment], pd.DataFrame]


def mean_maps(experiment: Experiment, labels: pd.DataFrame) -> list[np.ndarray]:
    """Training means by pandas; a pixel without labels has its extent's, an extent without any that of all labels."""
    maps = []
    for extent, place in enumerate(experiment.field.places):
        here = labels[labels["extent"] == extent]
        found = np.full(place.shape, here["ssm"].mean() if len(here) else labels["ssm"].mean())
        means = here.groupby(["row", "col"])["ssm"].mean()
        for (row, col), mean in means.items():
            found[row, col] = mean
        maps.append(found)
    return maps


def test_means_are_those_of_pandas(any_experiment: Experiment, training_labels: Table, fitted: Any) -> None:
    mean, *_ = fitted(any_experiment)
    assert isinstance(mean, PixelMean)
    expected = mean_maps(any_experiment, training_labels(any_experiment))
    assert len(mean.maps) == len(expected)
    for found, of_pandas in zip(mean.maps, expected, strict=True):
        np.testing.assert_allclose(found, of_pandas, rtol=1e-9)


def test_a_patch_gets_its_part_of_the_map_and_nothing_beyond(experiment: Experiment, batches: Any) -> None:
    mean = PixelMean((np.arange(400.0).reshape(20, 20),))
    dataset = experiment.datasets["test"]
    beyond = 0
    for places, batch in batches(dataset, 5):
        found = mean.predict(places, batch)
        assert found.dtype == torch.float64
        assert found.shape == batch.target.shape
        for place, ssm in zip(places, found[:, 0].numpy(), strict=True):
            rows, cols = np.meshgrid(np.arange(20)[place.rows], np.arange(20)[place.cols], indexing="ij")
            np.testing.assert_array_equal(ssm[: rows.shape[0], : rows.shape[1]], 20 * rows + cols)
            assert np.isnan(ssm[rows.shape[0] :]).all()
            assert np.isnan(ssm[:, rows.shape[1] :]).all()
            beyond += np.isnan(ssm).sum()
        assert torch.isfinite(found[batch.valid]).all()
    assert beyond > 0


def test_the_day_does_not_matter() -> None:
    mean = PixelMean((np.array([[0.2, 0.4]]), np.array([[0.6]])))
    everything = slice(0, 3)
    np.testing.assert_array_equal(mean.at(PatchPlace(0, 5, everything, everything)), [[0.2, 0.4]])
    np.testing.assert_array_equal(mean.at(PatchPlace(1, 9, everything, everything)), [[0.6]])
