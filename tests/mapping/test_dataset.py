import datetime as dt

import numpy as np
import pandas as pd
import pytest
import torch

from mlssm.errors import ConfigError
from mlssm.grid import Grid, Window
from mlssm.mapping import dataset
from mlssm.mapping.geotiff import write_cog


# rasterio's window_transform, which torchgeo calls, with affine 3.1
@pytest.mark.filterwarnings("ignore:Use .@. matmul:PendingDeprecationWarning")
def test_maps_are_found_by_place_and_day(tmp_path):
    grid = Grid("EPSG:32611", (500_000.0, 3_900_000.0), 30.0, 40, 60)
    values = np.random.default_rng(0).random(grid.shape, np.float32)
    values[:5, :5] = np.nan
    for day, offset in ((1, 0.0), (2, 0.5)):
        write_cog(tmp_path / f"ssm_2023010{day}.tif", [(grid.full, (values + offset) / 2)], grid, {}, "ssm")
    maps = dataset.SoilMoistureMaps(tmp_path)
    assert len(maps) == 2
    west, _, _, north = grid.bounds
    second = pd.Timestamp(dt.date(2023, 1, 2))
    sample = maps[west : west + 300, north - 300 : north, second : second + pd.Timedelta(hours=1)]
    assert np.array_equal(sample["image"].squeeze().numpy(), (values[:10, :10] + 0.5) / 2, equal_nan=True)


@pytest.fixture(scope="module")
def cube(watershed):
    return dataset.CubeDataset(watershed.cube.path, ["elevation"])


def box(grid: Grid, row: int, col: int, size: int) -> tuple[slice, slice]:
    west, north = grid.origin[0] + col * grid.pixel, grid.origin[1] - row * grid.pixel
    return slice(west, west + size * grid.pixel), slice(north - size * grid.pixel, north)


def test_a_cube_gives_its_own_pixels_by_place_and_day(watershed, cube) -> None:
    grid, times = watershed.cube.grid, watershed.cube.times
    assert len(cube) == len(times) * len(watershed.cube.extents)
    assert cube.channels == (*watershed.cube.manifest.polarisations, "elevation")
    day = pd.Timestamp(watershed.cube.local_days[4])
    sample = cube[(*box(grid, 3, 5, 8), slice(day, day))]
    window = Window(3, 5, 8, 8)
    expected = [watershed.cube.backscatter(4, name, window) for name in watershed.cube.manifest.polarisations]
    expected.append(watershed.cube.static("elevation", window))
    assert np.array_equal(sample["image"].numpy(), np.stack(expected), equal_nan=True)
    beyond = cube[(*box(grid, -2, -2, 4), slice(day, day))]["image"].numpy()
    assert np.isnan(beyond[:, :2]).all()
    assert np.isfinite(beyond[-1, 2:, 2:]).all()
    with pytest.raises(IndexError, match="not found in index"):
        cube[(*box(grid, 3, 5, 8), slice(day + pd.Timedelta(days=1), day + pd.Timedelta(days=1)))]


@pytest.mark.filterwarnings("ignore:Use .@. matmul:PendingDeprecationWarning")
def test_a_cube_meets_other_datasets_and_torchgeos_samplers(watershed, cube, tmp_path) -> None:
    """Maps of two days: the intersection has the cube's acquisitions of these days alone, pixel by pixel."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import stack_samples
    from torchgeo.samplers import GridGeoSampler, RandomGeoSampler

    grid = watershed.cube.grid
    values = np.random.default_rng(0).random(grid.shape, np.float32)
    for day in watershed.cube.local_days[[2, 5]].astype(dt.date):
        write_cog(tmp_path / f"ssm_{day:%Y%m%d}.tif", [(grid.full, values)], grid, {}, "ssm")
    maps = dataset.SoilMoistureMaps(tmp_path)
    both = cube & maps
    assert len(both) == 2
    loader = DataLoader(both, sampler=GridGeoSampler(both, size=20, stride=20), batch_size=3, collate_fn=stack_samples)
    batches = list(loader)
    assert {tuple(batch["image"].shape[1:]) for batch in batches} == {(len(cube.channels) + 1, 20, 20)}
    first = both[(*box(grid, 10, 20, 20), both.bounds[2])]["image"].numpy()
    np.testing.assert_array_equal(first[-1], values[10:30, 20:40])
    np.testing.assert_array_equal(first[-2], watershed.cube.static("elevation", Window(10, 20, 20, 20)))
    torch.manual_seed(0)
    drawn = [both[query]["image"].shape for query in RandomGeoSampler(both, size=16, length=5)]
    assert drawn == [(len(cube.channels) + 1, 16, 16)] * 5
    either = dataset.CubeDataset(watershed.cube.path) | dataset.CubeDataset(watershed.cube.path)
    assert len(either) == 2 * len(cube)


def test_a_cube_stays_on_its_own_grid(watershed, cube) -> None:
    with pytest.raises(ConfigError, match="put it first"):
        cube.crs = "EPSG:4326"
    with pytest.raises(ConfigError, match="put it first"):
        cube.res = 10.0
    with pytest.raises(ConfigError, match="has no feature 'twi'; it has elevation, slope, soil"):
        dataset.CubeDataset(watershed.cube.path, ["twi"])
