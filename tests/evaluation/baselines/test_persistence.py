from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from mlssm.data.assemble import Experiment
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.persistence import Persistence
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.retrieval.fit import Retrieval


def _of_pandas(labels: np.ndarray, days: np.ndarray, mean: np.ndarray) -> pd.DataFrame:
    """SSM of each pixel by local day: the last label of the days before, else the mean."""
    table = pd.DataFrame(labels.reshape(len(labels), -1).astype(float), index=pd.DatetimeIndex(days))
    return table.groupby(level=0).last().ffill().shift(1).fillna(pd.Series(mean.ravel()))


class Labels:
    """Labels [time, row, column] that are simply there."""

    def __init__(self, ssm: np.ndarray) -> None:
        self.ssm = ssm
        self.extents = [SimpleNamespace(labelled=~np.isnan(ssm).all(axis=0))]

    def labels(self, extent: int, times: np.ndarray, rows: slice, cols: slice) -> Any:
        return SimpleNamespace(ssm=self.ssm[times, rows, cols])


def _persistence(ssm: np.ndarray, days: np.ndarray, mean: np.ndarray) -> Persistence:
    return Persistence.of(cast(Retrieval, Labels(ssm)), days.astype("datetime64[D]"), PixelMean((mean,)))


@pytest.mark.parametrize("missing", [0.0, 0.5, 0.97])
def test_the_last_label_of_the_days_before_as_pandas_finds_it(missing: float) -> None:
    rng = np.random.default_rng(5)
    days = np.sort(rng.integers(0, 60, 90))  # some days have several images
    ssm, mean = rng.random((90, 4, 3)), rng.random((4, 3))
    ssm[rng.random(ssm.shape) < missing] = np.nan
    ssm[:, 1, 1] = np.nan  # water
    ssm[1:, 2, 2] = np.nan  # one label long ago
    persistence = _persistence(ssm, days, mean)
    expected = _of_pandas(ssm, days.astype("datetime64[D]").astype("datetime64[s]"), mean)
    for time in rng.permutation(90):
        found = persistence.at(PatchPlace(0, int(time), slice(1, 9), slice(0, 3)))
        day = pd.Timestamp(days[time], unit="D")
        np.testing.assert_array_equal(found, expected.loc[day].to_numpy().reshape(4, 3)[1:])


def test_an_image_of_the_same_day_is_not_yet_known() -> None:
    ssm = np.array([0.1, 0.2, 0.3, 0.4]).reshape(4, 1, 1)
    persistence = _persistence(ssm, np.array([3, 4, 4, 5]), np.array([[0.9]]))
    everything = slice(0, 1)
    found = [persistence.at(PatchPlace(0, time, everything, everything)).item() for time in range(4)]
    assert found == [0.9, 0.1, 0.1, 0.3]


def test_on_experiments_it_is_that_of_pandas(any_experiment: Experiment, fitted: Any) -> None:
    mean, _, persistence, *_ = fitted(any_experiment)
    assert isinstance(mean, PixelMean)
    assert isinstance(persistence, Persistence)
    days = any_experiment.cube.local_days
    everything = slice(None)
    for extent in range(len(any_experiment.field.places)):
        labels = any_experiment.retrieval.labels(extent, np.arange(len(days)), everything, everything).ssm
        expected = _of_pandas(labels, days.astype("datetime64[s]"), mean.maps[extent])
        for time in range(len(days)):
            found = persistence.at(PatchPlace(extent, time, everything, everything))
            np.testing.assert_array_equal(found.ravel(), expected.loc[pd.Timestamp(days[time])])
