import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from mlssm.errors import DataError
from mlssm.grid import Grid, Window, carried_on, cut_off, from_first, merge_windows

SMALL = st.integers(0, 60)
SIZE = st.integers(1, 40)
WINDOWS = st.builds(Window, SMALL, SMALL, SIZE, SIZE)
CORNER = st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**7))
GRIDS = st.builds(Grid, st.just("EPSG:32611"), CORNER, st.sampled_from([10.0, 30.0, 12.5]), SIZE, SIZE)


def pixels(*windows: Window) -> set[tuple[int, int]]:
    return {
        pixel
        for window in windows
        for pixel in itertools.product(
            range(window.row, window.row + window.height), range(window.col, window.col + window.width)
        )
    }


def test_slices_and_shape_index_the_window() -> None:
    array = np.arange(100).reshape(10, 10)
    window = Window(2, 3, 4, 5)
    np.testing.assert_array_equal(array[window.slices], array[2:6, 3:8])
    assert array[window.slices].shape == window.shape == (4, 5)


@given(WINDOWS, WINDOWS)
def test_intersection_and_union_are_those_of_the_pixels(one: Window, other: Window) -> None:
    shared = pixels(one) & pixels(other)
    assert pixels(one.intersection(other)) == shared
    assert one.intersects(other) == bool(shared)
    union = one.union(other)
    assert pixels(union) >= pixels(one, other)
    # no row or column of it is needless
    rows, cols = zip(*pixels(one, other), strict=True)
    assert union == Window(min(rows), min(cols), max(rows) - min(rows) + 1, max(cols) - min(cols) + 1)


@given(WINDOWS, WINDOWS)
def test_within_counts_from_the_other_corner(inner: Window, outer: Window) -> None:
    relative = inner.within(outer)
    assert relative.shape == inner.shape
    assert relative.within(Window(-outer.row, -outer.col, 1, 1)) == inner


@given(WINDOWS, st.integers(1, 9))
def test_refine_then_coarsen_gives_the_same_blocks(window: Window, factor: int) -> None:
    assert window.refine(factor).coarsen(factor) == window
    assert window.refine(factor).coarsen(factor, least=1.0) == window


@given(WINDOWS, st.integers(1, 9))
def test_coarsen_takes_the_blocks_that_hold_a_pixel(window: Window, factor: int) -> None:
    assert pixels(window.coarsen(factor)) == {(row // factor, col // factor) for row, col in pixels(window)}


@given(WINDOWS, st.integers(1, 9), st.floats(0.01, 1))
def test_coarsen_keeps_blocks_whose_share_of_rows_and_columns_is_enough(
    window: Window, factor: int, least: float
) -> None:
    def kept(start: int, size: int) -> list[int]:
        inside = np.bincount(np.arange(start, start + size) // factor)
        return [int(block) for block in np.flatnonzero((inside > 0) & (inside >= least * factor))]

    expected = set(itertools.product(kept(window.row, window.height), kept(window.col, window.width)))
    assert pixels(window.coarsen(factor, least)) == expected


def test_a_window_inside_one_block_must_fill_the_share() -> None:
    assert Window(3, 0, 2, 10).coarsen(10, 0.3).height == 0
    assert Window(3, 0, 3, 10).coarsen(10, 0.3).height == 1


@given(st.lists(WINDOWS, max_size=8))
def test_merged_windows_are_disjoint_sorted_and_cover_all(windows: list[Window]) -> None:
    merged = merge_windows(windows)
    assert not any(one.intersects(other) for one, other in itertools.combinations(merged, 2))
    assert all(any(window.union(extent) == extent for extent in merged) for window in windows)
    assert list(merged) == sorted(merged)
    # nothing is joined that does not touch another: each is the box of the windows in it
    for extent in merged:
        inside = [window for window in windows if window.intersects(extent)]
        box = inside[0]
        for window in inside[1:]:
            box = box.union(window)
        assert box == extent


def test_windows_side_by_side_stay_apart() -> None:
    assert merge_windows([Window(0, 0, 5, 5), Window(0, 5, 5, 5)]) == (Window(0, 0, 5, 5), Window(0, 5, 5, 5))


@given(GRIDS)
def test_centres_are_those_of_the_affine_transform(grid: Grid) -> None:
    x, y = grid.centres(grid.full)
    for row, col in ((0, 0), (grid.height - 1, grid.width - 1)):
        assert grid.transform @ (col + 0.5, row + 0.5) == pytest.approx((x[col], y[row]), abs=1e-6)
    assert (x.size, y.size) == (grid.width, grid.height)
    west, south, east, north = grid.bounds
    assert (west, north) == pytest.approx(grid.transform @ (0, 0))
    assert (east, south) == pytest.approx(grid.transform @ (grid.width, grid.height))


@given(GRIDS, WINDOWS)
def test_a_crop_has_the_centres_of_its_window_and_is_found_by_its_bounds(grid: Grid, window: Window) -> None:
    crop = grid.crop(window)
    for cropped, whole in zip(crop.centres(crop.full), grid.centres(window), strict=True):
        np.testing.assert_allclose(cropped, whole, rtol=0, atol=1e-6)
    assert grid.window_of(crop.bounds).shape == window.intersection(grid.full).shape
    if window.intersects(grid.full):
        assert grid.window_of(crop.bounds) == window.intersection(grid.full)


@given(GRIDS, st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 500), st.floats(1, 500))
def test_window_of_takes_the_pixels_that_bounds_touch(
    grid: Grid, west: float, north: float, width: float, height: float
) -> None:
    left, top = grid.origin[0] + west, grid.origin[1] - north
    right, bottom = left + width, top - height
    window = grid.window_of((left, bottom, right, top))
    x, y = grid.centres(grid.full)
    half, slack = grid.pixel / 2, 1e-4
    surely = (np.abs(x - (left + right) / 2) < half + width / 2 - slack).sum()
    perhaps = (np.abs(x - (left + right) / 2) < half + width / 2 + slack).sum()
    assert surely <= window.width <= perhaps or window.height == 0
    rows = np.flatnonzero(np.abs(y - (top + bottom) / 2) < half + height / 2 - slack)
    assert set(rows) <= set(range(window.row, window.row + window.height))


@given(
    st.lists(st.tuples(CORNER, SIZE, SIZE), min_size=1, max_size=4),
    st.sampled_from([10.0, 30.0]),
    st.tuples(st.floats(0, 30), st.floats(0, 30)),
)
def test_the_covering_grid_holds_all_bounds_on_the_firsts_pixels(
    rasters: list[tuple[tuple[int, int], int, int]], pixel: float, shift: tuple[float, float]
) -> None:
    boxes = [
        (
            x / 100 + shift[0],
            y / 100 + shift[1] - height * pixel,
            x / 100 + shift[0] + width * pixel,
            y / 100 + shift[1],
        )
        for (x, y), height, width in rasters
    ]
    grid = Grid.covering("EPSG:32611", boxes, pixel)
    west, south, east, north = np.array(boxes).T
    slack = 1e-5 * pixel
    assert grid.bounds[0] <= west.min() + slack
    assert grid.bounds[1] <= south.min() + slack
    assert grid.bounds[2] >= east.max() - slack
    assert grid.bounds[3] >= north.max() - slack
    # smallest: each border pixel is needed
    assert grid.bounds[0] + pixel > west.min()
    assert grid.bounds[3] - pixel < north.max()
    assert grid.bounds[2] - pixel < east.max()
    assert grid.bounds[1] + pixel > south.min()
    steps = (boxes[0][0] - grid.origin[0]) / pixel, (grid.origin[1] - boxes[0][3]) / pixel
    assert steps == pytest.approx(tuple(round(step) for step in steps), abs=1e-4)
    assert grid.window_of(boxes[0]).shape == (rasters[0][1], rasters[0][2])


@given(GRIDS, st.integers(1, 7))
def test_the_coarse_grid_has_the_same_corner_and_reaches_as_far(grid: Grid, factor: int) -> None:
    coarse = grid.coarsen(factor)
    assert coarse.origin == grid.origin
    assert coarse.full == grid.full.coarsen(factor)
    assert coarse.bounds[2] >= grid.bounds[2] - 1e-6
    assert coarse.bounds[1] <= grid.bounds[1] + 1e-6


def test_project_and_the_centre_agree_with_pyproj(small_grid: Grid) -> None:
    longitude, latitude = small_grid.geographic_centre()
    x, y = small_grid.project(np.array([longitude]), np.array([latitude]))
    west, south, east, north = small_grid.bounds
    assert (x[0], y[0]) == pytest.approx(((west + east) / 2, (south + north) / 2), abs=1)
    expected = Transformer.from_crs(32611, 4326, always_xy=True).transform((west + east) / 2, (south + north) / 2)
    assert (longitude, latitude) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("crs", "said"),
    [("EPSG:4326", "degree"), ("EPSG:4978", "not projected"), ("EPSG:2229", "US survey foot"), ("EPSG:1", "not known")],
)
def test_a_crs_that_is_not_projected_in_metres_is_refused(crs: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        Grid(crs, (0, 0), 30, 10, 10)
    assert "datamodule.grid.crs" in str(error.value)


def test_wkt_does_as_well_as_a_code() -> None:
    assert (
        Grid(CRS.from_epsg(32611).to_wkt(), (0, 0), 30, 10, 10).transform
        == Grid("EPSG:32611", (0, 0), 30, 10, 10).transform
    )


@pytest.mark.parametrize("pixel", [0.0, -30.0, float("nan")])
def test_a_pixel_of_no_size_is_refused(pixel: float) -> None:
    with pytest.raises(DataError, match="resolution_m"):
        Grid("EPSG:32611", (0, 0), pixel, 10, 10)


@given(st.integers(-3, 5), st.integers(1, 9), st.integers(-3, 5), st.integers(1, 9))
def test_beyond_the_edge_a_plane_is_carried_on_and_a_mask_cut_off_as_by_numpys_pad(
    row: int, height: int, col: int, width: int
) -> None:
    rows, cols = slice(row, max(row, 0) + height), slice(col, max(col, 0) + width)
    values = np.random.default_rng(0).random((2, 6, 7))
    known = values[:, max(row, 0) : rows.stop, max(col, 0) : cols.stop]
    reach = [(max(-row, 0), max(rows.stop - 6, 0)), (max(-col, 0), max(cols.stop - 7, 0))]
    expected = np.pad(known, [(0, 0), *reach], mode="edge")
    np.testing.assert_array_equal(carried_on(values, rows, cols), expected)
    np.testing.assert_array_equal(carried_on(known, from_first(rows), from_first(cols)), expected)
    np.testing.assert_array_equal(cut_off(values > 0.5, rows, cols), np.pad(known > 0.5, [(0, 0), *reach]))
