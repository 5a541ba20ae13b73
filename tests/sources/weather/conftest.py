"""Small files of weather in the forms of their producers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import xarray as xr

from mlssm.config.weather_source import WeatherSource
from mlssm.sources.faults import BadFiles
from mlssm.sources.weather.readers import read_folder
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.site import Site

BOX = (-119.8, 34.4, -119.7, 34.5)
ZONE = ZoneInfo("America/Los_Angeles")
Read = Callable[..., dict[str, StationRecord]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read the folder `weather` by some settings: the records by their names."""

    def read(hour: int = 24, boxes: Any = (BOX,), policy: Any = "error", **settings: Any) -> dict[str, StationRecord]:
        source = WeatherSource.model_validate({"folder": "weather"} | settings)
        records, _ = read_folder(tmp_path, source, Site(boxes, ZONE, hour), BadFiles(policy))
        return {record.id: record for record in records}

    return read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (path := tmp_path / "weather").mkdir()
    return path


@pytest.fixture
def grid() -> Callable[..., xr.Dataset]:
    """A grid of 3 x 3 cells around the area, descending latitudes, one variable or more [T, 3, 3]."""

    def grid(times: Any, attrs: dict[str, Any] | None = None, **variables: tuple[Any, str]) -> xr.Dataset:
        coords = {
            "time": np.asarray(times),
            "lat": ("lat", [34.6, 34.45, 34.3], {"units": "degrees_north"}),
            "lon": ("lon", [-119.9, -119.75, -119.6], {"units": "degrees_east"}),
        }
        dims, everywhere = ("time", "lat", "lon"), np.ones((1, 3, 3))
        arrays = {
            name: (dims, np.asarray(values, float).reshape(len(times), *np.shape(values)[1:] or (1, 1)) * everywhere)
            for name, (values, _) in variables.items()
        }
        found = xr.Dataset(arrays, coords, attrs or {})
        for name, (_, unit) in variables.items():
            found[name].attrs["units"] = unit
        return found

    return grid
