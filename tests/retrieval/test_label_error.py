import numpy as np
import pytest

from mlssm.retrieval.label_error import BINS, LEVELS, Dates, LabelError, _smoothed, fit_label_error, label_bin
from mlssm.retrieval.sample import Sample

NAN = np.nan
DATES = Dates(np.arange(40) % 4 != 0, np.zeros(40, np.int64))


def sample(looks: float, sensitivity: float = 6.0, redundancy: float = 1.0) -> Sample:
    """40 dates of 30 neighbourhoods of 9 pixels that all do the same: dry half of the time, then wetter."""
    rng = np.random.default_rng(0)
    moisture = rng.permutation(np.r_[np.zeros(20), np.linspace(0, 1, 20)])
    clean = -14 + sensitivity * np.broadcast_to(moisture[:, None, None], (40, 30, 9))
    speckle = 10 * np.log10(rng.gamma(looks, 1 / looks, clean.shape))
    return Sample(clean + speckle, np.full(clean.shape, looks), redundancy)


def test_bins_of_labels() -> None:
    """Clipped labels have bins of their own; between them ten of a tenth each."""
    found = label_bin(np.array([0, 1e-6, 0.0999, 0.1, 0.95, 1 - 1e-9, 1]))
    np.testing.assert_array_equal(found, [0, 1, 1, 2, 10, 10, BINS - 1])


def test_errors_are_looked_up_by_date_sensitivity_and_label() -> None:
    table = np.arange(2 * LEVELS * BINS, dtype=np.float32).reshape(2, LEVELS, BINS)
    error = LabelError(table, np.arange(1.0, LEVELS))
    ssm, sensitivity = np.array([[[0, NAN, 0.55]]]), np.array([[[0.5, 1.5, 2.5]]])
    found = error.of(np.array([1]), ssm, sensitivity)
    np.testing.assert_array_equal(found, [[[table[1, 0, 0], NAN, table[1, 2, 6]]]])
    assert found.dtype == np.float32


@pytest.mark.parametrize("looks", [6, 40, 300])
def test_error_of_pixels_alike_is_that_of_repeated_speckle(train_config, looks: int) -> None:
    """Mean square over training and over held-out dates, against 200 draws about the known truth."""
    config = train_config("retrieval.min_sensitivity_db=0").retrieval
    given = sample(looks)
    truth = sample(1e9).sigma[:, 0, 0]
    error = fit_label_error(given, DATES, config)
    noisy = truth[:, None] + 10 * np.log10(np.random.default_rng(1).gamma(looks, 1 / looks, (40, 2000)))
    labels, clean = (
        np.clip((each - low) / (high - low), 0, 1)
        for each in (noisy, truth[:, None])
        for low, high in [np.percentile(each[DATES.training], [5, 95], axis=0)]
    )
    for part in (DATES.training, ~DATES.training):
        times = np.flatnonzero(part)
        shape = (len(times), 2000, 1)
        spread = np.broadcast_to(np.diff(np.percentile(noisy[DATES.training], [5, 95], axis=0), axis=0)[0], shape[:2])
        stated = error.of(times, labels[part].reshape(shape), spread.reshape(shape))
        wanted = np.square(labels - clean)[part].mean()
        assert np.square(stated.astype(float)).mean() == pytest.approx(wanted, rel=0.08)


def test_without_speckle_labels_have_no_error(train_config) -> None:
    assert not fit_label_error(sample(1e9), DATES, train_config().retrieval).table.any()


def test_error_is_unknown_and_told_where_no_pixel_passes_the_masks(train_config, caplog) -> None:
    config = train_config("retrieval.min_sensitivity_db=60").retrieval
    assert np.isnan(fit_label_error(sample(10), DATES, config).table).all()
    assert "no pixel of a sample is sensitive to moisture" in caplog.text


def test_few_dates_with_gaps_give_finite_errors(train_config) -> None:
    """Ten training dates, of which a pixel may have five; the first neighbourhood has nothing at all."""
    given = sample(14)
    times = np.r_[np.flatnonzero(DATES.training)[:10], np.flatnonzero(~DATES.training)[:4]]
    sigma = given.sigma[times].copy()
    gaps = np.random.default_rng(2).permuted(np.tile(np.arange(10), (30 * 9, 1)), axis=1).T.reshape(10, 30, 9) < 5
    sigma[:10][gaps] = NAN
    sigma[:, 0] = NAN
    part = Sample(sigma, given.looks[times], 1.0)
    error = fit_label_error(part, Dates(np.arange(14) < 10, np.zeros(14, np.int64)), train_config().retrieval)
    assert np.isfinite(error.table).all()
    assert 0.02 < np.median(error.table) < 0.6


def test_an_orbit_without_training_dates_does_no_harm(train_config) -> None:
    keys = np.where(np.arange(40) % 8 == 0, 7, 0)
    error = fit_label_error(sample(40), Dates(DATES.training, keys), train_config().retrieval)
    assert np.isfinite(error.table[keys == 0]).all()


def test_smoothing_keeps_the_mean_of_each_date_and_fills_what_is_empty() -> None:
    rng = np.random.default_rng(0)
    number = rng.poisson(3, (5, LEVELS, BINS)).astype(float)
    total = number * rng.uniform(0, 0.2, number.shape)
    smooth = _smoothed(total, number)
    np.testing.assert_allclose((smooth * number).sum(axis=(1, 2)), total.sum(axis=(1, 2)))
    assert np.isfinite(smooth).all()
    assert (smooth > 0).all()
    # with many of a kind, it is their own mean
    many, there = _smoothed(1e6 * total, 1e6 * number), number > 0
    np.testing.assert_allclose(many[there], total[there] / number[there], rtol=1e-3)
