import numpy as np
import pytest

from mlssm.cube import FILL, NDVI_SCALE, pack
from mlssm.data.dated import DatedLayer, filled_from_the_past

NAN = np.nan
DAYS = np.array(["2023-01-01", "2023-01-11", "2023-01-31"], "datetime64[D]")
# pixels: seen always, cloudy in the second image, cloudy in the last two, cloudy in the first
VALUES = np.array([[[0.1, 0.2, 0.3, NAN]], [[0.4, NAN, NAN, 0.5]], [[0.6, 0.7, NAN, 0.8]]], np.float32)


def layer(packed: bool) -> DatedLayer:
    return DatedLayer(DAYS, pack(VALUES, NDVI_SCALE), NDVI_SCALE) if packed else DatedLayer(DAYS, VALUES)


@pytest.mark.parametrize("packed", [True, False])
def test_a_gap_has_the_latest_earlier_value_of_its_pixel_and_its_age(packed: bool) -> None:
    filled = filled_from_the_past(layer(packed), 30)
    expected = [[0.1, 0.2, 0.3, NAN], [0.4, 0.2, 0.3, 0.5], [0.6, 0.7, 0.3, 0.8]]
    np.testing.assert_allclose([filled.values(image)[0] for image in range(3)], expected, atol=1e-6)
    day = np.datetime64("2023-02-02")
    np.testing.assert_array_equal(filled.age(day)[0], [2, 2, 32, 2])
    np.testing.assert_array_equal(filled.age(np.datetime64("2023-01-12"))[0], [1, 11, 11, 1])
    np.testing.assert_array_equal(filled.age(np.datetime64("2023-01-01"))[0], [NAN] * 4)


def test_a_value_that_is_too_old_fills_nothing() -> None:
    filled = filled_from_the_past(layer(True), 20)
    assert np.isnan(filled.values(2)[0, 2])
    assert filled.values(1)[0, 2] == pytest.approx(0.3, abs=1e-4)
    assert np.isnan(filled.age(np.datetime64("2023-02-01"))[0, 2])


def test_nothing_of_a_later_image_is_known() -> None:
    """The last image may hold anything: the days up to its own see the same."""
    changed = VALUES.copy()
    changed[2] = 0.9
    before, after = (filled_from_the_past(DatedLayer(DAYS, values), 60) for values in (VALUES, changed))
    for day in np.arange("2023-01-01", "2023-02-01", dtype="datetime64[D]"):
        np.testing.assert_array_equal(before.at(day), after.at(day))
    assert (after.at(np.datetime64("2023-02-01")) == np.float32(0.9)).all()


@pytest.mark.parametrize("days", [0, 60])
def test_images_without_gaps_stay_as_they_are(days: int) -> None:
    whole = DatedLayer(DAYS, pack(np.nan_to_num(VALUES), NDVI_SCALE), NDVI_SCALE)
    assert filled_from_the_past(whole, days) is whole
    assert FILL not in whole.stored


def test_gaps_stay_without_a_limit_of_days() -> None:
    gappy = layer(True)
    assert filled_from_the_past(gappy, 0) is gappy
