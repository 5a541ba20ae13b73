from collections.abc import Callable

import numpy as np
import pytest

from mlssm.origins.simulation.landcover import Cover, by_cover
from mlssm.origins.simulation.landscape import Landscape, area_grid, build_landscape, widen
from mlssm.origins.simulation.terrain import (
    SPECTRAL_EXPONENT,
    quantile_rank,
    slope_degrees,
    spectral_field,
    synthesise_elevation,
    wetness_index,
)


@pytest.mark.parametrize("exponent", [0.0, 2.0, SPECTRAL_EXPONENT])
def test_spectral_field_has_the_power_law_it_was_asked_for(exponent: float) -> None:
    field = spectral_field(np.random.default_rng(1), (256, 256), exponent)
    power = np.abs(np.fft.fft2(field)) ** 2
    wavenumber = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])
    rings = np.geomspace(0.02, 0.45, 12)
    ring = np.digitize(wavenumber, rings)
    level = [power[ring == number].mean() for number in range(1, 12)]
    centre = [wavenumber[ring == number].mean() for number in range(1, 12)]
    fitted = np.polyfit(np.log(centre), np.log(level), 1)[0]
    assert fitted == pytest.approx(-exponent, abs=0.15)
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-4)


def test_relief_grows_with_extent_to_its_limit() -> None:
    small, middle, large = (
        synthesise_elevation(np.random.default_rng(1), (64, 64), pixel).std() for pixel in (10, 30, 3000)
    )
    assert middle / small == pytest.approx(3**0.8, rel=1e-3)
    assert large == pytest.approx(400, rel=1e-3)


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_no_water_of_a_large_area_lies_below_the_sea(landscape_of: Callable[..., Landscape], seed: int) -> None:
    """Its relief alone would take the lowest water of two of these 300 m below, where a DEM is refused."""
    found = landscape_of(size=60, pixel_m=1000.0, seed=seed)
    lowest = found.wide_elevation.min()
    assert lowest >= 0
    assert found.elevation[found.cover == Cover.WATER].max() == lowest
    assert found.elevation.std() > 200


def test_slope_of_a_plane_is_its_angle() -> None:
    x = np.arange(20) * 30.0
    plane = np.tan(np.radians(10)) * (0.6 * x[None, :] + 0.8 * x[:, None])
    np.testing.assert_allclose(slope_degrees(plane, 30), 10, rtol=1e-5)


def test_hollows_are_wet_and_crests_dry() -> None:
    x = np.linspace(0, 4 * np.pi, 160)
    waves = np.tile(50 * np.cos(x), (40, 1)).astype(np.float32)
    wetness = wetness_index(waves, 30)
    interior = slice(20, -20)
    correlation = np.corrcoef(waves[:, interior].ravel(), wetness[:, interior].ravel())[0, 1]
    assert correlation < -0.9
    assert wetness.min() > 0
    assert wetness.max() <= 1


def test_rank_of_a_known_array() -> None:
    np.testing.assert_allclose(quantile_rank(np.array([[30.0, 10.0], [20.0, 20.0]])), [[1, 0.25], [0.625, 0.625]])


def test_grid_is_around_its_centre_and_the_wide_one_aligned() -> None:
    grid = area_grid(240, 30)
    assert grid.crs == "EPSG:32611"
    np.testing.assert_allclose(grid.geographic_centre(), (-119.9, 34.5), atol=1e-3)
    assert grid.origin[0] % 30 == 0
    wide, inner = widen(grid)
    assert wide.crop(inner) == grid


@pytest.mark.parametrize("size", [40, 41, 120])
def test_landscape_has_every_class_and_a_level_lake(landscape_of, size: int) -> None:
    landscape: Landscape = landscape_of(size=size)
    assert set(np.unique(landscape.cover)) == set(Cover)
    assert set(np.unique(landscape.soil)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(landscape.soil == 0, landscape.cover == Cover.WATER)
    lake = landscape.elevation[landscape.cover == Cover.WATER]
    assert np.ptp(lake) == 0
    assert landscape.elevation.min() == lake[0]
    assert 0.01 < len(lake) / size**2 < 0.03


def test_insensitive_classes_fall_below_the_mask_and_others_do_not() -> None:
    # even the full swing from SSM 0 to 1 must stay under 2 dB
    cover = np.arange(len(Cover), dtype=np.uint8)
    sensitivity = dict(zip(Cover, by_cover(cover, "sensitivity_vv_db").tolist(), strict=True))
    assert max(sensitivity[cover] for cover in (Cover.FOREST, Cover.URBAN, Cover.WATER)) < 2
    assert min(sensitivity[cover] for cover in (Cover.BARE, Cover.GRASS)) > 5


def test_grass_is_green_in_spring_and_dry_in_late_summer(landscape_of) -> None:
    landscape: Landscape = landscape_of(size=120)
    grass = landscape.cover == Cover.GRASS
    spring, autumn = (landscape.greenness.ndvi(day) for day in (80, 80 + 183))
    assert spring[grass].mean() == pytest.approx(0.62, abs=0.03)
    assert autumn[grass].mean() == pytest.approx(0.18, abs=0.03)
    year = np.stack([landscape.greenness.ndvi(day) for day in range(1, 366, 30)])
    assert year.min() >= -0.2
    assert year.max() <= 1


def test_another_seed_is_another_place(configure) -> None:
    first, second = (build_landscape(configure(seed=seed)) for seed in (1, 2))
    assert not np.array_equal(first.elevation, second.elevation)
    assert first.grid == second.grid
