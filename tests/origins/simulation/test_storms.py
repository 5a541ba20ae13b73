import numpy as np
import pytest

from mlssm.origins.simulation.storms import Cells, draw_cells, draw_storms, join, rain_of, rain_on_grid


def one_cell(heading: float, across: float, start: float, end: float, radius: float, depth: float) -> Cells:
    return Cells(*(np.array([value]) for value in (heading, across, start, end, radius, depth)))


def test_a_gauge_on_the_track_collects_the_depth_and_one_radius_off_its_gaussian_share() -> None:
    cell = one_cell(0.7, 1000, -80e3, 80e3, 4000, 25)
    left = np.array([1000.0, 5000.0, -3000.0])
    rain = rain_of(cell, -left * np.sin(0.7), left * np.cos(0.7))
    np.testing.assert_allclose(rain, 25 * np.exp([0, -0.5, -0.5]), rtol=1e-6)


def test_closed_form_equals_the_sum_of_many_small_steps() -> None:
    heading, across, start, end, radius, depth = -0.4, 500.0, -9000.0, 2000.0, 3000.0, 30.0
    x, y = np.array([0.0, 4000.0, -7000.0]), np.array([1000.0, -2000.0, 3000.0])
    position = np.linspace(start, end, 20001)
    centre_x = position[:, None] * np.cos(heading) - across * np.sin(heading)
    centre_y = position[:, None] * np.sin(heading) + across * np.cos(heading)
    rate = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * radius**2)) / (radius * np.sqrt(2 * np.pi))
    expected = depth * np.trapezoid(rate, position, axis=0)
    cell = one_cell(heading, across, start, end, radius, depth)
    np.testing.assert_allclose(rain_of(cell, x, y), expected, rtol=1e-5)


def test_two_half_days_make_a_whole_one() -> None:
    x, y = np.meshgrid(np.linspace(-9e3, 9e3, 7), np.linspace(-9e3, 9e3, 7))
    whole = rain_of(one_cell(0.2, 0, -20e3, 15e3, 3000, 10), x, y)
    halves = join([one_cell(0.2, 0, -20e3, -1e3, 3000, 10), one_cell(0.2, 0, -1e3, 15e3, 3000, 10)])
    np.testing.assert_allclose(rain_of(halves, x, y), whole, atol=1e-5)


@pytest.mark.parametrize(("size", "pixel"), [(240, 30.0), (41, 10.0), (60, 500.0)])
def test_rain_on_a_grid_is_the_rain_at_its_points(size: int, pixel: float) -> None:
    east = ((np.arange(size) + 0.5 - size / 2) * pixel).astype(np.float32)
    north = east[::-1].copy()
    cells = draw_cells(np.random.default_rng(4), 0.3, 20, size * pixel)
    exact = rain_of(cells, east[None, :], north[:, None])
    assert exact.max() > 5
    np.testing.assert_allclose(rain_on_grid(cells, east, north), exact, atol=0.02)


def test_a_storm_day_leaves_its_mean_depth_everywhere_on_average() -> None:
    rng, points = np.random.default_rng(8), np.array([-10e3, 0.0, 10e3])
    days = np.stack([rain_of(draw_cells(rng, -0.2, 15, 12e3), points, 0 * points) for _ in range(3000)])
    error = days.std(axis=0) / np.sqrt(len(days))
    np.testing.assert_array_less(np.abs(days.mean(axis=0) - 15), 4 * error)
    assert error.max() < 0.3


def test_rain_comes_from_october_to_april() -> None:
    days = np.arange(np.datetime64("2000-01-01"), np.datetime64("2020-01-01"))
    storms = draw_storms(np.random.default_rng(5), days, 10e3)
    depth = np.array([float(rain_of(cells, np.zeros(1), np.zeros(1))[0]) for cells in storms])
    month = days.astype("datetime64[M]").astype(int) % 12 + 1
    wet = depth[(month >= 10) | (month <= 4)].sum()
    assert wet / depth.sum() > 0.9
    assert 300 < depth.sum() / 20 < 700
