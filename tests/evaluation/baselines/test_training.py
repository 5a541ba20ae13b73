import math
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from tests.training_patches import training_patches

from mlssm.data.assemble import Experiment
from mlssm.evaluation.baselines.training import PixelLabels, pixel_means, regular_positions, wetness

NAN = float("nan")
NAMES = ("n", "x", "y", "xx", "xy")


def _labels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    ssm = rng.uniform(0.2, 0.8, (9, 3, 4))
    ssm[rng.random(ssm.shape) < 0.25] = NAN
    return ssm, rng.gamma(1.0, 10.0, 9)


def test_sums_are_those_of_pandas() -> None:
    ssm, api = _labels()
    sums = PixelLabels.empty((3, 4))
    for labels, index in zip(ssm, api, strict=True):
        sums.add(labels, wetness(float(index)))
    y = pd.DataFrame(ssm.reshape(9, 12))
    x = pd.DataFrame(np.repeat(np.log(1 + api)[:, None], 12, axis=1)).where(y.notna())
    for name, expected in zip(NAMES, (y.notna(), x, y, x * x, x * y), strict=True):
        np.testing.assert_allclose(getattr(sums, name).ravel(), expected.sum(), rtol=1e-12)


def test_labels_added_patch_by_patch_are_those_added_at_once() -> None:
    ssm, api = _labels()
    pieces, whole = PixelLabels.empty((3, 4)), PixelLabels.empty((3, 4))
    for labels, index in zip(ssm, api, strict=True):
        whole.add(labels, wetness(float(index)))
        for rows in (slice(0, 2), slice(2, 9)):  # the last reaches past the extent, as a patch at its edge does
            for cols in (slice(0, 1), slice(1, 4)):
                pieces.add(labels[rows, cols], wetness(float(index)), rows, cols)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


def test_labels_that_do_not_fit_their_place_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4\) do not fit rows and columns \(2, 4\)"):
        PixelLabels.empty((3, 4)).add(np.zeros((1, 4)), 0.0, slice(0, 2))


@pytest.mark.parametrize("api", [-1.0, NAN, math.inf])
def test_an_index_that_cannot_be_is_refused(api: float) -> None:
    with pytest.raises(ValueError, match=re.escape("finite and >= 0")):
        wetness(api)


def test_a_pixel_without_labels_gets_its_extents_mean_and_an_extent_without_any_the_fallback() -> None:
    total, n = np.array([[0.6, 0.9, 0.0]]), np.array([[2.0, 1.0, 0.0]])
    np.testing.assert_allclose(pixel_means(total, n, 0.1), [[0.3, 0.9, 0.5]])
    np.testing.assert_array_equal(pixel_means(0 * total, 0 * n, 0.1), [[0.1, 0.1, 0.1]])


def test_the_second_pass_is_not_read(experiment: Experiment) -> None:
    train = experiment.datasets["train"]
    assert 0 < len(regular_positions(train)) < len(train)
    index = experiment.index
    assert len(regular_positions(train)) == ((index["split"] == "train") & (index["pass"] == 1)).sum()


def test_every_training_label_is_read_once(
    any_experiment: Experiment, training_labels: Callable[[Experiment], pd.DataFrame]
) -> None:
    found = []
    for patch in training_patches(any_experiment.datasets["train"]):
        place = patch.place
        shape = any_experiment.field.places[place.extent].shape
        rows, cols = (range(side)[part] for side, part in zip(shape, (place.rows, place.cols), strict=True))
        ssm = patch.labels((len(rows), len(cols)))
        valid = np.argwhere(np.isfinite(ssm))
        found += [(place.extent, place.time, rows[i], cols[j], ssm[i, j]) for i, j in valid]
    expected = training_labels(any_experiment)
    columns = ["extent", "time", "row", "col", "ssm"]
    table = pd.DataFrame(found, columns=columns)
    assert len(expected) > 1000
    pd.testing.assert_frame_equal(
        table.sort_values(columns[:4], ignore_index=True),
        expected[columns].sort_values(columns[:4], ignore_index=True),
        check_dtype=False,
    )
