from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.weather.ghcn import ELEMENTS
from mlssm.sources.weather.unit_checks import check_units

RNG = np.random.default_rng(3)
DAYS = 400
WET = RNG.random(DAYS) < 0.3
RAIN = np.where(WET, RNG.gamma(0.7, 9, DAYS), 0).round(1)
LOW = 8 + 6 * np.sin(np.arange(DAYS) / 58) + RNG.normal(0, 2, DAYS)
HIGH = LOW + 9 + RNG.normal(0, 2, DAYS)


def observations(**columns: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> pd.DataFrame:
    table = pd.DataFrame(np.nan, index=pd.date_range("2021-01-01", periods=DAYS), columns=[e.name for e in ELEMENTS])
    return table.assign(precipitation=RAIN, max_temperature=HIGH, min_temperature=LOW, **columns)


def fahrenheit(
    celsius: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return celsius * 1.8 + 32


def test_a_climate_in_its_units_passes() -> None:
    snow = np.where(WET, 25 * (np.arange(DAYS) % 4), 0).astype(float)
    wind, humidity = RNG.gamma(3, 0.9, DAYS), RNG.uniform(20, 100, DAYS)
    check_units(Path("s.csv"), observations(wind=wind, relative_humidity=humidity, snow_depth=snow), 34.0)


WRONG = {
    "whole degC": ("TMAX and TMIN", {"max_temperature": HIGH.round() / 10, "min_temperature": LOW.round() / 10}),
    "whole degF": (
        "TMAX and TMIN",
        {"max_temperature": fahrenheit(HIGH).round() / 10, "min_temperature": fahrenheit(LOW).round() / 10},
    ),
    "whole kelvin": ("TMAX and TMIN", {"max_temperature": (HIGH + 273) / 10, "min_temperature": (LOW + 273) / 10}),
    "TMAX alone in degC": ("TMAX and TMIN", {"max_temperature": HIGH.round() / 10}),
    "TMIN alone in degC": ("TMAX and TMIN", {"min_temperature": LOW.round() / 10}),
    "swapped": ("TMAX and TMIN", {"max_temperature": LOW, "min_temperature": HIGH}),
    "whole mm": ("PRCP", {"precipitation": RAIN.round() / 10}),
    "hundredths of mm": ("PRCP", {"precipitation": RAIN * 10}),
    "m/s": ("AWND", {"wind": RNG.gamma(3, 0.9, DAYS).round() / 10}),
    "hundredths of m/s": ("AWND", {"wind": RNG.gamma(9, 0.4, DAYS) * 10}),
    "a fraction": ("RHAV", {"relative_humidity": RNG.uniform(0.2, 1, DAYS)}),
    "whole cm": ("SNWD", {"snow_depth": np.arange(DAYS) % 60.0}),
    "whole inches": ("SNWD", {"snow_depth": np.arange(DAYS) % 25.0}),
}


@pytest.mark.parametrize("unit", WRONG)
def test_plausible_numbers_of_another_unit_are_refused(unit: str) -> None:
    column, changes = WRONG[unit]
    with pytest.raises(
        DataError, match=rf"s\.csv: the units of {column} look wrong: .*; expected .*datamodule.weather.units"
    ):
        check_units(Path("s.csv"), observations().assign(**changes), 34.0)


def test_few_days_are_not_judged() -> None:
    check_units(Path("s.csv"), observations().assign(**WRONG["whole degC"][1]).iloc[:15], 34.0)
    check_units(Path("s.csv"), observations().assign(**WRONG["whole mm"][1]).iloc[:150], 34.0)


def test_rain_beyond_60_degrees_may_be_weak() -> None:
    check_units(Path("s.csv"), observations().assign(precipitation=RAIN.round() / 10), 71.0)


def test_uscrn_stations_pass_and_are_found_out_in_other_units(shared: Path) -> None:
    """Real climates from Alaska to Hawaii, every fifth of 155; of all, one is refused though right (Death Valley)."""
    uscrn = pd.read_parquet(shared / "reference" / "uscrn_2020_daily.parquet")
    uscrn = uscrn[uscrn["wban"].isin(sorted(uscrn["wban"].unique())[::5])]
    refused = {"right": 0, "degC": 0, "degF": 0, "mm": 0}
    mild = 0
    for _, station in uscrn.groupby("wban"):
        latitude = float(station["latitude"].iloc[0])
        right = pd.DataFrame(np.nan, index=range(len(station)), columns=[element.name for element in ELEMENTS])
        for name, column in (("max_temperature", "max"), ("min_temperature", "min")):
            right[name] = station[f"t_daily_{column}"].to_numpy()
        dry = right.copy()
        right["precipitation"] = station["p_daily_calc"].to_numpy()
        rain = right.assign(max_temperature=np.nan, min_temperature=np.nan)
        mild += abs(latitude) < 60
        cases = {
            "right": right,
            "degC": dry.round() / 10,
            "degF": (dry * 1.8 + 32).round() / 10,
            "mm": rain.round() / 10,
        }
        for unit, table in cases.items():
            try:
                check_units(Path("s.csv"), table, latitude)
            except DataError:
                refused[unit] += 1
    assert mild == 28
    assert refused == {"right": 0, "degC": 31, "degF": 31, "mm": 28}
