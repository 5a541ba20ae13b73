import numpy as np
import pytest

from mlssm.response.closed_form import ClosedForm
from mlssm.response.fitted import Settings
from mlssm.response.leverage import Leverage
from mlssm.response.rows import kept


def test_it_is_the_diagonal_of_the_hat_matrix() -> None:
    driver = np.random.default_rng(0).gamma(1, 1, 15)
    design = np.column_stack([np.ones(15), driver])
    hat = design @ np.linalg.inv(design.T @ design) @ design.T
    found = Leverage.of(driver[:, None, None], np.ones(15, bool))
    assert found.at(driver[:, None, None])[:, 0, 0] == pytest.approx(np.diag(hat))


def test_dates_that_are_not_training_ones_move_nothing() -> None:
    driver = np.array([1.0, 2, 3, 50])[:, None, None]
    found = Leverage.of(driver, np.array([True, True, True, False]))
    assert found.at(driver)[:, 0, 0] == pytest.approx([1 / 3 + 0.5, 1 / 3, 1 / 3 + 0.5, 1 / 3 + 48**2 / 2])


def test_a_driver_that_never_varied_tells_nothing() -> None:
    found = Leverage.of(np.ones((4, 1, 1)), np.ones(4, bool))
    assert found.at(np.array([[9.0]])) == pytest.approx(1 / 4)


def test_a_training_date_is_far_from_the_other_seasons_and_a_later_one_from_all(made_up) -> None:
    extent = made_up()
    training = extent.seasons < 2023
    form = ClosedForm.fit([extent.extent], extent.dates, training, Settings(penalties=()))
    found = kept(form.leverage_maps(0), len(extent.seasons), form.fitted[0].shape)
    for season, others in ((2020, extent.seasons > 2020), (2023, extent.seasons < 2023)):
        known = extent.driver[training & others]
        own = extent.driver[extent.seasons == season]
        square = ((known - known.mean(axis=0)) ** 2).sum(axis=0)
        assert found[extent.seasons == season] == pytest.approx(
            1 / len(known) + (own - known.mean(axis=0)) ** 2 / square
        )


def test_it_comes_back_from_its_state() -> None:
    driver = np.random.default_rng(1).random((6, 2, 3))
    found = Leverage.of(driver, np.ones(6, bool))
    assert Leverage.restored(found.state()).at(driver) == pytest.approx(found.at(driver))
