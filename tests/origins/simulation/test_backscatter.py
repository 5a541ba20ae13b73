import numpy as np
import pytest

from mlssm.origins.simulation.backscatter import Response, response, speckle, to_linear, waves_db
from mlssm.origins.simulation.landcover import TRAITS, Cover


@pytest.mark.parametrize("looks", [1.0, 4.4, 10.0])
def test_speckle_has_mean_one_and_variance_one_over_looks(looks: float) -> None:
    noise = speckle(np.random.default_rng(1), looks, (600, 600)).astype(float)
    assert noise.mean() == pytest.approx(1, abs=4 / np.sqrt(looks * noise.size))
    assert noise.var() == pytest.approx(1 / looks, rel=0.02)
    assert noise.min() > 0


def test_the_stated_formula_by_hand() -> None:
    model = Response(np.array([-15.0]), np.array([8.0]), 0.4, -0.13)
    level = model.decibels(np.array([0.5]), np.array([0.25]), np.array([43.0]))
    assert level[0] == pytest.approx(-15 + 8 * (1 - 0.4 * 0.25) * 0.5 - 0.13 * 3)


def test_vh_lies_lower_and_is_less_sensitive() -> None:
    cover, smooth = np.arange(len(Cover), dtype=np.uint8), np.zeros(len(Cover), dtype=np.float32)
    vv, vh = (response(name, cover, smooth, 0.4, -0.13) for name in ("VV", "VH"))
    np.testing.assert_allclose(vv.dry - vh.dry, 7, rtol=1e-6)
    np.testing.assert_allclose(vh.sensitivity, 0.6 * vv.sensitivity, rtol=1e-6)
    assert vv.dry.tolist() == [traits.dry_vv_db for traits in TRAITS]


def test_linear_power_of_known_levels() -> None:
    np.testing.assert_allclose(to_linear(np.array([0.0, -10.0, 3.0103])), [1, 0.1, 2], rtol=1e-5)


def test_wind_roughens_water_only() -> None:
    cover = np.array([Cover.GRASS, Cover.WATER], dtype=np.uint8)
    still, storm = waves_db(cover, 1), waves_db(cover, 8)
    assert still[0] == storm[0] == 0
    assert storm[1] > 0 > still[1]
