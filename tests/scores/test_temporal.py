import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from mlssm.scores.cells import LabelledPixels
from mlssm.scores.temporal import Quartiles, TemporalSums

PIXELS, DATES = 30, 8


def _correlations(label: np.ndarray, prediction: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Streamed date by date; all [dates, pixels]."""
    sums = TemporalSums(label.shape[1], ("a", "b"))
    for y, p, here in zip(label, prediction, known, strict=True):
        number = torch.from_numpy(np.flatnonzero(here))
        target = torch.from_numpy(y[here])
        pixels = LabelledPixels(number, target, target, target, number, number, number)
        sums.add_labels(pixels)
        sums.add("a", pixels, torch.from_numpy(p[here]))
        sums.add("b", pixels, -torch.from_numpy(p[here]))
    found = sums.correlation("a")
    np.testing.assert_allclose(sums.correlation("b"), -found)
    return found


def test_each_pixels_correlation_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    label, prediction = random.uniform(0, 1, (2, DATES, PIXELS))
    known = random.uniform(0, 1, (DATES, PIXELS)) < 0.75
    found = _correlations(label, prediction, known)
    enough = known.sum(0) >= 5
    assert 0 < enough.sum() < PIXELS
    for pixel in range(PIXELS):
        here = known[:, pixel]
        expected = pearsonr(label[here, pixel], prediction[here, pixel]).statistic if enough[pixel] else np.nan
        assert found[pixel] == pytest.approx(expected, abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("constant", ["label", "prediction"])
def test_what_does_not_vary_has_no_correlation(constant: str) -> None:
    label, prediction = np.random.default_rng(0).uniform(0, 1, (2, DATES, 2))
    (label if constant == "label" else prediction)[:, 0] = 0.3
    found = _correlations(label, prediction, np.ones((DATES, 2), bool))
    assert np.isnan(found).tolist() == [True, False]


def test_quartiles_leave_out_what_is_not_defined() -> None:
    values = np.array([0.1, np.nan, 0.2, 0.4, 0.8, np.nan])
    found = Quartiles.of(values, "none")
    assert (found.n, found.reason) == (4, "")
    assert (found.q25, found.median, found.q75) == pytest.approx(tuple(np.nanquantile(values, [0.25, 0.5, 0.75])))


def test_without_values_the_reason_is_stated() -> None:
    found = Quartiles.of(np.full(3, np.nan), "four dates")
    assert np.isnan([found.q25, found.median, found.q75]).all()
    assert (found.n, found.reason) == (0, "four dates")
