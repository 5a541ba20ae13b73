"""Reading NOAA GHCN-Daily by-station CSV files.

Units and flags: https://www.ncei.noaa.gov/pub/data/ghcn/daily/readme.txt. Averages that some stations report (TAVG) are
not read: the mean temperature is (TMAX + TMIN) / 2 everywhere, so that stations can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.weather.csv_lines import read_csv_lines
from mlssm.sources.weather.dates import read_days
from mlssm.sources.weather.flags import (
    has_quality_flag,
    observation_hour,
    of_several_days,
    to_the_day_before,
    told_hours,
)
from mlssm.sources.weather.numbers import are_codes, read_numbers
from mlssm.sources.weather.places import read_place
from mlssm.sources.weather.unit_checks import CURE, check_units

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


# Rain, temperature and snow: the world records that bound GHCN-Daily's own checks (Durre et al. 2010).
# Wind: nearly twice hurricane force (32.7 m/s), as a daily mean.
ELEMENTS = [
    Element("PRCP", "precipitation", "tenths of mm", 0.1, 0.0, 1828.8, True),
    Element("TMAX", "max_temperature", "tenths of degC", 0.1, -89.4, 57.7, True),
    Element("TMIN", "min_temperature", "tenths of degC", 0.1, -89.4, 57.7, True),
    Element("AWND", "wind", "tenths of m/s", 0.1, 0.0, 60.0, False),
    Element("RHAV", "relative_humidity", "%", 1.0, 0.0, 100.0, False, whole=False),
    Element("SNWD", "snow_depth", "mm", 1.0, 0.0, 11460.0, False),
]
DEGREES = "write decimal degrees, west and south negative, such as -119.7"
PLACE = {"LATITUDE": DEGREES, "LONGITUDE": DEGREES, "ELEVATION": "write metres, or -999.9 where unknown"}
REQUIRED = ("STATION", "DATE", *PLACE, *(element.column for element in ELEMENTS if element.required))
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
        notes: What was corrected, moved or left out besides, a line each.
    """

    id: str
    longitude: float
    latitude: float
    elevation_m: float
    observations: pd.DataFrame
    flagged: int
    notes: tuple[str, ...] = ()


def read_station(path: Path) -> StationRecord:
    """Read one by-station CSV.

    Rain that was read in the morning, as `PRCP_ATTRIBUTES` says, is dated by the day before, and what belongs to a
    total of several days is left out; see `flags`. The notes say what became of the file.

    Args:
        path: The file. Columns STATION, DATE, LATITUDE, LONGITUDE, ELEVATION, PRCP, TMAX and TMIN are required; AWND,
            RHAV, SNWD, MDPR, DAPR and `<element>_ATTRIBUTES` ("measurement,quality,source,time") are optional.

    Raises:
        DataError: The file is unreadable, damaged or empty, lacks a column, holds several stations, a date twice or
            something that is not a date or number, or its units are not GHCN-Daily's.
    """
    notes: list[str] = []
    lines = _read_lines(path)
    identifier = _station(path, lines)
    days, note = read_days(path, lines["DATE"])
    _require_days_once(path, lines, days)
    if not days.is_monotonic_increasing:
        notes.append("the lines are not in the order of days: sorted")
    order = np.argsort(days)
    lines, days = lines.iloc[order], days[order]
    where = {name: read_numbers(path, name, lines[name], cure) for name, cure in PLACE.items()}
    place = read_place(path, pd.DataFrame(where))
    observations, flagged = _elements(path, lines, days, notes.append)
    check_units(path, observations, place.latitude)
    observations = _rain_by_day(lines, observations, notes.append)
    axis = pd.date_range(observations.index.min(), observations.index.max(), freq="D")
    told = (*filter(None, [note]), *place.notes, *notes)
    at = place.longitude, place.latitude, place.elevation_m
    return StationRecord(identifier, *at, observations.reindex(axis), flagged, told)


def _read_lines(path: Path) -> pd.DataFrame:
    lines = read_csv_lines(path)
    missing = [name for name in REQUIRED if name not in lines.columns]
    if missing:
        raise DataError(
            f"{path}: column {', '.join(missing)} is missing; a GHCN-Daily by-station CSV has {', '.join(REQUIRED)}"
        )
    if lines.empty:
        raise DataError(f"{path}: no day in the file; replace it or remove it")
    return lines


def _station(path: Path, lines: pd.DataFrame) -> str:
    names = lines["STATION"].unique()
    if len(names) != 1 or not names[0]:
        raise DataError(
            f"{path}: STATION is {', '.join(map(repr, names[:3]))}; put each station into a file of its own"
        )
    return str(names[0])


def _require_days_once(path: Path, lines: pd.DataFrame, days: pd.DatetimeIndex) -> None:
    twice = days.duplicated()
    if twice.any():
        line = lines.index[twice][0]
        raise DataError(f"{path}, line {line}: DATE {lines.loc[line, 'DATE']} is there twice; remove one of the lines")


def _elements(path: Path, lines: pd.DataFrame, days: pd.DatetimeIndex, tell: Tell) -> tuple[pd.DataFrame, int]:
    """All elements by day in physical units, and how many values were left out for their quality flag."""
    observations = pd.DataFrame(np.nan, index=days, columns=[element.name for element in ELEMENTS])
    flagged = 0
    for element in ELEMENTS:
        if element.column in lines.columns:
            raw = read_numbers(path, element.column, lines[element.column])
            rejected = raw.notna() & has_quality_flag(lines, element.column)
            flagged += int(rejected.sum())
            raw = _without_codes(raw.mask(rejected), element, tell)
            _check_numbers(path, raw, element)
            observations[element.name] = (raw * element.scale).to_numpy()
    return observations, flagged


def _without_codes(raw: pd.Series[float], element: Element, tell: Tell) -> pd.Series[float]:
    codes = are_codes(raw, element.low / element.scale, element.high / element.scale, element.whole)
    if codes.any():
        found = ", ".join(f"{value:g}" for value in sorted(raw[codes].unique()))
        tell(f"{int(codes.sum())} values of {element.column} are {found}, which stands for missing: left out")
    return raw.mask(codes)


def _check_numbers(path: Path, raw: pd.Series[float], element: Element) -> None:
    """Refuse values that are impossible, or that GHCN-Daily never writes."""
    low, high = element.low / element.scale, element.high / element.scale
    wrong = f"{path}: the units of {element.column} look wrong"
    beyond = raw.notna() & ~raw.between(low - 1e-6, high + 1e-6)
    if beyond.sum() > MAX_BEYOND_RANGE * raw.notna().sum():
        raise DataError(
            f"{wrong}: {int(beyond.sum())} of {int(raw.notna().sum())} values are impossible, "
            f"e.g. {raw[beyond].iloc[0]:g}; expected {element.file_unit} in {low:g}..{high:g}"
        )
    broken = element.whole & raw.notna() & (raw % 1 != 0)
    if broken.any():
        line = broken.index[broken][0]
        raise DataError(
            f"{wrong}: {int(broken.sum())} values have decimals, e.g. {raw[line]:g} in line {line}; "
            f"expected whole {element.file_unit}; {CURE}"
        )


def _rain_by_day(lines: pd.DataFrame, observations: pd.DataFrame, tell: Tell) -> pd.DataFrame:
    """Rain by the day on which it fell."""
    several = of_several_days(lines, pd.DatetimeIndex(observations.index))
    rain, lost = observations["precipitation"], observations["precipitation"].notna() & several
    if several.any():
        tell(
            f"rain of {int(several.sum())} days is known as totals of several days: left out, {int(lost.sum())} values"
        )
    hour = observation_hour(lines, "PRCP").set_axis(rain.index)
    morning = hour[(hour < 12) & rain.mask(lost).notna()]
    rain, moved, clashing = to_the_day_before(rain.mask(lost), hour)
    if moved:
        tell(
            f"rain of {moved} days was observed at {told_hours(morning)}, so that most of it fell on the day before: "
            f"dated by that day" + (f"; {clashing} left out, as that day has rain of its own" if clashing else "")
        )
    return observations.reindex(observations.index.union(rain.index)).assign(precipitation=rain)
