import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold
from threadpoolctl import threadpool_limits

from mlssm.evaluation.baselines.boosting import fit_boosting
from mlssm.evaluation.baselines.pixels import PixelSample
from mlssm.evaluation.baselines.ridge import PENALTIES, _strongest, fit_ridge


def _sample(dates: int, pixels: int = 60, noise: float = 0.1, seed: int = 0) -> PixelSample:
    """Three inputs that are the same all over a day, one of each pixel; the first and the last say the SSM."""
    rng = np.random.default_rng(seed)
    weather = np.repeat(rng.standard_normal((dates, 3)), pixels, axis=0)
    inputs = np.column_stack([weather, rng.standard_normal(dates * pixels)]).astype(np.float32)
    of_day = np.repeat(noise * rng.standard_normal(dates), pixels)
    ssm = 0.5 + 0.1 * inputs[:, 0] + 0.05 * inputs[:, 3] + of_day
    day = np.repeat(np.datetime64("2021-01-01") + 6 * np.arange(dates), pixels)
    return PixelSample(inputs, np.clip(ssm, 0, 1).astype(float), day)


def _closed_form(sample: PixelSample, penalty: float) -> np.ndarray:
    """Coefficients of ridge regression: (X'X + n penalty I)^-1 X'y of what is centred."""
    x, y = sample.inputs - sample.inputs.mean(axis=0, dtype=float), sample.ssm - sample.ssm.mean()
    return np.linalg.solve(x.T @ x + len(x) * penalty * np.eye(x.shape[1]), x.T @ y)


def _coefficients(sample: PixelSample) -> np.ndarray:
    fitted = fit_ridge(sample).regressor
    zero = np.zeros((1, sample.inputs.shape[1]))
    return np.array([(fitted.predict(zero + one) - fitted.predict(zero)).item() for one in np.eye(zero.size)])


def test_ridge_is_the_closed_form_of_the_penalty_that_days_left_out_choose() -> None:
    sample = _sample(12)
    errors = []
    for penalty in PENALTIES:
        folds = []
        for fit, left_out in GroupKFold(10).split(sample.inputs, groups=sample.day):
            x, y = sample.inputs[fit].astype(float), sample.ssm[fit]
            matrix = np.vstack([x - x.mean(axis=0), np.sqrt(len(x) * penalty) * np.eye(x.shape[1])])
            slope = np.linalg.lstsq(matrix, np.append(y - y.mean(), np.zeros(x.shape[1])), rcond=None)[0]
            error = sample.ssm[left_out] - y.mean() - (sample.inputs[left_out] - x.mean(axis=0)) @ slope
            folds.append(np.mean(error**2))
        errors.append((np.mean(folds), np.std(folds) / np.sqrt(10)))
    best = min(errors)
    chosen = max(p for p, (error, _) in zip(PENALTIES, errors, strict=True) if error <= sum(best))
    assert PENALTIES[0] < chosen < PENALTIES[-1]
    np.testing.assert_allclose(_coefficients(sample), _closed_form(sample, chosen), rtol=1e-6)


def test_of_equally_good_penalties_the_strongest_is_taken() -> None:
    assert _strongest(np.array([3.0, 1.0, 1.4, 1.6]), np.array([0.1, 0.5, 0.1, 9.0])) == 2
    assert _strongest(np.array([3.0, 2.0, 1.0]), np.array([0.0, 0.0, 0.0])) == 2
    assert _strongest(np.array([1.0, 2.0, 3.0]), np.array([0.1, 5.0, 5.0])) == 0


def test_what_only_tells_days_apart_is_not_learnt() -> None:
    """Each day has an input and an SSM of its own, at random: pixels at random would say that it can be learnt."""
    rng = np.random.default_rng(2)
    dates, pixels = 12, 40
    inputs = np.repeat(np.eye(dates, dtype=np.float32) * 3, pixels, axis=0)
    ssm = np.repeat(rng.uniform(0, 1, dates), pixels)
    sample = PixelSample(inputs, ssm, np.repeat(np.datetime64("2021-01-01") + np.arange(dates), pixels))
    assert np.ptp(fit_ridge(sample).regressor.predict(inputs)) < 0.02
    leaking = RidgeCV(PENALTIES * len(ssm), cv=KFold(10, shuffle=True, random_state=0)).fit(inputs, ssm)
    assert r2_score(ssm, leaking.predict(inputs)) > 0.95


@pytest.mark.parametrize("dates", [2, 3, 9])
def test_fewer_days_than_folds_are_left_out_one_by_one(dates: int) -> None:
    found = _coefficients(_sample(dates))
    forms = [_closed_form(_sample(dates), penalty) for penalty in PENALTIES]
    assert sum(np.allclose(found, form, rtol=1e-6) for form in forms) == 1


def test_on_a_single_day_the_strongest_penalty_is_taken() -> None:
    sample = _sample(1)
    np.testing.assert_allclose(_coefficients(sample), _closed_form(sample, 100), rtol=1e-6)


def test_held_out_seasons_choose_the_penalty_where_they_are_given() -> None:
    """What tells three seasons apart is learnt where days are left out, and not where seasons are."""
    rng = np.random.default_rng(2)
    season = np.repeat([2019, 2020, 2021], 400)
    level = np.repeat([-1.0, 1.0, 0.0], 400)
    inputs = np.column_stack([level, rng.standard_normal((1200, 2))]).astype(np.float32)
    ssm = np.repeat([0.3, 0.5, 0.7], 400) + 0.02 * rng.standard_normal(1200)
    sample = PixelSample(inputs, ssm, np.repeat(np.datetime64("2021-01-01") + 9 * np.arange(30), 40))
    days, seasons = (fit_ridge(sample, groups).regressor.predict(inputs) for groups in (None, season))
    assert np.ptp(days) > 0.15
    assert np.ptp(seasons) < 0.02
    one = fit_ridge(sample, np.full(1200, 2019)).regressor.predict(inputs)
    np.testing.assert_array_equal(one, days)


def test_without_noise_ridge_finds_the_line() -> None:
    sample = _sample(60, noise=0)
    predicted = fit_ridge(sample).regressor.predict(sample.inputs)
    assert r2_score(sample.ssm, predicted) > 0.98


@pytest.mark.parametrize(("dates", "pixels", "leaf"), [(12, 60, 120), (3, 4, 20)])
def test_boosting_is_scikit_learns(dates: int, pixels: int, leaf: int) -> None:
    sample = _sample(dates, pixels)
    regressor = HistGradientBoostingRegressor(
        learning_rate=0.1,
        max_iter=100,
        max_leaf_nodes=8,
        min_samples_leaf=leaf,
        l2_regularization=1.0,
        max_features=0.3,
        early_stopping=False,
        random_state=7,
    )
    with threadpool_limits(1, "openmp"):
        expected = regressor.fit(sample.inputs, sample.ssm).predict(sample.inputs)
    flat = dates * pixels < 2 * leaf  # too few pixels to be split
    assert (np.ptp(expected) == 0) == flat
    for seed, same in ((7, True), (8, flat)):
        found = fit_boosting(sample, seed).regressor.predict(sample.inputs)
        assert np.allclose(found, expected, rtol=1e-9) == same


def test_boosting_finds_a_threshold_that_no_line_can() -> None:
    sample = _sample(40, noise=0)
    step = PixelSample(sample.inputs, np.where(np.abs(sample.inputs[:, 0]) > 0.7, 0.9, 0.1), sample.day)
    assert r2_score(step.ssm, fit_boosting(step, 0).regressor.predict(step.inputs)) > 0.95
    assert r2_score(step.ssm, fit_ridge(step).regressor.predict(step.inputs)) < 0.4
