from typing import Any

import numpy as np
import pytest

from mlssm.response.backscatter import backscatter_response
from mlssm.response.closed_form import ClosedForm
from mlssm.response.fitted import Settings


def test_with_all_of_a_pixels_own_slope_it_is_the_regression_of_backscatter(made_up: Any) -> None:
    """Against numpy's least squares with the seasons' correlation written out."""
    extent = made_up(6)
    training = extent.seasons < 2023
    form = ClosedForm.fit([extent.extent], extent.dates, training, Settings(penalties=()))
    found = backscatter_response(form.fitted[0], 1.0, extent.seasons)
    labels = form.fitted[0].found
    seasons, driver = extent.seasons[training], extent.driver[training, 0, 0]
    inverse = np.linalg.inv(np.eye(len(seasons)) + 0.2 * (seasons[:, None] == seasons))
    x = np.column_stack([np.ones(len(driver)), driver])
    for row, col in ((0, 0), (3, 2)):
        sigma = extent.sigma[training, row, col]
        _, slope = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ sigma)
        assert found.slope[row, col] == pytest.approx(slope / labels.span[row, col], rel=1e-6)


def test_held_out_backscatter_moves_nothing(made_up: Any) -> None:
    extent = made_up(6)
    training = extent.seasons < 2023
    changed = extent.with_sigma(~training, 4.0)
    left, right = (
        backscatter_response(
            ClosedForm.fit([each.extent], each.dates, training, Settings(penalties=())).fitted[0], 0.5, each.seasons
        )
        for each in (extent, changed)
    )
    assert np.array_equal(left.slope, right.slope)
    assert np.array_equal(left.mean, right.mean)
