from typing import Any

import numpy as np
import pytest
from tests.one_window import read_terrain

from mlssm.grid import Grid, Window
from mlssm.sources import wetness as module
from mlssm.sources.faults import BadFiles
from mlssm.sources.terrain import slope_degrees
from mlssm.sources.wetness import wetness

pytest.importorskip("pyflwdir", reason="the extra 'terrain' is not installed")


@pytest.mark.slow
def test_the_wetness_of_planes_and_of_a_pit(
    area_files: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One test for all: numba compiles pyflwdir once a process, for seconds."""
    rows, _ = np.mgrid[:40, :30]
    plane = (200 - 3.0 * rows).astype(np.float32)  # falls 0.1 m a metre to the south
    found, is_open = wetness(plane, slope_degrees(plane, 30), 30)
    inner = slice(2, 11), slice(12, 17)  # the flow of the last rows and columns turns to the DEM's edge
    np.testing.assert_allclose(found[inner], np.log((rows[inner] + 1) * 30 / 0.1), atol=1e-4)
    assert is_open[inner].all()  # from the DEM's upper edge

    pit = plane.copy()
    pit[10:13, 14:17] -= 20  # is filled up to where it spills: water goes on
    filled, _ = wetness(pit, slope_degrees(plane, 30), 30)
    assert filled[14, 12:19].max() >= found[14, 15]

    flat, _ = wetness(np.full((5, 6), 7, np.float32), np.zeros((5, 6), np.float32), 30)
    assert np.isfinite(flat).all()  # a flat drains slowly, and not never
    assert flat.min() >= np.log(30 / module.LEAST_TAN) - 1e-5

    missing = plane.copy()
    missing[:, :5] = np.nan
    index, _ = wetness(missing, slope_degrees(missing, 30), 30)
    assert np.isnan(index[:, :5]).all()
    assert np.isfinite(index[2:-2, 7:-2]).all()
    assert np.isnan(wetness(np.full((3, 3), np.nan, np.float32), np.zeros((3, 3), np.float32), 30)[0]).all()

    # what lies above an extent counts as far as the margin, and a line says where there is more
    path = area_files.raster("dem.tif", plane)
    grid, extent = Grid("EPSG:32611", (240000, 3816000), 30, 40, 30), Window(12, 12, 3, 4)
    monkeypatch.setattr("mlssm.sources.terrain.MARGIN_M", 300.0)
    near = read_terrain([path], grid, extent, BadFiles("error"), ("wetness",))["wetness"]
    assert (near < found[extent.slices] - 0.05).all()
    assert "100% of an extent's pixels drain land farther than 300 m away" in caplog.text
