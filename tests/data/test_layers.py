import numpy as np
import pytest

from mlssm.data.layers import ExtentLayers, extent_layers, extent_places
from mlssm.retrieval.working_grid import working_grid

NAN = np.nan


def blocks(values: np.ndarray, factor: int = 3) -> np.ndarray:
    height, width = (side // factor for side in values.shape)
    return np.nanmean(values.reshape(height, factor, width, factor), axis=(1, 3))


@pytest.fixture(scope="module")
def working(watershed):
    """90 m blocks of 3 x 3 pixels."""
    return working_grid(watershed.cube, watershed.config("retrieval.multilook_m=90").retrieval)


@pytest.fixture(scope="module")
def layers(watershed, working) -> ExtentLayers:
    return extent_layers(watershed.cube, working, ("elevation", "slope", "soil", "ndvi"))[0]


def test_soil_shares_sum_to_1_where_soil_is_known(watershed, layers: ExtentLayers) -> None:
    shares = np.stack([values for name, values in layers.fixed.items() if name.startswith("soil_")])
    known = np.isfinite(shares)
    np.testing.assert_array_equal(known.all(axis=0), known.any(axis=0))
    np.testing.assert_allclose(shares.sum(axis=0)[known[0]], 1, rtol=1e-6)
    assert shares[:, known[0]].min() == 0
    assert ((shares > 0) & (shares < 1)).any()


def test_soil_shares_are_those_of_the_classes(watershed, layers: ExtentLayers) -> None:
    soil = watershed.cube.static("soil", watershed.cube.extents[0])
    codes = np.unique(soil[np.isfinite(soil)]).astype(int)
    assert [name for name in layers.fixed if name.startswith("soil_")] == [f"soil_{code}" for code in codes]
    block = soil[:3, :3]
    for code in codes:
        assert layers.fixed[f"soil_{code}"][0, 0] == pytest.approx((block == code).sum() / np.isfinite(block).sum())


@pytest.mark.parametrize("name", ["elevation", "slope"])
def test_terrain_is_averaged_over_blocks(watershed, layers: ExtentLayers, name: str) -> None:
    fine = watershed.cube.static(name, watershed.cube.extents[0]).astype(float)
    np.testing.assert_allclose(layers.fixed[name], blocks(fine), rtol=1e-5)


def test_ndvi_is_averaged_over_blocks_and_nothing_without_an_image(watershed, layers: ExtentLayers) -> None:
    fine = watershed.cube.ndvi(5, watershed.cube.extents[0]).astype(float)
    np.testing.assert_allclose(layers.dated["ndvi"].values(5), blocks(fine), atol=1e-4)
    missing = layers.dated["ndvi"].values(-1, slice(0, 4), slice(1, 3))
    assert missing.shape == (4, 2)
    assert np.isnan(missing).all()


def test_only_wanted_features_are_there(watershed, working) -> None:
    found = extent_layers(watershed.cube, working, ("slope",))[0]
    assert list(found.fixed) == ["slope"]
    assert found.dated == {}


def test_places_are_the_centres_of_blocks(watershed, working) -> None:
    place, grid = extent_places(watershed.cube, working)[0], watershed.cube.grid
    x, y = grid.centres(grid.full)
    np.testing.assert_allclose(place.x, x[1::3])
    np.testing.assert_allclose(place.y, y[1::3])
    np.testing.assert_allclose(place.elevation, blocks(watershed.cube.static("elevation", grid.full)), rtol=1e-5)


def test_an_extent_without_dem_has_places_of_unknown_height(santa_barbara) -> None:
    """The last two extents lie beyond the DEM."""
    config = santa_barbara.config("retrieval.multilook_m=150").retrieval
    places = extent_places(santa_barbara.cube, working_grid(santa_barbara.cube, config))
    known = [np.isfinite(place.elevation).mean() for place in places]
    np.testing.assert_allclose(sorted(known), [0, 0, 1, 1, 1], atol=0.05)
