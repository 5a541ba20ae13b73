import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlssm.scores.decomposition import decompose
from mlssm.scores.sums import pixel_sums

SSM = st.floats(0, 1, width=32)


def _sums(prediction: np.ndarray, label: np.ndarray, error: float = 0.1) -> Tensor:
    p, y = (torch.from_numpy(np.asarray(values, float))[None] for values in (prediction, label))
    date = torch.zeros(1, dtype=torch.int64)
    return pixel_sums(p, y, ~y.isnan(), torch.full_like(y, error), y + error, date, groups=1, bins=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SSM, SSM), min_size=1, max_size=30))
def test_the_parts_add_up_to_the_mean_square_error(pairs: list[tuple[float, float]]) -> None:
    p, y = np.array(pairs).T
    found = decompose(_sums(p, y))
    parts = found.bias_squared, found.variance_mismatch, found.correlation_part
    assert sum(parts) == pytest.approx(np.mean((p - y) ** 2), abs=1e-7)
    assert min(parts) > -1e-7
    assert found.mse == pytest.approx(np.mean((p - y) ** 2), abs=1e-12)


def test_each_part_is_that_of_numpy() -> None:
    p, y = np.random.default_rng(0).uniform(0, 1, (2, 200))
    found = decompose(_sums(p, y, 0.2))
    assert found.bias_squared == pytest.approx((p.mean() - y.mean()) ** 2)
    assert found.variance_mismatch == pytest.approx((p.std() - y.std()) ** 2)
    r = np.corrcoef(p, y)[0, 1]
    assert found.correlation_part == pytest.approx(2 * p.std() * y.std() * (1 - r))
    assert found.noise == pytest.approx(0.04)
    assert found.reason == ""


def test_a_shift_is_bias_and_a_stretch_is_spread() -> None:
    y = np.linspace(0.2, 0.6, 50)
    shifted, stretched = decompose(_sums(y + 0.1, y)), decompose(_sums(y.mean() + 1.5 * (y - y.mean()), y))
    assert (shifted.bias_squared, shifted.mse) == pytest.approx((0.01, 0.01))
    assert stretched.variance_mismatch == pytest.approx(stretched.mse) == pytest.approx(0.25 * y.var())


def test_constant_predictions_lack_spread_not_a_number() -> None:
    y = np.linspace(0, 1, 11)
    found = decompose(_sums(np.full(11, 0.5), y))
    assert found.variance_mismatch == pytest.approx(y.var())
    assert found.correlation_part == pytest.approx(0, abs=1e-9)


def test_what_is_not_defined_says_why() -> None:
    empty, lost = decompose(_sums(np.zeros(1), np.array([np.nan]))), decompose(_sums(np.array([np.nan]), np.ones(1)))
    assert math.isnan(empty.mse)
    assert math.isnan(lost.mse)
    assert (empty.reason, lost.reason) == ("no labelled pixels", "predictions are not finite")
