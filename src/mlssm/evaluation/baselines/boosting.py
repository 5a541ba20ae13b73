"""Gradient boosting of a pixel's SSM on its inputs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.evaluation.baselines.pixels import PixelRegression, PixelSample, Regressor

NAME = "gradient boosting"
TREES = 100
LEAVES = 8
LEARNING_RATE = 0.1
INPUT_SHARE = 0.3  # of the inputs that a split may choose from
LEAF_DATES = 2  # mean days' pixels that a leaf holds at least, so that none is about a single day
LEAST_LEAF = 20  # pixels


def fit_boosting(sample: PixelSample, seed: int) -> PixelRegression:
    """Fit histogram-based gradient boosting (Friedman 2001; scikit-learn's, after LightGBM, Ke et al. 2017).

    Small trees with large leaves, as days are few beside pixels. There is no early stopping: scikit-learn's would
    hold out random pixels, which share their days with those that are fitted on.

    Args:
        sample: Training pixels.
        seed: Of the inputs that splits choose from.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    regressor = HistGradientBoostingRegressor(
        learning_rate=LEARNING_RATE,
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=max(LEAST_LEAF, LEAF_DATES * len(sample.ssm) // sample.dates),
        l2_regularization=1.0,
        max_features=INPUT_SHARE,
        early_stopping=False,
        random_state=seed,
    )
    with _one_thread():
        return PixelRegression(NAME, _OneThread(regressor.fit(sample.inputs, sample.ssm)), sample.static)


@dataclass(frozen=True)
class _OneThread:
    """A regressor that predicts on one thread."""

    regressor: Regressor

    def predict(self, X: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `Regressor.predict`."""
        with _one_thread():
            return self.regressor.predict(X)


def _one_thread() -> Any:
    """Keeps OpenMP to one thread: on busy cores its threads wait for each other at every tree, a hundred times over."""
    return _thread_pools().limit(limits=1, user_api="openmp")


@functools.cache
def _thread_pools() -> Any:
    """Those of this process, once: to look for them takes longer than to predict a batch."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()
