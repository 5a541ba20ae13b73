from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.one_window import read_terrain

from mlssm.errors import ConfigError
from mlssm.grid import Grid, Window
from mlssm.sources.faults import BadFiles
from mlssm.sources.terrain import (
    TERRAIN,
    curvature,
    eastness,
    northness,
    plan_curvature,
    profile_curvature,
)
from mlssm.variables import named

PIXEL = 10.0
INNER = slice(1, -1), slice(1, -1)


def surface(of: Callable[[Any, Any], Any], side: int = 21) -> Any:
    """Heights over x east and y north, metres, the origin in the middle."""
    steps = (np.arange(side) - side // 2) * PIXEL
    x, y = np.meshgrid(steps, -steps)
    return of(x, y).astype(np.float32), x, y


@given(st.floats(0, 359), st.floats(0.01, 2))
def test_the_aspect_of_a_plane_is_its_direction_of_descent(aspect: float, steepness: float) -> None:
    to = np.radians(aspect)
    z, _, _ = surface(lambda x, y: 500 - steepness * (x * np.sin(to) + y * np.cos(to)), 5)
    np.testing.assert_allclose(northness(z, PIXEL)[INNER], np.cos(to), atol=2e-3)
    np.testing.assert_allclose(eastness(z, PIXEL)[INNER], np.sin(to), atol=2e-3)


def test_a_plain_has_no_aspect_and_what_is_missing_none_either() -> None:
    z = np.full((5, 6), 30, np.float32)
    z[0, 0] = np.nan
    for derive in (northness, eastness, plan_curvature, profile_curvature):
        found = derive(z, PIXEL)
        assert np.isnan(found[1, 1])
        np.testing.assert_array_equal(found[2:, 2:], 0)


@given(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
def test_the_curvature_of_a_paraboloid_is_that_of_its_closed_form(a: float, b: float) -> None:
    """z = a x^2 + b y^2 has D = a and E = b everywhere: total curvature -2 (a + b), in 1/100 m."""
    z, _, _ = surface(lambda x, y: a * x**2 + b * y**2)
    np.testing.assert_allclose(curvature(z, PIXEL)[INNER], -200 * (a + b), atol=2e-3)


def test_curvature_down_and_across_the_slope_of_a_paraboloid() -> None:
    """The second derivatives along the gradient and across it, of z = a x^2 + b y^2 + c x y, by calculus."""
    a, b, c = 0.004, -0.002, 0.003
    z, x, y = surface(lambda x, y: a * x**2 + b * y**2 + c * x * y)
    east, north = 2 * a * x + c * y, 2 * b * y + c * x
    steep = east**2 + north**2
    known = steep > 1e-3
    along = (2 * a * east**2 + 2 * b * north**2 + 2 * c * east * north) / np.where(known, steep, 1)
    across = (2 * a * north**2 + 2 * b * east**2 - 2 * c * east * north) / np.where(known, steep, 1)
    inner = known[INNER]
    np.testing.assert_allclose(profile_curvature(z, PIXEL)[INNER][inner], -100 * along[INNER][inner], atol=5e-3)
    np.testing.assert_allclose(plan_curvature(z, PIXEL)[INNER][inner], -100 * across[INNER][inner], atol=5e-3)


def test_a_ridge_is_convex_and_a_valley_concave() -> None:
    ridge, _, _ = surface(lambda x, y: 100 - 0.01 * x**2 - 0.1 * y)
    for derive in (curvature, plan_curvature):
        assert (derive(ridge, PIXEL)[INNER] > 0).all()
        assert (derive(-ridge, PIXEL)[INNER] < 0).all()


def test_each_derivative_has_its_record() -> None:
    for name in (*TERRAIN, "wetness"):
        assert named(name).source == "terrain"


def test_what_is_derived_is_what_was_asked_for(area_files: Any, small_grid: Grid) -> None:
    x = np.arange(24) * 30.0
    path = area_files.raster("dem.tif", np.tile(0.5 * x, (24, 1)).astype(np.float32))
    extent, bad = Window(4, 5, 6, 7), BadFiles("error")
    assert list(read_terrain([path], small_grid, extent, bad)) == ["elevation", "slope"]
    found = read_terrain([path], small_grid, extent, bad, ("eastness", "curvature"))
    assert list(found) == ["elevation", "slope", "eastness", "curvature"]
    np.testing.assert_allclose(found["eastness"], -1, atol=1e-6)
    with pytest.raises(ConfigError, match="names 'westness'; known are slope, northness"):
        read_terrain([path], small_grid, extent, bad, ("westness",))
