"""Weather of all kinds in the cube, by the area's settings alone."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mlssm.config import DatamoduleConfig
from mlssm.config.weather_source import WeatherSource
from mlssm.errors import ConfigError, DataError
from mlssm.prepare.area import prepare
from mlssm.weather.stations import VARIABLES

RAIN = VARIABLES.index("precipitation")


@pytest.fixture
def area(area_files: Any) -> Any:
    """Two images at 17:59 local, 2023-01-01 and 2023-01-13 UTC minus a day, and no weather yet."""
    random = np.random.default_rng(0)
    for day in ("20230102", "20230114"):
        area_files.image(0.05 * random.gamma(40, 0.025, (24, 24)), f"{day}T015902")
    (area_files.root / "weather").mkdir()
    return area_files


def with_weather(area: Any, source: dict[str, Any]) -> DatamoduleConfig:
    return area.config().model_copy(update={"weather": WeatherSource.model_validate(source)})


def hourly_grid(folder: Path, ends: pd.DatetimeIndex, rain: np.ndarray) -> None:
    dims = ("time", "lat", "lon")
    values = rain[:, None, None] * np.ones((1, 2, 2))
    coords = {"time": ends, "lat": [34.6, 34.3], "lon": [-120.0, -119.7]}
    xr.Dataset({"pr": (dims, values, {"units": "mm"})}, coords).to_netcdf(folder / "hours.nc")


def test_the_last_hour_before_the_image_counts_and_the_next_does_not(
    area: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The image is of 17:59 local on 1 January: 9 mm to 17:00 are of its window's last day, 80 mm to 18:00 are not."""
    ends = pd.date_range("2022-12-30 01:00", "2023-01-14 08:00", freq="h")
    rain = np.zeros(len(ends))
    rain[ends == "2022-12-30 05:00"] = 1
    rain[ends == "2023-01-02 01:00"], rain[ends == "2023-01-02 02:00"] = 9, 80
    hourly_grid(area.root / "weather", ends, rain)
    with caplog.at_level(logging.INFO):
        cube = prepare(area.config(), "error")
    weather = cube.weather
    end = int(np.flatnonzero(weather.days == cube.window_ends[0])[0])
    assert str(weather.days[end]) == "2023-01-01"
    np.testing.assert_allclose(weather.values[end, :, RAIN], 9)
    np.testing.assert_allclose(weather.values[end + 1, :, RAIN], 80)
    assert "days of hourly weather end at 17:00 local, when most images are taken" in caplog.messages
    assert any("1 files are recognised as gridded weather" in line for line in caplog.messages)


def test_forecast_days_are_marked_and_the_files_are_known(area: Any) -> None:
    folder = area.root / "coming"
    folder.mkdir()
    table = "date,rain\n2023-01-14,7\n2023-01-15,8\n"
    (folder / "g.csv").write_text(table)
    days = "".join(f"2023-01-{day:02d},1\n" for day in range(1, 15))
    (area.root / "weather" / "g.csv").write_text("date,rain\n" + days)
    source = {
        "folder": "weather",
        "format": "csv",
        "columns": {"precipitation": {"column": "rain", "unit": "mm"}},
        "station": {"latitude": 34.44, "longitude": -119.8, "elevation": 12},
    }
    config = with_weather(area, source | {"forecast": source | {"folder": "coming"}})
    cube = prepare(config, "error")
    assert cube.forecast_days.tolist() == [False] * 14 + [True]
    np.testing.assert_allclose(cube.weather.values[-2:, 0, RAIN], [1, 8])
    assert {"weather/g.csv", "coming/g.csv"} <= cube.manifest.files.keys()
    (folder / "g.csv").write_text(table.replace("8", "9"))
    assert prepare(config, "error").path != cube.path


def test_a_list_of_stations_belongs_to_what_the_cube_is_known_by(area: Any) -> None:
    (area.root / "weather" / "ghcnd-stations.txt").write_text("USC00000001  34.4500 -119.7500   12.0 CA NEAR\n")
    lines = [f"USC00000001,202301{day:02d},PRCP,{day},,,7,2400" for day in range(1, 15)]
    (area.root / "weather" / "2023.csv").write_text("\n".join(lines) + "\n")
    cube = prepare(area.config(), "error")
    assert "weather/ghcnd-stations.txt" in cube.manifest.files
    assert cube.weather.ids == ("USC00000001",)
    assert cube.weather.elevation_m.tolist() == [12]


def test_settings_that_do_not_fit_the_files(area: Any) -> None:
    area.weather()
    with pytest.raises(DataError, match=r"no \*\.csv in the weather folder, and no NetCDF"):
        prepare(with_weather(area, {"folder": "weather", "format": "gridded"}), "error")
    with pytest.raises(DataError, match=r"units of .*; correct datamodule\.weather\.units=metric|impossible"):
        prepare(with_weather(area, {"folder": "weather", "units": "metric"}), "error")


def test_area_yaml_says_what_the_weather_is(area: Any) -> None:
    days = "".join(f"{day:02d}.01.2023;0,5\n" for day in range(1, 15))
    (area.root / "weather" / "g.csv").write_text("Tag;Regen\n" + days)
    text = """
        format: 1
        weather:
          folder: weather
          format: csv
          columns:
            precipitation: {column: Regen, unit: in}
          time: {columns: [Tag]}
          station: {latitude: 34.44, longitude: -119.8, elevation: 12}
    """
    (area.root / "area.yaml").write_text("\n".join(line[8:] for line in text.splitlines()))
    cube = prepare(area.config(), "error")
    np.testing.assert_allclose(cube.weather.values[:, 0, RAIN], 12.7)
    assert cube.weather.ids == ("g",)
    wrong = (area.root / "area.yaml").read_text().replace("unit:", "units:")
    (area.root / "area.yaml").write_text(wrong)
    with pytest.raises(ConfigError, match=r"area\.yaml, line 7.*units"):
        prepare(area.config(), "error")
