import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mlssm.config import parse
from mlssm.config.weather_source import WeatherSource
from mlssm.errors import ConfigError
from mlssm.sources.weather.load import load_weather
from mlssm.sources.weather.site import Site

COLUMNS = {"precipitation": {"column": "rain", "unit": "mm"}}
AT = {"latitude": 34.45, "longitude": -119.75, "elevation": 12}
RECORD = {"folder": "weather", "format": "csv", "columns": COLUMNS, "station": AT}
BOX = (-119.8, 34.4, -119.7, 34.5)


def write(root: Path, name: str, days: dict[str, str]) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("date,rain\n" + "".join(f"{day},{rain}\n" for day, rain in days.items()))


def rain(root: Path, source: dict[str, Any]) -> tuple[dict[str, list[float]], list[str], Any]:
    weather, report = load_weather(root, WeatherSource.model_validate(source), "error", Site((BOX,)))
    values = {name: weather.values[:, number, 0].tolist() for number, name in enumerate(weather.ids)}
    return values, [str(day) for day in weather.days], report


def test_days_behind_the_record_are_the_forecasts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The record wins, also where its last lines are empty."""
    write(tmp_path, "weather/gauge.csv", {"2022-01-01": "1", "2022-01-02": "2", "2022-01-03": ""})
    write(tmp_path, "coming/gauge.csv", {"2022-01-02": "20", "2022-01-03": "30", "2022-01-04": "40"})
    source = RECORD | {"forecast": RECORD | {"folder": "coming"}}
    values, days, report = rain(tmp_path, source)
    assert days == ["2022-01-01", "2022-01-02", "2022-01-03", "2022-01-04"]
    assert values == {"gauge": [1, 2, 30, 40]}
    assert report.last_observed == dt.date(2022, 1, 2)
    assert "the days from 2022-01-03 to 2022-01-04 are forecast" in caplog.messages
    assert any("are forecast" in note for note in report.notes)


def test_a_forecast_of_a_grid_behind_a_stations_record(tmp_path: Path, grid: Callable[..., xr.Dataset]) -> None:
    write(tmp_path, "weather/gauge.csv", {"2022-01-01": "1", "2022-01-02": "2"})
    (tmp_path / "coming").mkdir()
    grid(pd.date_range("2022-01-02", periods=3), pr=([9, 3, 4], "mm")).to_netcdf(tmp_path / "coming" / "f.nc")
    values, days, report = rain(tmp_path, RECORD | {"forecast": "coming"})
    assert len(days) == 4
    np.testing.assert_allclose(values["gauge"], [1, 2, np.nan, np.nan])
    cells = [found for name, found in values.items() if name != "gauge"]
    assert len(cells) == 9
    np.testing.assert_allclose(cells, [[np.nan, np.nan, 3, 4]] * 9)
    # a line for all cells of a grid, not one for each
    assert len([note for note in report.notes if note.startswith("f, 9 cells:")]) < 6


def test_an_old_forecast_is_told_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "weather/gauge.csv", {"2022-01-01": "1", "2022-01-05": "2"})
    write(tmp_path, "coming/gauge.csv", {"2022-01-02": "20", "2022-01-03": "30"})
    with caplog.at_level(logging.WARNING):
        values, days, _ = rain(tmp_path, RECORD | {"forecast": RECORD | {"folder": "coming"}})
    assert len(days) == 5
    np.testing.assert_allclose(values["gauge"], [1, np.nan, np.nan, np.nan, 2])
    assert any("no day after 2022-01-05" in line for line in caplog.messages)


def test_what_settings_are_allowed() -> None:
    def refused(**settings: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            parse(WeatherSource, {"folder": "w"} | settings)
        return str(caught.value)

    assert "format csv wants 'columns'" in refused(format="csv")
    assert "column 'precipitation' of a table wants a 'unit'" in refused(
        format="csv", columns={"precipitation": {"column": "x"}}
    )
    assert "'units' is for NOAA's access service" in refused(format="gridded", units="metric")
    assert "no 'forecast' of its own" in refused(forecast={"folder": "f", "forecast": "g"})
    assert "format='netcdf' is not allowed" in refused(format="netcdf")
    assert "columns.rain" in refused(columns={"rain": {"column": "x", "unit": "mm"}})
    assert "'day_ends' is an hour UTC" in refused(time={"day_ends": 25.0})
    assert parse(WeatherSource, {"folder": "w", "forecast": "f"}).forecast == WeatherSource(folder="f")
