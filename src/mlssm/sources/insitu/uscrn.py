"""Soil moisture of the US Climate Reference Network: the agency's daily01 text files, or a table of its columns.

Fields of daily01: https://www.ncei.noaa.gov/pub/data/uscrn/products/daily01/readme.txt. Days are those of local
standard time. Soil moisture is a mean over three probes at each depth, m3/m3; missing is -9999, of soil moisture -99.
The files have no flags: what the agency doubts it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.insitu.sensor import MOST, Depth, Sensor, is_within
from mlssm.sources.weather.numbers import read_numbers
from mlssm.sources.weather.uscrn import MISSING

DEPTHS_CM = (5, 10, 20, 50, 100)
COLUMNS = (
    *("wban", "lst_date", "crx_vn", "longitude", "latitude", "t_daily_max", "t_daily_min", "t_daily_mean"),
    *("t_daily_avg", "p_daily_calc", "solarad_daily", "sur_temp_daily_type", "sur_temp_daily_max"),
    *("sur_temp_daily_min", "sur_temp_daily_avg", "rh_daily_max", "rh_daily_min", "rh_daily_avg"),
    *(f"soil_moisture_{depth}_daily" for depth in DEPTHS_CM),
    *(f"soil_temp_{depth}_daily" for depth in DEPTHS_CM),
)
"""The 28 fields of a line of daily01, by the names that tables of them have."""


def read_uscrn_text(files: Sequence[Path], wanted: Depth) -> list[Sensor]:
    """Sensors of daily01 files, whose years are joined.

    Raises:
        DataError: A line has another number of fields, or something that is no number or day.
    """
    return [*_sensors(pd.concat([_lines(path) for path in files]), files[0].parent, wanted)]


def read_uscrn_table(path: Path, wanted: Depth) -> list[Sensor]:
    """Sensors of a parquet table with the columns of `COLUMNS`.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({' '.join(str(error).split())}); replace it") from None
    needed = [name for name in COLUMNS if name.startswith(("wban", "lst", "lon", "lat", "soil"))]
    if missing := [name for name in needed if name not in table]:
        raise DataError(f"{path} lacks the columns {', '.join(missing)}, which USCRN's daily tables have")
    return [*_sensors(table, path, wanted)]


def _lines(path: Path) -> pd.DataFrame:
    try:
        rows = [line.split() for line in path.read_text("ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error}); replace the file") from None
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != len(COLUMNS)), None)
    if wrong is not None:
        text = f"{len(rows[wrong - 1])} fields; daily01 has {len(COLUMNS)}: cut off or damaged; replace the file"
        raise DataError(f"{path}, line {wrong}: {text}")
    lines = pd.DataFrame(rows, columns=list(COLUMNS), index=range(1, len(rows) + 1))
    numbers = {name: read_numbers(path, name, lines[name]) for name in COLUMNS if name.startswith(("lon", "lat", "so"))}
    days = pd.to_datetime(lines["lst_date"], format="%Y%m%d", errors="coerce")
    if days.isna().any():
        line = days.index[days.isna()][0]
        raise DataError(f"{path}, line {line}: {lines['lst_date'][line]} is no day; correct the file")
    return lines.assign(**numbers, lst_date=days)


def _sensors(table: pd.DataFrame, path: Path, wanted: Depth) -> Iterator[Sensor]:
    depths = [depth for depth in DEPTHS_CM if is_within((depth / 100, depth / 100), wanted)]
    for wban, rows in table.groupby("wban", sort=True):
        own = rows.sort_values("lst_date", kind="stable")
        days = own["lst_date"].to_numpy().astype("datetime64[D]")
        if len(np.unique(days)) < len(days):
            day = days[1:][days[1:] == days[:-1]][0]
            raise DataError(f"{path}: station {wban} has {day} twice; remove one of them")
        for depth in depths:
            moisture = _values(own, f"soil_moisture_{depth}_daily")
            if not np.isfinite(moisture).any():
                continue
            if moisture[np.isfinite(moisture)].max() > MOST:
                raise DataError(f"{path}: station {wban} has soil moisture above 1 m3/m3 at {depth} cm; correct it")
            temperature = _values(own, f"soil_temp_{depth}_daily")
            place = float(own["longitude"].iloc[-1]), float(own["latitude"].iloc[-1])
            at = depth / 100
            yield Sensor(
                f"USCRN {wban}", f"{depth} cm", *place, (at, at), days, moisture, temperature, daily=True, refused=0
            )


def _values(rows: pd.DataFrame, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = rows[name].astype(float)
    return np.asarray(values.mask(values.isin(MISSING)), np.float64)
