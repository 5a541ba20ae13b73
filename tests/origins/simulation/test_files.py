import datetime as dt

import numpy as np
import rasterio
import xarray as xr
from rasterio.warp import Resampling, reproject

from mlssm.origins.simulation.files import block_mean, create_truth, write_dem
from mlssm.origins.simulation.landscape import area_grid, widen


def test_block_mean_repeats_the_edge() -> None:
    values = np.array([[1.0, 3.0, 5.0], [1.0, 3.0, 7.0], [2.0, 2.0, 9.0]])
    np.testing.assert_allclose(block_mean(values, 2), [[2, 6], [2, 9]])


def test_dem_in_degrees_warps_back_onto_the_grid(tmp_path) -> None:
    grid = area_grid(60, 30)
    wide, inner = widen(grid)
    rows, columns = np.indices(wide.shape, dtype=np.float32)
    plane = 100 + 2 * rows - 3 * columns
    write_dem(tmp_path / "dem.tif", plane, wide)
    back = np.full(grid.shape, np.nan, dtype=np.float32)
    with rasterio.open(tmp_path / "dem.tif") as file:
        assert file.crs.to_epsg() == 4326
        assert file.nodata == -32768
        reproject(
            rasterio.band(file, 1),
            back,
            dst_transform=grid.transform,
            dst_crs=grid.crs,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    # a plane survives bilinear resampling; what is left is GDAL's approximation of the transform
    np.testing.assert_allclose(back, plane[inner.slices], atol=1.0)


def test_truth_opens_in_xarray_as_it_was_written(tmp_path) -> None:
    grid = area_grid(40, 30)
    times = [dt.datetime(2020, 9, 2, 1, 58, 57, tzinfo=dt.UTC), dt.datetime(2020, 9, 8, 14, tzinfo=dt.UTC)]
    truth = create_truth(tmp_path / "truth.zarr", times, grid)
    field = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    field[0, 0] = np.nan
    truth[1] = field
    opened = xr.open_zarr(tmp_path / "truth.zarr")
    np.testing.assert_array_equal(opened["ssm"].sel(time="2020-09-08T14:00").squeeze(), field)
    assert opened["ssm"].dims == ("time", "y", "x")
    assert opened["ssm"].dtype == np.float32
    assert str(opened["time"].values[0])[:19] == "2020-09-02T01:58:57"
    x, y = grid.centres(grid.full)
    np.testing.assert_array_equal(opened["x"], x)
    np.testing.assert_array_equal(opened["y"], y)
