import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlssm.retrieval.courses import Amplitudes, NoiseFree, principal_courses
from mlssm.retrieval.noise import speckle_variance_db
from mlssm.retrieval.sample import Sample

NAN = np.nan
LOOKS = 20.0
TRAINING = np.arange(60) % 3 != 0
KEYS = np.arange(60) % 2


def watershed(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and noisy values of 60 dates, 40 neighbourhoods, 16 pixels: two courses, amplitudes from 0.5 to 5 dB."""
    rng = np.random.default_rng(seed)
    common, other = rng.gamma(1, 1, 60), rng.normal(0, 1, 60)
    amplitude = rng.uniform(0.5, 5, (40, 16))
    departure = rng.normal(0, 0.2, 40)
    truth = -14 + amplitude * (common[:, None] + np.outer(other, departure))[..., None]
    return truth, truth + rng.normal(0, np.sqrt(speckle_variance_db(LOOKS)), truth.shape)


def fit(noisy: np.ndarray) -> NoiseFree:
    return NoiseFree.of(Sample(noisy, np.full(noisy.shape, LOOKS), 1.0), TRAINING, KEYS)


def test_components_are_those_of_a_spiked_matrix() -> None:
    """Energy and course of a signal of known size; of noise alone only the one that is always kept."""
    rng = np.random.default_rng(0)
    course = np.linalg.qr(rng.normal(size=(50, 2)))[0]
    course[:, 0] *= np.sign(course[0, 0])
    weight = np.vstack([rng.normal(6, 1, 400), rng.normal(0, 2, 400)])
    found, energy = principal_courses(course @ weight + rng.normal(0, 1, (50, 400)), 1.0)
    assert found.shape == (50, 2)
    np.testing.assert_allclose(energy, (weight**2).mean(axis=1), rtol=0.06)
    np.testing.assert_allclose(np.abs((found * course).sum(axis=0)), 1, atol=0.06)
    assert found[:, 0] @ course[:, 0] > 0  # not upside down
    assert principal_courses(rng.normal(0, 1, (50, 400)), 1.0)[0].shape == (50, 1)


def test_components_with_gaps_are_about_those_without() -> None:
    rng = np.random.default_rng(0)
    values = np.outer(rng.normal(0, 1, 40), rng.uniform(1, 3, 500)) + rng.normal(0, 0.3, (40, 500))
    whole = principal_courses(values, 0.09)[0][:, 0]
    values[rng.random(values.shape) < 0.3] = NAN
    assert principal_courses(values, 0.09)[0][:, 0] @ whole > 0.98


def test_amplitudes_get_the_distribution_of_the_truth() -> None:
    """Of two kinds, blurred by noise as wide as their distance; posterior means vary too little, draws do not."""
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(4000) < 0.3, 1.0, 4.0)
    found = Amplitudes.of(truth + rng.normal(0, 2, 4000), np.full(4000, 4.0))
    drawn = found.draw(rng)
    assert drawn.mean() == pytest.approx(truth.mean(), abs=0.1)
    assert drawn.std() == pytest.approx(truth.std(), rel=0.15)
    assert found.mean.std() < 0.8 * truth.std()
    assert np.corrcoef(found.mean, truth)[0, 1] > 0.4


@given(st.lists(st.floats(-5, 50), min_size=1, max_size=30), st.floats(1e-6, 100))
@settings(max_examples=50, deadline=None)
def test_amplitudes_are_positive_probabilities(measured: list[float], variance: float) -> None:
    found = Amplitudes.of(np.array(measured), np.full(len(measured), variance))
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1)
    assert (found.draw(np.random.default_rng(0)) > 0).all()


def test_drawn_backscatter_is_distributed_as_the_truth() -> None:
    """Its spread about the dates' mean, and where in its range its mean lies; noise widens the one, lifts the other."""
    truth, noisy = watershed()
    drawn = fit(noisy).draw(np.random.default_rng(0))

    def shape(values: np.ndarray) -> tuple[float, float]:
        dry, wet = np.percentile(values, [5, 95], axis=0)
        return float(values.std(axis=0).mean()), float(((values.mean(axis=0) - dry) / (wet - dry)).mean())

    spread, place = shape(truth)
    assert shape(drawn) == (pytest.approx(spread, rel=0.03), pytest.approx(place, abs=0.01))
    noisy_spread, noisy_place = shape(noisy)
    assert noisy_spread > 1.05 * spread
    assert noisy_place > place + 0.02


def test_held_out_dates_are_continued_and_change_nothing_on_training_dates() -> None:
    truth, noisy = watershed()
    drawn = fit(noisy).draw(np.random.default_rng(0))
    for dates in (TRAINING, ~TRAINING):  # of the same neighbourhoods' means
        assert np.corrcoef(drawn[dates].mean(axis=2).ravel(), truth[dates].mean(axis=2).ravel())[0, 1] > 0.99
    other = noisy.copy()
    other[~TRAINING] = -30
    again = fit(other).draw(np.random.default_rng(0))
    np.testing.assert_array_equal(again[TRAINING], drawn[TRAINING])


def test_what_has_no_value_is_not_made_up() -> None:
    """A pixel without any value, a date without any: NaN; a pixel that lacks some dates gets them from its course."""
    _, noisy = watershed()
    noisy[:, 3, 2], noisy[:, 5], noisy[6], noisy[7] = NAN, NAN, NAN, NAN
    noisy[:20, 8, 8] = NAN
    drawn = fit(noisy).draw(np.random.default_rng(0))
    assert np.isnan(drawn[:, 3, 2]).all()
    assert np.isnan(drawn[:, 5]).all()
    assert np.isnan(drawn[6]).all()  # held out
    rest = np.ones(60, bool)
    rest[6:8] = False
    assert np.isfinite(drawn[rest][:, 8, 8]).all()
