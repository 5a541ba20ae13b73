"""The grid that follows from a place."""

import pytest
from rasterio.warp import transform_bounds

from mlssm.config import GridConfig
from mlssm.errors import ConfigError
from mlssm.origins.place import read_place
from mlssm.origins.stated_grid import state_grid, utm_zone


@pytest.mark.parametrize(
    ("box", "crs"),
    [
        ((-77.1, 38.5, -76.6, 39.1), "EPSG:32618"),
        ((151.0, -34.0, 151.3, -33.7), "EPSG:32756"),
        ((-179.9, 10.0, -179.5, 10.2), "EPSG:32601"),
        ((179.5, 10.0, 180.0, 10.2), "EPSG:32660"),
        ((5.5, 50.0, 6.4, 50.2), "EPSG:32631"),  # its middle counts
    ],
)
def test_the_zone_is_that_of_the_middle(box: tuple[float, float, float, float], crs: str) -> None:
    assert utm_zone(read_place(box)) == crs


@pytest.mark.parametrize("pixel", [10.0, 20.0, 30.0])
def test_the_grid_holds_the_place_at_whole_pixels(pixel: float) -> None:
    place = read_place("prince_georges")
    grid = state_grid(place, GridConfig(crs=None, resolution_m=pixel))
    assert [part % pixel for part in grid.origin] == [0, 0]
    west, south, east, north = transform_bounds("EPSG:4326", grid.crs, *place.bounds)
    left, bottom, right, top = grid.bounds
    assert left <= west < left + pixel
    assert right - pixel < east <= right
    assert bottom <= south < bottom + pixel
    assert top - pixel < north <= top


def test_two_areas_of_a_zone_share_their_pixels() -> None:
    first, second = (
        state_grid(read_place((west, 38.5, west + 0.1, 38.6)), GridConfig(crs=None, resolution_m=20))
        for west in (-77, -76.93)
    )
    assert (first.origin[0] - second.origin[0]) % 20 == 0


def test_a_pixel_that_sentinel_1_does_not_show_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"datamodule\.grid\.resolution_m=5 is not allowed: fetch 10 to 100 m"):
        state_grid(read_place((-77, 38.5, -76.9, 38.6)), GridConfig(crs=None, resolution_m=5))
