from pathlib import Path

import numpy as np
import rasterio

from mlssm.grid import Grid
from mlssm.mapping.flags import write_flags


def test_flags_are_written_with_their_meaning(tmp_path: Path) -> None:
    grid = Grid("EPSG:32611", (240000, 3816000), 90, 3, 2)
    values = np.array([[0, 4], [36, 1024], [32, 0]], np.uint16)
    write_flags(tmp_path / "a.tif", grid, {"orbit 71": values, "orbit 137": values * 0}, {4: "water", 32: "low"})
    with rasterio.open(tmp_path / "a.tif") as source:
        np.testing.assert_array_equal(source.read(1), values)
        assert source.descriptions == ("orbit 71", "orbit 137")
        assert source.tags()["BIT_32"] == "low"
        assert source.bounds == (240000, 3816000 - 270, 240180, 3816000)
        assert source.crs.to_epsg() == 32611
