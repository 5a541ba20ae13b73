import numpy as np

from mlssm.retrieval.labels import ExtentRetrieval, relative_moisture, reliability
from mlssm.retrieval.references import References

NAN = np.nan
EVERYTHING = slice(None)


def references(dry: float, wet: float) -> References:
    return References(np.full((1, 3), dry), np.full((1, 3), wet), np.full((1, 3), -12.0))


def test_ssm_by_hand() -> None:
    """Halfway from -15 to -10 dB is 0.5; what lies outside is clipped; what is missing stays missing."""
    sigma = np.array([[[-12.5, -16, -9]], [[-14, NAN, -10]]])
    found = relative_moisture(sigma, np.full((1, 3), -15), np.full((1, 3), -10))
    np.testing.assert_allclose(found, [[[0.5, 0, 1]], [[0.2, NAN, 1]]], atol=1e-6)


def test_a_pixel_that_never_changes_has_no_ssm() -> None:
    assert np.isnan(relative_moisture(np.array([-11.0, -12, -13]), np.array(-12.0), np.array(-12.0))).all()


def extent(by_orbit: dict[int, References], shared: bool) -> ExtentRetrieval:
    usable = {orbit: np.array([[True, True, False]]) for orbit in by_orbit}
    return ExtentRetrieval(by_orbit, usable, {}, None, shared)


def test_each_orbit_has_its_own_references_and_masked_is_nan() -> None:
    fitted = extent({71: references(-20, -10), 137: references(-15, -5)}, shared=False)
    sigma, rows = np.full((2, 1, 3), -10.0), slice(None)
    ssm, sensitivity = fitted.retrieve(sigma, np.array([71, 137]), rows, rows)
    np.testing.assert_allclose(ssm, [[[1, 1, NAN]], [[0.5, 0.5, NAN]]])
    np.testing.assert_allclose(sensitivity, 10)


def test_an_orbit_without_training_dates_is_masked_even_beside_images_of_no_known_orbit() -> None:
    """0 is also how an unknown orbit is written; its references are no other orbit's."""
    fitted = extent({0: references(-20, -10)}, shared=False)
    sigma, rows = np.full((2, 1, 3), -15.0), slice(None)
    found = fitted.retrieve(sigma, np.array([0, 137]), rows, rows)[0]
    np.testing.assert_allclose(found[0], [[0.5, 0.5, NAN]])
    assert np.isnan(found[1]).all()
    together = extent({0: references(-20, -10)}, shared=True)
    found = together.retrieve(sigma, np.array([71, 137]), rows, rows)[0]
    np.testing.assert_allclose(found[:, 0, :2], 0.5)


def test_labels_with_a_slope_are_those_at_40_degrees() -> None:
    angle, slope = np.array([[30.0, 40, 45]]), np.full((1, 3), -0.2)
    usable = {0: np.ones((1, 3), bool)}
    fitted = ExtentRetrieval({0: references(-15, -5)}, usable, {137: angle}, slope, shared=True)
    sigma = -10 + slope * (angle - 40)
    found, _ = fitted.retrieve(sigma[None], np.array([137]), EVERYTHING, EVERYTHING)
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


def test_reliability_falls_with_speckle_and_rises_with_the_span() -> None:
    """s = 0.5 dB and 5 dB apart: 0.025 / (0.01 + 0.025)."""
    found = reliability(0.5, np.array([[5.0, 2.0, NAN]]))
    np.testing.assert_allclose(found, [[0.025 / 0.035, 0.025 / 0.0875, NAN]], rtol=1e-6)
    assert reliability(0.0, np.array([3.0])) == 1
