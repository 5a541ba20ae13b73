"""Reading NOAA GHCN-Daily: by-station CSV, and the CSV of NOAA's access service, which has the same columns.

Units and flags: https://www.ncei.noaa.gov/pub/data/ghcn/daily/readme.txt. Averages that some stations report (TAVG) are
not read: the mean temperature is (TMAX + TMIN) / 2 everywhere, so that stations can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError
from mlssm.sources.weather.csv_lines import read_csv_lines
from mlssm.sources.weather.dates import read_days
from mlssm.sources.weather.flags import has_quality_flag
from mlssm.sources.weather.ghcn_rain import rain_by_day
from mlssm.sources.weather.numbers import are_codes, read_numbers
from mlssm.sources.weather.places import read_place
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.unit_checks import check_units, cure_of
from mlssm.sources.weather.units_of_noaa import CONVERTED, Declared, Written, without_units

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Element:
    """A GHCN-Daily element: its column and unit in a file, and its name, scale and physical range here.

    `whole` says that GHCN-Daily's values are whole numbers of the file's unit.
    """

    column: str
    name: str
    file_unit: str
    scale: float
    low: float
    high: float
    required: bool
    whole: bool = True

    def written(self, units: Declared) -> Written:
        """How its numbers are written in the units that were declared; None: GHCN-Daily's own."""
        own = Written(self.file_unit, self.scale, whole=self.whole)
        return own if units is None else CONVERTED[units].get(self.name, own)


# Rain, temperature and snow: the world records that bound GHCN-Daily's own checks (Durre et al. 2010).
# Wind: nearly twice hurricane force (32.7 m/s), as a daily mean.
ELEMENTS = [
    Element("PRCP", "precipitation", "tenths of mm", 0.1, 0.0, 1828.8, True),
    Element("TMAX", "max_temperature", "tenths of degC", 0.1, -89.4, 57.7, False),
    Element("TMIN", "min_temperature", "tenths of degC", 0.1, -89.4, 57.7, False),
    Element("AWND", "wind", "tenths of m/s", 0.1, 0.0, 60.0, False),
    Element("RHAV", "relative_humidity", "%", 1.0, 0.0, 100.0, False, whole=False),
    Element("SNWD", "snow_depth", "mm", 1.0, 0.0, 11460.0, False),
]
DEGREES = "write decimal degrees, west and south negative, such as -119.7"
PLACE = {"LATITUDE": DEGREES, "LONGITUDE": DEGREES, "ELEVATION": "write metres, or -999.9 where unknown"}
REQUIRED = ("STATION", "DATE", *PLACE, *(element.column for element in ELEMENTS if element.required))
TEMPERATURES = ("TMAX", "TMIN")
MAX_BEYOND_RANGE = 0.01
AS_USUAL = WeatherSource(folder="weather")


def read_station(path: Path, source: WeatherSource = AS_USUAL) -> StationRecord:
    """Read one by-station CSV.

    Rain that was read in the morning, as `PRCP_ATTRIBUTES` says, is dated by the day before, and what belongs to a
    total of several days is left out or spread; see `ghcn_rain`. The notes say what became of the file.

    Args:
        path: The file. Columns STATION, DATE, LATITUDE, LONGITUDE, ELEVATION and PRCP are required; TMAX, TMIN, AWND,
            RHAV, SNWD, MDPR, DAPR and `<element>_ATTRIBUTES` ("measurement,quality,source,time") are optional.
        source: Its units, what becomes of totals, and the hour of observation where the file has none.

    Raises:
        DataError: The file is unreadable, damaged or empty, lacks a column, holds several stations, a date twice or
            something that is not a date or number, or its units are not those that it should have.
    """
    lines = read_lines(path)
    names = lines["STATION"].unique()
    if len(names) != 1 or not names[0]:
        raise DataError(
            f"{path}: STATION is {', '.join(map(repr, names[:3]))}; put each station into a file of its own, or set "
            "datamodule.weather.format=access"
        )
    return station_of(path, lines, source)


def read_stations(path: Path, source: WeatherSource = AS_USUAL) -> list[StationRecord]:
    """Read a CSV of NOAA's access service, which may hold several stations; arguments and errors as `read_station`."""
    lines = read_lines(path)
    if (unnamed := lines["STATION"] == "").any():
        raise DataError(f"{path}, line {unnamed.idxmax()}: STATION is empty; replace the file")
    return [station_of(path, part, source) for _, part in lines.groupby("STATION", sort=True)]


def read_lines(path: Path) -> pd.DataFrame:
    """The lines as text, once the columns of GHCN-Daily are there.

    Raises:
        DataError: See `read_station`.
    """
    lines = read_csv_lines(path)
    bare = {name: name.partition("(")[0].strip() for name in lines.columns}
    missing = [name for name in REQUIRED if name not in bare.values()]
    if missing:
        raise DataError(
            f"{path}: column {', '.join(missing)} is missing; a GHCN-Daily by-station CSV has {', '.join(REQUIRED)}; "
            "of another table say what its columns are in datamodule.weather.columns"
        )
    if lines.empty:
        raise DataError(f"{path}: no day in the file; replace it or remove it")
    return lines


def station_of(path: Path, lines: pd.DataFrame, source: WeatherSource) -> StationRecord:
    """One station's record, from its lines in the columns of a by-station CSV; see `read_station`."""
    notes: list[str] = []
    lines, units, stated = without_units(path, lines, source.units)
    days, note = read_days(path, lines["DATE"])
    _require_days_once(path, lines, days)
    if not days.is_monotonic_increasing:
        notes.append("the lines are not in the order of days: sorted")
    order = np.argsort(days)
    lines, days = lines.iloc[order], days[order]
    where = {name: read_numbers(path, name, lines[name], cure) for name, cure in PLACE.items()}
    place = read_place(path, pd.DataFrame(where))
    if absent := [name for name in TEMPERATURES if name not in lines.columns]:
        notes.append(f"the file has no {' and no '.join(absent)}: no evapotranspiration from this station")
    observations, flagged = _elements(path, lines, days, units, notes.append)
    check_units(path, observations, place.latitude, units)
    identifier = str(lines["STATION"].iloc[0])
    observations = rain_by_day(path, identifier, lines, observations, ELEMENTS[0].written(units), source, notes.append)
    axis = pd.date_range(observations.index.min(), observations.index.max(), freq="D")
    told = (*filter(None, [note, stated]), *place.notes, *notes)
    at = place.longitude, place.latitude, place.elevation_m
    return StationRecord(identifier, *at, observations.reindex(axis), flagged, told)


def _require_days_once(path: Path, lines: pd.DataFrame, days: pd.DatetimeIndex) -> None:
    twice = days.duplicated()
    if twice.any():
        line = lines.index[twice][0]
        raise DataError(f"{path}, line {line}: DATE {lines.loc[line, 'DATE']} is there twice; remove one of the lines")


def _elements(
    path: Path, lines: pd.DataFrame, days: pd.DatetimeIndex, units: Declared, tell: Tell
) -> tuple[pd.DataFrame, int]:
    """All elements by day in physical units, and how many values were left out for their quality flag."""
    observations = pd.DataFrame(np.nan, index=days, columns=[element.name for element in ELEMENTS])
    flagged = 0
    for element in ELEMENTS:
        if element.column in lines.columns:
            written = element.written(units)
            raw = read_numbers(path, element.column, lines[element.column])
            rejected = raw.notna() & has_quality_flag(lines, element.column)
            flagged += int(rejected.sum())
            raw = _without_codes(raw.mask(rejected), element, written, tell)
            _check_numbers(path, raw, element, written, units)
            observations[element.name] = (raw * written.factor + written.offset).to_numpy()
    return observations, flagged


def _limits(element: Element, written: Written) -> tuple[float, float]:
    """An element's range in the file's unit."""
    return tuple((value - written.offset) / written.factor for value in (element.low, element.high))  # type: ignore[return-value]


def _without_codes(raw: pd.Series[float], element: Element, written: Written, tell: Tell) -> pd.Series[float]:
    codes = are_codes(raw, *_limits(element, written), written.whole)
    if codes.any():
        found = ", ".join(f"{value:g}" for value in sorted(raw[codes].unique()))
        tell(f"{int(codes.sum())} values of {element.column} are {found}, which stands for missing: left out")
    return raw.mask(codes)


def _check_numbers(path: Path, raw: pd.Series[float], element: Element, written: Written, units: Declared) -> None:
    """Refuse values that are impossible, or that GHCN-Daily never writes."""
    low, high = _limits(element, written)
    wrong = f"{path}: the units of {element.column} look wrong"
    beyond = raw.notna() & ~raw.between(low - 1e-6, high + 1e-6)
    if beyond.sum() > MAX_BEYOND_RANGE * raw.notna().sum():
        raise DataError(
            f"{wrong}: {int(beyond.sum())} of {int(raw.notna().sum())} values are impossible, "
            f"e.g. {raw[beyond].iloc[0]:g}; expected {written.unit} in {low:g}..{high:g}"
        )
    broken = written.whole & raw.notna() & (raw % 1 != 0)
    if broken.any():
        line = broken.index[broken][0]
        raise DataError(
            f"{wrong}: {int(broken.sum())} values have decimals, e.g. {raw[line]:g} in line {line}; "
            f"expected whole {written.unit}; {cure_of(units)}"
        )
