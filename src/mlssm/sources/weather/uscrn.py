"""Reading the US Climate Reference Network's text files: daily01 and hourly02.

Fields: https://www.ncei.noaa.gov/pub/data/uscrn/products/daily01/readme.txt and hourly02/readme.txt. Days are those of
local standard time, hours end at their time. Missing is -9999, of shorter fields -99 and -999. The files have no
elevation: a list of stations gives it (`datamodule.weather.stations`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.weather.by_day import by_day, partly
from mlssm.sources.weather.hours import Hours, days_of
from mlssm.sources.weather.numbers import read_numbers
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.site import Site
from mlssm.weather.stations import Floats

NAME = re.compile(r"CRN[DH]0[12]03-.*\.txt", re.IGNORECASE)
WBAN, LONGITUDE, LATITUDE = "WBANNO", "LONGITUDE", "LATITUDE"
MISSING = (-9999.0, -999.0, -99.0)
UNKNOWN_ELEVATION = (
    "ELEVATION is unknown: no FAO-56 evapotranspiration; a list of stations gives it (datamodule.weather.stations)"
)
SECONDS_MJ = 0.0036  # an hour of 1 W/m2, MJ/m2
COLUMNS = {"daily": 28, "hourly": 38}


@dataclass(frozen=True)
class Field:
    """A field: its place in a line, its quantity, its factor, and the place of its flag (0: good)."""

    place: int
    name: str
    factor: float = 1.0
    flag: int | None = None


DAILY = (
    Field(5, "max_temperature"),
    Field(6, "min_temperature"),
    Field(9, "precipitation"),
    Field(10, "radiation"),
    Field(17, "relative_humidity"),
)
HOURLY = (
    Field(9, "temperature"),
    Field(10, "max_temperature"),
    Field(11, "min_temperature"),
    Field(12, "precipitation"),
    Field(13, "radiation", SECONDS_MJ, flag=14),
    Field(26, "relative_humidity", flag=27),
)


def read_uscrn(files: Sequence[Path], places: pd.DataFrame | None, site: Site, bad: BadFiles) -> list[StationRecord]:
    """The stations of daily01 and hourly02 files, whose years are joined.

    Args:
        files: `CRND0103-2020-CA_Santa_Barbara_11_W.txt`, `CRNH0203-...`.
        places: Elevations by WBAN number or GHCN identifier; None: unknown.
        site: The day that hours are summed to.
        bad: What a bad file does.

    Raises:
        DataError: A line has another number of fields, or something that is no number.
    """
    parts: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for path in files:
        with bad.handled(path):
            kind, lines = _lines_of(path)
            for wban, own in lines.groupby(0, sort=True):
                parts.setdefault((str(wban), kind), []).append(own)
    records = []
    for (wban, kind), found in sorted(parts.items()):
        path = files[0].with_name(f"{kind} files of USCRN station {wban}")
        with bad.handled(path):
            records.append(_station(path, wban, kind, pd.concat(found), places, site))
    return records


def _lines_of(path: Path) -> tuple[str, pd.DataFrame]:
    """Whether they are daily or hourly, and the fields as text; the index is the line's number."""
    try:
        rows = [line.split() for line in path.read_text("ascii").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error}); replace the file") from error
    rows = [row for row in rows if row]
    counts = {len(row) for row in rows}
    kind = next((name for name, count in COLUMNS.items() if counts == {count}), None)
    if kind is None:
        number = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), 0)
        raise DataError(
            f"{path}, line {number + 1}: {len(rows[number]) if rows else 0} fields; daily01 has {COLUMNS['daily']} and "
            f"hourly02 {COLUMNS['hourly']}: cut off or damaged; replace the file"
        )
    return kind, pd.DataFrame(rows, index=range(1, len(rows) + 1))


def _station(
    path: Path, wban: str, kind: str, lines: pd.DataFrame, places: pd.DataFrame | None, site: Site
) -> StationRecord:
    identifier = f"USW{int(wban):08d}" if wban.isdigit() else wban
    where = {name: read_numbers(path, name, lines[place]) for name, place in _places(kind).items()}
    longitude, latitude = (float(where[name].iloc[-1]) for name in (LONGITUDE, LATITUDE))
    elevation = _elevation(places, wban, identifier)
    notes = [] if np.isfinite(elevation) else [UNKNOWN_ELEVATION]
    read = _daily if kind == "daily" else _hourly
    observations, told = read(path, lines, site)
    return StationRecord(
        identifier, longitude, latitude, elevation, observations, notes=(*notes, *told), hourly=kind == "hourly"
    )


def _places(kind: str) -> dict[str, int]:
    return {LONGITUDE: 3, LATITUDE: 4} if kind == "daily" else {LONGITUDE: 6, LATITUDE: 7}


def _elevation(places: pd.DataFrame | None, wban: str, identifier: str) -> float:
    if places is None:
        return float("nan")
    own = places[places["id"].str.lstrip("0").isin([wban.lstrip("0"), identifier])]
    return float(own["elevation_m"].iloc[0]) if len(own) else float("nan")


def _daily(path: Path, lines: pd.DataFrame, site: Site) -> tuple[pd.DataFrame, list[str]]:
    days = _times(path, lines[1], "%Y%m%d")
    return by_day(days, _values(path, lines, DAILY)), []


def _hourly(path: Path, lines: pd.DataFrame, site: Site) -> tuple[pd.DataFrame, list[str]]:
    ends = _times(path, lines[1] + lines[2], "%Y%m%d%H%M")
    order = np.argsort(ends)
    values = {name: found[order] for name, found in _values(path, lines, HOURLY).items()}
    hours = Hours(ends[order].to_numpy().astype("datetime64[s]"), 1.0, values)
    days, found, scaled = days_of(hours, site)
    return by_day(pd.DatetimeIndex(days), found), partly(scaled)


def _times(path: Path, text: pd.Series[str], form: str) -> pd.DatetimeIndex:
    times = pd.to_datetime(text, format=form, errors="coerce")
    wrong = times.isna() | times.duplicated()
    if wrong.any():
        first = int(wrong.to_numpy().argmax())
        what = f"{text.iloc[first]} is no time, or is there twice; correct the file"
        raise DataError(f"{path}, line {text.index[first]}: {what}")
    return pd.DatetimeIndex(times)


def _values(path: Path, lines: pd.DataFrame, fields: Sequence[Field]) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for field in fields:
        raw = read_numbers(path, field.name, lines[field.place])
        raw = raw.mask(raw.isin(MISSING))
        if field.flag is not None:
            raw = raw.mask(lines[field.flag] != "0")
        found[field.name] = np.asarray(raw * field.factor, dtype=np.float64)
    return found
