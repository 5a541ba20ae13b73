"""Maps of earlier commands beside those of a command."""

from pathlib import Path

import numpy as np
import pytest

from mlssm.grid import Grid
from mlssm.jobs.series import Series
from mlssm.mapping.geotiff import write_cog

GRID = Grid("EPSG:32611", (240_000.0, 3_816_000.0), 10.0, 16, 16)


def a_map(folder: Path, day: str, settings: str | None) -> Path:
    path = folder / f"ssm_{day.replace('-', '')}.tif"
    tags = {"date": day} if settings is None else {"date": day, "settings": settings}
    write_cog(path, [(GRID.full, np.full((16, 16), 0.5, np.float32))], GRID, tags, f"soil moisture, {day}")
    return path


def test_a_series_has_the_folders_maps_of_the_same_run_and_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    days = "2023-01-01", "2023-02-10", "2023-02-20", "2023-03-15"
    paths = [a_map(tmp_path, day, "a") for day in days]
    a_map(tmp_path, "2023-02-15", "b")
    a_map(tmp_path, "2023-02-16", None)
    (tmp_path / "ssm_20230217.tif").write_text("no raster")
    found = Series.of(paths[2:3])
    assert [each.day for each in found.asked] == ["2023-02-20"]
    assert [each.day for each in found.whole] == list(days)
    assert [each.day for each in found.around(10)] == ["2023-02-10", "2023-02-20"]
    assert [each.day for each in found.around(0)] == ["2023-02-20"]
    assert "not shown beside the maps of this command: " in caplog.text
    assert "ssm_20230217.tif cannot be read" in caplog.text


def test_a_map_without_settings_stands_alone(tmp_path: Path) -> None:
    first, second = (a_map(tmp_path, day, None) for day in ("2023-01-01", "2023-01-02"))
    assert [each.path for each in Series.of([second]).whole] == [second]
    assert first.is_file()
