import numpy as np
import pytest
from scipy.stats import norm

from mlssm.retrieval.label_error import BINS, LABELS, LEVELS, LabelError, fit_label_error, label_bin
from mlssm.retrieval.noise import speckle_variance_db
from mlssm.retrieval.sample import Sample

NAN, ALL = np.nan, np.ones(6, bool)


def sample(looks: float, sensitivity: float = 4.0, pixels: int = 2000) -> tuple[Sample, np.ndarray]:
    """Six dates, noise-free values about a mean of the date that lies within 0..1 or beyond; and these values."""
    rng = np.random.default_rng(0)
    mean = np.array([-0.3, 0.1, 0.3, 0.6, 0.9, 1.2])[:, None]
    clean = mean + 0.15 * rng.standard_normal((6, pixels))
    speckle = 10 * np.log10(rng.gamma(looks, 1 / looks, clean.shape))
    span = sensitivity * rng.uniform(0.8, 1.2, clean.shape)
    offset = 10 * np.log10(np.e) / (2 * looks)  # a first-order mean of the logarithm's
    return Sample(clean + (speckle + offset) / span, span, np.full(clean.shape, looks)), clean


def censored(mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of clip(N(mean, sd), 0, 1) in closed form (Greene 2012, Econometric Analysis, 19.3)."""
    low, high = -mean / sd, (1 - mean) / sd
    inside, above = norm.cdf(high) - norm.cdf(low), norm.sf(high)
    first = mean * inside + sd * (norm.pdf(low) - norm.pdf(high)) + above
    second = (mean**2 + sd**2) * inside + sd * (mean * norm.pdf(low) - (mean + 1) * norm.pdf(high)) + above
    return first, second - first**2


def test_bins_of_labels() -> None:
    """Clipped labels have bins of their own; between them twenty of a twentieth each."""
    found = label_bin(np.array([0, 1e-6, 0.0499, 0.05, 0.951, 1 - 1e-9, 1]))
    np.testing.assert_array_equal(found, [0, 1, 1, 2, 20, 20, BINS - 1])
    np.testing.assert_array_equal(label_bin(LABELS), np.arange(BINS))


def test_errors_are_looked_up_by_date_sensitivity_and_label() -> None:
    shift = np.linspace(-0.1, 0.1, 2 * LEVELS * BINS, dtype=np.float32).reshape(2, LEVELS, BINS)
    error = LabelError(shift, shift**2 + 0.01, np.arange(1.0, LEVELS))
    ssm, sensitivity = np.array([[[0.2, NAN, 0.55]]]), np.array([[[0.5, 1.5, 2.5]]])
    attainable, found = error.of(np.array([1]), ssm, sensitivity)
    moved = np.array([shift[1, 0, 5], NAN, shift[1, 2, 12]])
    np.testing.assert_allclose(attainable[0, 0], ssm[0, 0] + moved, rtol=1e-6)
    np.testing.assert_allclose(found[0, 0], np.sqrt(2 * moved**2 + 0.01), rtol=1e-5)
    assert attainable.dtype == found.dtype == np.float32


@pytest.mark.parametrize("looks", [20, 60, 300])
def test_the_mean_squared_error_of_each_date_is_the_censored_normals(looks: int) -> None:
    """Of labels of known noise-free values; near 0 and 1, where most are clipped, it is less than inside."""
    given, clean = sample(looks)
    label = np.clip(given.relative, 0, 1)[:, None]
    attainable, error = (
        each[:, 0] for each in fit_label_error(given, ALL).of(np.arange(6), label, given.sensitivity[:, None])
    )
    best, variance = censored(clean, np.sqrt(speckle_variance_db(looks)) / given.sensitivity)
    np.testing.assert_allclose((error**2).mean(axis=1), variance.mean(axis=1), rtol=0.12, atol=2e-4)
    assert (error**2).mean() == pytest.approx(variance.mean(), rel=0.04)
    np.testing.assert_allclose(attainable.mean(axis=1), best.mean(axis=1), atol=0.01)
    assert np.square(attainable - best).mean() < np.square(label[:, 0] - best).mean()


def test_the_noisy_values_themselves_would_mislead() -> None:
    """Within 0..1 a value that is noisy lies nearer to the ends than the noise-free one does."""
    given, clean = sample(20)
    sd = np.sqrt(speckle_variance_db(20)) / given.sensitivity
    naive, true = censored(given.relative, sd)[1].mean(), censored(clean, sd)[1].mean()
    label = np.clip(given.relative, 0, 1)[:, None]
    found = fit_label_error(given, ALL).of(np.arange(6), label, given.sensitivity[:, None])[1]
    assert abs(np.square(found).mean() - true) < 0.3 * abs(naive - true)


def test_without_speckle_labels_have_no_error() -> None:
    given, _ = sample(1e9)
    label = np.clip(given.relative, 0, 1)[:, None]
    attainable, error = fit_label_error(given, ALL).of(np.arange(6), label, given.sensitivity[:, None])
    np.testing.assert_allclose(attainable, label, atol=2e-3)
    assert error.max() < 0.01


def test_the_error_is_unknown_and_told_where_no_pixel_passes_the_masks(caplog) -> None:
    given, _ = sample(10, pixels=5)
    nothing = Sample(np.full_like(given.relative, NAN), given.sensitivity, given.looks)
    error = fit_label_error(nothing, ALL)
    assert np.isnan(error.shift).all()
    assert np.isnan(error.variance).all()
    assert "no pixel of a sample is sensitive to moisture" in caplog.text


def test_dates_with_few_labels_or_none_have_finite_errors() -> None:
    given, _ = sample(14, pixels=40)
    relative = given.relative.copy()
    relative[0], relative[1, 3:] = NAN, NAN
    error = fit_label_error(Sample(relative, given.sensitivity, given.looks), ALL)
    assert np.isfinite(error.shift).all()
    assert (error.variance >= 0).all()
