import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.errors import ConfigError
from mlssm.retrieval.multilook import block_mean, moving_mean, multilook_db, window_pixels

NAN = np.nan


def db(power: np.ndarray) -> np.ndarray:
    return (10 * np.log10(power)).astype(np.float32)


def test_average_is_of_power_not_of_decibels() -> None:
    """Powers 1 and 9 average to 5, 6.99 dB; decibels 0 and 9.54 would average to 4.77."""
    mean, count = multilook_db(db(np.array([[1.0, 9], [1, 9]])), 2, "block", 1)
    np.testing.assert_allclose(mean, [[10 * np.log10(5)]], rtol=1e-6)
    np.testing.assert_array_equal(count, [[4]])


def test_blocks_by_hand_with_gaps() -> None:
    power = np.array([[1.0, 3, 7, NAN], [NAN, 2, NAN, NAN]])
    mean, count = block_mean(power, 2, 0.5)
    np.testing.assert_allclose(mean, [[2, NAN]])
    np.testing.assert_array_equal(count, [[3, 1]])


def test_share_that_must_be_valid_is_reached_by_equality() -> None:
    """7 of 25 pixels are the share 0.28, though 0.28 * 25 is a little more than 7 in floats."""
    power = np.full((5, 5), NAN)
    power.ravel()[:7] = 4.0
    assert block_mean(power, 5, 0.28)[0][0, 0] == 4
    assert np.isnan(block_mean(power, 5, 0.29)[0][0, 0])


def test_moving_window_equals_the_mean_of_each_neighbourhood() -> None:
    rng = np.random.default_rng(0)
    power = rng.gamma(3, 1, (12, 15))
    power[rng.random(power.shape) < 0.3] = NAN
    mean, count = moving_mean(power, 3, 0.4)
    padded = np.pad(power, 1, constant_values=NAN)
    for row, col in np.ndindex(power.shape):
        around = padded[row : row + 3, col : col + 3]
        known = np.isfinite(around)
        assert count[row, col] == known.sum()
        wanted = around[known].mean() if known.sum() >= 0.4 * 9 and np.isfinite(power[row, col]) else NAN
        np.testing.assert_allclose(mean[row, col], wanted, rtol=1e-6)


@given(st.floats(-35, 15), st.integers(1, 6), st.sampled_from(["block", "moving"]))
def test_constant_stays_constant(level: float, factor: int, mode: str) -> None:
    values = np.full((factor * 3, factor * 4), level, np.float32)
    mean, _ = multilook_db(values, factor, mode, 0.2)
    np.testing.assert_allclose(mean, level, atol=2e-5)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1))
def test_blocks_equal_the_plain_mean_of_what_is_valid(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    power = np.where(rng.random((8, 12)) < 0.4, NAN, rng.gamma(2, 1, (8, 12)))
    mean, count = block_mean(power, 4, share)
    for row, col in np.ndindex(2, 3):
        block = power[4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
        known = block[np.isfinite(block)]
        assert count[row, col] == known.size
        wanted = known.mean() if known.size and known.size / 16 >= share else NAN
        np.testing.assert_allclose(mean[row, col], wanted, rtol=1e-6)


@pytest.mark.parametrize(("metres", "pixels"), [(0, 1), (30, 1), (150, 5), (300, 10)])
def test_window_in_pixels(metres: float, pixels: int) -> None:
    assert window_pixels(metres, 30) == pixels


@pytest.mark.parametrize("metres", [100, 20])
def test_window_that_is_no_whole_number_of_pixels_is_refused(metres: float) -> None:
    with pytest.raises(ConfigError, match=rf"retrieval.multilook_m={metres} is not a whole number of 30 m pixels"):
        window_pixels(metres, 30)
