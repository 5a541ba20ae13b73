import datetime as dt

import numpy as np
import pandas as pd
import pytest

from mlssm.grid import Grid
from mlssm.mapping.geotiff import write_cog

dataset = pytest.importorskip("mlssm.mapping.dataset", reason="torchgeo is an extra", exc_type=ImportError)


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
