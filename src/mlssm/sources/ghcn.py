"""Reading NOAA GHCN-Daily by-station CSV files.

Units and flags: https://www.ncei.noaa.gov/pub/data/ghcn/daily/readme.txt. Averages that some stations report (TAVG) are
not read: the mean temperature is (TMAX + TMIN) / 2 everywhere, so that stations can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.weather.stations import Floats


@dataclass(frozen=True)
class Element:
    """A GHCN-Daily element: its column and unit in a file, and its name, scale and physical range here."""

    column: str
    name: str
    file_unit: str
    scale: float
    low: float
    high: float
    required: bool


# Rain, temperature and snow: the world records that bound GHCN-Daily's own checks (Durre et al. 2010).
# Wind: nearly twice hurricane force (32.7 m/s), as a daily mean.
ELEMENTS = (
    Element("PRCP", "precipitation", "tenths of mm", 0.1, 0.0, 1828.8, True),
    Element("TMAX", "max_temperature", "tenths of degC", 0.1, -89.4, 57.7, True),
    Element("TMIN", "min_temperature", "tenths of degC", 0.1, -89.4, 57.7, True),
    Element("AWND", "wind", "tenths of m/s", 0.1, 0.0, 60.0, False),
    Element("RHAV", "relative_humidity", "%", 1.0, 0.0, 100.0, False),
    Element("SNWD", "snow_depth", "mm", 1.0, 0.0, 11460.0, False),
)
PLACE = ("STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION")
MISSING = -9999.0
UNKNOWN_ELEVATION = -999.9
MAX_BEYOND_RANGE = 0.01


@dataclass(frozen=True)
class StationRecord:
    """One station's file.

    Attributes:
        id: GHCN-Daily identifier.
        longitude: Degrees east.
        latitude: Degrees north.
        elevation_m: Metres; NaN where GHCN-Daily says unknown (-999.9).
        observations: One row a consecutive local day, one float column an element, named and in the units of
            `ELEMENTS`, NaN = missing.
        flagged: Values that were left out because their quality flag is set.
    """

    id: str
    longitude: float
    latitude: float
    elevation_m: float
    observations: pd.DataFrame
    flagged: int


def read_station(path: Path) -> StationRecord:
    """Read one by-station CSV.

    Args:
        path: The file. Columns STATION, DATE, LATITUDE, LONGITUDE, ELEVATION, PRCP, TMAX and TMIN are required; AWND,
            RHAV, SNWD and `<element>_ATTRIBUTES` ("measurement,quality,source") are optional. Empty or -9999 = missing.

    Raises:
        DataError: The file is unreadable or empty, lacks a column, holds several stations, a date twice or something
            that is not a date or number, or its units are not GHCN-Daily's.
    """
    table = _read_table(path)
    _require_columns(path, table)
    days = _days(path, table)
    observations = pd.DataFrame(index=days)
    flagged = 0
    for element in ELEMENTS:
        values, rejected = _element(path, table, element)
        observations[element.name] = values
        flagged += rejected
    axis = pd.date_range(days.min(), days.max(), freq="D")
    elevation = _place(path, table, "ELEVATION", -1000.0, 9000.0)
    return StationRecord(
        id=_station(path, table),
        longitude=_place(path, table, "LONGITUDE", -180.0, 180.0),
        latitude=_place(path, table, "LATITUDE", -90.0, 90.0),
        elevation_m=float("nan") if elevation == UNKNOWN_ELEVATION else elevation,
        observations=observations.reindex(axis),
        flagged=flagged,
    )


def _read_table(path: Path) -> pd.DataFrame:
    """All wanted columns as stripped text; the index is the line's number in the file, for messages."""
    wanted = {*PLACE, *(e.column for e in ELEMENTS), *(f"{e.column}_ATTRIBUTES" for e in ELEMENTS)}
    try:
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, skip_blank_lines=False, usecols=lambda name: name in wanted
        )
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); replace the file or remove it") from error
    stripped = pd.DataFrame({name: column.str.strip() for name, column in table.items()})
    stripped.index = stripped.index + 2  # the header is line 1
    return stripped.loc[(stripped != "").any(axis=1)]


def _require_columns(path: Path, table: pd.DataFrame) -> None:
    required = [*PLACE, *(element.column for element in ELEMENTS if element.required)]
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise DataError(
            f"{path}: column {', '.join(missing)} is missing; a GHCN-Daily by-station CSV has {', '.join(required)}"
        )
    if table.empty:
        raise DataError(f"{path}: no day in the file; replace it or remove it")


def _days(path: Path, table: pd.DataFrame) -> pd.DatetimeIndex:
    days = pd.to_datetime(table["DATE"], format="%Y-%m-%d", errors="coerce")
    if days.isna().any():
        line = days.index[days.isna()][0]
        raise DataError(f"{path}, line {line}: DATE {table.loc[line, 'DATE']!r} is not a date; write YYYY-MM-DD")
    if days.duplicated().any():
        line = days.index[days.duplicated()][0]
        raise DataError(f"{path}, line {line}: DATE {table.loc[line, 'DATE']} is there twice; remove one of the lines")
    return pd.DatetimeIndex(days)


def _station(path: Path, table: pd.DataFrame) -> str:
    names = table["STATION"].unique()
    if len(names) != 1 or not names[0]:
        raise DataError(
            f"{path}: STATION is {', '.join(map(repr, names[:3]))}; put each station into a file of its own"
        )
    return str(names[0])


def _place(path: Path, table: pd.DataFrame, column: str, low: float, high: float) -> float:
    """The last line's value: a station that has moved is where it is now."""
    value = _numbers(path, table, column).iloc[-1]
    if not low <= value <= high:
        raise DataError(f"{path}: {column} {value} is not in {low:g}..{high:g}; correct the station's place")
    return float(value)


def _numbers(path: Path, table: pd.DataFrame, column: str) -> pd.Series[float]:
    text = table[column]
    numbers = pd.to_numeric(text, errors="coerce")
    wrong = numbers.isna() & (text != "")
    if wrong.any():
        line = wrong.index[wrong][0]
        raise DataError(f"{path}, line {line}: {column} {text[line]!r} is not a number; correct it or leave it empty")
    return numbers.astype(float)


def _element(path: Path, table: pd.DataFrame, element: Element) -> tuple[Floats, int]:
    """The element's values in physical units, and how many were left out for their quality flag."""
    if element.column not in table.columns:
        return np.full(len(table), np.nan), 0
    raw = _numbers(path, table, element.column)
    raw = raw.mask(raw == MISSING)
    rejected = raw.notna() & _has_quality_flag(table, element.column)
    raw = raw.mask(rejected)
    _check_units(path, raw, element)
    return np.asarray(raw * element.scale, dtype=np.float64), int(rejected.sum())


def _has_quality_flag(table: pd.DataFrame, column: str) -> pd.Series[bool]:
    """Attributes are "measurement,quality,source[,time]"; any quality flag means that a NOAA check has failed."""
    name = f"{column}_ATTRIBUTES"
    if name not in table.columns:
        return pd.Series(False, index=table.index)
    return table[name].str.extract("^[^,]*,([^,]*)", expand=False).fillna("").str.strip() != ""


def _check_units(path: Path, raw: pd.Series[float], element: Element) -> None:
    low, high = element.low / element.scale, element.high / element.scale
    beyond = raw.notna() & ~raw.between(low - 1e-6, high + 1e-6)
    if beyond.sum() > MAX_BEYOND_RANGE * raw.notna().sum():
        raise DataError(
            f"{path}: the units of {element.column} look wrong: {int(beyond.sum())} of {int(raw.notna().sum())} values "
            f"are impossible, e.g. {raw[beyond].iloc[0]:g}; "
            f"expected {element.file_unit} in {low:g}..{high:g}"
        )
