from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mlssm.errors import DataError

DAYS = pd.date_range("2022-01-01", periods=3)
Grid = Callable[..., xr.Dataset]


def write(dataset: xr.Dataset, folder: Path, name: str = "g.nc", **encoding: Any) -> None:
    dataset.to_netcdf(folder / name, encoding=encoding or None)


def middle(found: dict[str, Any]) -> pd.DataFrame:
    """The days of the cell in the middle."""
    return next(
        record
        for record in found.values()
        if record.latitude == pytest.approx(34.45) and record.longitude == pytest.approx(-119.75)
    ).observations


@pytest.mark.parametrize(
    ("unit", "number", "mm"),
    [
        ("mm", 5, 5),
        ("m", 0.005, 5),
        ("kg m-2", 5, 5),
        ("kg m**-2 s**-1", 5 / 86400, 5),
        ("mm/day", 5, 5),
        ("mm/hr", 0.25, 6),
        ("inches", 0.2, 5.08),
    ],
)
def test_rain_of_days_in_the_units_that_the_file_states(
    folder: Path, read: Callable[..., Any], grid: Grid, unit: str, number: float, mm: float
) -> None:
    write(grid(DAYS, pr=([number, 0, 2 * number], unit)), folder)
    found = read()
    assert len(found) == 9
    np.testing.assert_allclose(middle(found)["precipitation"], [mm, 0, 2 * mm], rtol=1e-6)


def test_a_file_without_units_is_refused_unless_they_are_set(
    folder: Path, read: Callable[..., Any], grid: Grid
) -> None:
    dataset = grid(DAYS, tp=([0.001, 0, 0.002], "m"))
    del dataset["tp"].attrs["units"]
    write(dataset, folder)
    with pytest.raises(DataError, match=r"tp states no unit; give it in datamodule\.weather\.columns"):
        read()
    np.testing.assert_allclose(
        middle(read(columns={"precipitation": {"column": "tp", "unit": "m"}}))["precipitation"], [1, 0, 2]
    )
    with pytest.raises(DataError, match="none of its variables"):
        read(columns={"precipitation": {"column": "rain", "unit": "m"}})


def test_the_right_cells_whichever_way_axes_run(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    values = np.arange(9.0).reshape(1, 3, 3) + np.zeros((3, 1, 1))
    dataset = grid(DAYS, pr=(values, "mm"))
    write(dataset, folder)
    expected = {record.id: record.observations["precipitation"].iloc[0] for record in read().values()}
    assert expected["g_34.6000_-119.9000"] == 0
    assert expected["g_34.3000_-119.6000"] == 8
    turned = (
        dataset.assign_coords(lon=dataset.lon % 360).isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")
    )
    write(turned, folder)
    found = {record.id: record.observations["precipitation"].iloc[0] for record in read().values()}
    assert found == pytest.approx(expected)


def test_only_cells_around_the_area_are_read(folder: Path, read: Callable[..., Any]) -> None:
    lat, lon = np.arange(-90, 90.1, 0.5), np.arange(0, 360, 0.5)
    rain = np.zeros((2, len(lat), len(lon)), np.float32)
    sums = np.cumsum(rain)[:, None, None] * np.ones((1, 3, 3))
    dataset = xr.Dataset(
        {"tp": (("step", "latitude", "longitude"), sums, {"units": "m"})},
        {"time": start, "step": steps, "valid_time": ("step", start + steps)}
        | {"latitude": [34.6, 34.45, 34.3], "longitude": [-119.9, -119.75, -119.6]},
    )
    write(dataset, folder)
    found = read()
    whole = rain[2:50].reshape(2, 24).sum(axis=1) * 1000  # local midnight is 08:00 UTC
    np.testing.assert_allclose(middle(found)["precipitation"].loc["2022-01-01":"2022-01-02"], whole)
    assert any("since the start of the forecast" in note for note in next(iter(found.values())).notes)


def test_files_without_times_or_with_missing_ones(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    for dataset, message in (
        (
            grid(DAYS, pr=([1, 2, 3], "mm")).isel(time=0, drop=True),
            "no time: no coordinate of dates, and no day",
        ),
        (grid(DAYS, pr=([1, 2, 3], "mm")).isel(time=slice(0, 0)), "time is empty, or has a time that is missing"),
        (grid([*DAYS[:2], pd.NaT], pr=([1, 2, 3], "mm")), "time is empty, or has a time that is missing"),
    ):
        write(dataset, folder)
        with pytest.raises(DataError, match=message):
            read()
