"""Ridge regression of a pixel's SSM on its inputs."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from mlssm.evaluation.baselines.pixels import PixelRegression, PixelSample

log = logging.getLogger(__name__)

NAME = "ridge"
# in units of the number of pixels, so that they mean the same for any sample: the inputs are scaled
PENALTIES = 10.0 ** np.arange(-3.0, 2.1, 0.5)
FOLDS = 10


def fit_ridge(sample: PixelSample, seasons: npt.NDArray[np.int64] | None = None) -> PixelRegression:
    """Fit with the penalty that cross-validation over days, or over seasons, chooses.

    All pixels of a day are in one fold: they share their weather, and would tell each other. Of the penalties whose
    error is within one standard error of the lowest, the strongest is taken (Breiman et al. 1984, Classification and
    Regression Trees, 3.4.3): with few days the lowest one itself is much a matter of chance. Fewer than 10 days are
    left out one by one; on a single day nothing can be left out, and the strongest penalty of all is taken.

    Args:
        sample: Training pixels.
        seasons: Of each pixel, to be held out in turn; None, or a single one: days are.
    """
    from sklearn.linear_model import Ridge

    inputs = sample.inputs.astype(float)
    groups = sample.day if seasons is None or len(np.unique(seasons)) == 1 else seasons
    penalty = _choose(inputs, sample.ssm, groups) if sample.dates > 1 else float(PENALTIES[-1])
    log.debug("ridge: penalty %.3g a pixel, %d pixels on %d days", penalty, len(inputs), sample.dates)
    return PixelRegression(NAME, Ridge(penalty * len(inputs)).fit(inputs, sample.ssm), sample.static)


def _choose(inputs: npt.NDArray[np.float64], ssm: npt.NDArray[np.float64], groups: npt.NDArray[np.generic]) -> float:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold

    # one target a penalty: the products of the inputs, which take the time, are then made once for all of them
    targets = np.repeat(ssm[:, None], len(PENALTIES), axis=1)
    errors = []
    for fitted, held_out in GroupKFold(min(FOLDS, len(np.unique(groups)))).split(inputs, groups=groups):
        ridge = Ridge(PENALTIES * len(fitted)).fit(inputs[fitted], targets[fitted])
        errors.append(np.mean((ridge.predict(inputs[held_out]) - targets[held_out]) ** 2, axis=0))
    return float(PENALTIES[_strongest(np.mean(errors, axis=0), np.std(errors, axis=0) / np.sqrt(len(errors)))])


def _strongest(error: npt.NDArray[np.float64], standard_error: npt.NDArray[np.float64]) -> int:
    """The last of the errors that are within one standard error of the lowest."""
    best = int(np.argmin(error))
    return int(np.flatnonzero(error <= error[best] + standard_error[best])[-1])
