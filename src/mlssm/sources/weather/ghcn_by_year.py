"""Reading NOAA GHCN-Daily by year: all stations of the world, a line a value, without a header.

ID, DATE (YYYYMMDD), ELEMENT, VALUE, M-FLAG, Q-FLAG, S-FLAG, OBS-TIME (HHMM): see `by_year/readme-by_year.txt` of NOAA's
folder. Places are not in it: `ghcnd-stations.txt` has them. A station's lines are put into the columns of a by-station
file, and read as one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError
from mlssm.grid import Bounds
from mlssm.sources.faults import BadFiles
from mlssm.sources.weather.ghcn import ELEMENTS, station_of
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.station_list import nearest

COLUMNS = ["ID", "DATE", "ELEMENT", "VALUE", "MFLAG", "QFLAG", "SFLAG", "TIME"]
LINE = re.compile(r'"?[A-Z]{2}[A-Z0-9_\-]{9}"?,"?\d{8}"?,"?[A-Z0-9]{4}"?,')
TOTALS = ("MDPR", "DAPR")
WITHIN_KM = 100.0
LINES_AT_ONCE = 1_000_000
LONGEST_LINE = 500  # bytes, of which a line has less than 50


def read_years(
    files: Sequence[Path], places: pd.DataFrame, boxes: tuple[Bounds, ...], source: WeatherSource, bad: BadFiles
) -> list[StationRecord]:
    """The stations within 100 km of the extents, the nearest ones where there are more than `most_stations`.

    Args:
        files: By-year files, `.csv` or `.csv.gz`.
        places: Of all stations; see `station_list.read_station_list`.
        boxes: West, south, east, north of each extent, degrees.
        source: How rain is dated, and how many stations are wanted.
        bad: What a bad file does.

    Raises:
        DataError: A file is damaged, or no station of it is near.
    """
    near = nearest(places, boxes, source.most_stations, WITHIN_KM).set_index("id")
    parts = []
    for path in files:
        with bad.handled(path):
            parts.append(_lines_of(path, set(near.index)))
    lines = pd.concat(parts) if parts else pd.DataFrame(columns=COLUMNS)
    records = []
    for identifier, own in lines.groupby("ID", sort=True):
        path = files[0].with_name(f"{files[0].name} ({identifier})")
        with bad.handled(path):
            wide = _as_by_station(path, own)
            if "PRCP" in wide.columns:
                where = near.loc[identifier]
                place = {"LATITUDE": where["latitude"], "LONGITUDE": where["longitude"]}
                place["ELEVATION"] = where["elevation_m"]
                texts = {name: str(value) for name, value in place.items()}
                records.append(station_of(path, wide.assign(STATION=str(identifier), **texts), source))
    return records


def _lines_of(path: Path, wanted: set[str]) -> pd.DataFrame:
    """The lines of some stations, as text; elements that are not read are left out."""
    _refuse_cut_off(path)
    elements = {element.column for element in ELEMENTS} | set(TOTALS)
    kept = []
    try:
        reader = pd.read_csv(
            path, names=COLUMNS, dtype=str, keep_default_na=False, chunksize=LINES_AT_ONCE, encoding="latin-1"
        )
        with reader:
            for chunk in reader:
                kept.append(chunk[chunk["ID"].isin(wanted) & chunk["ELEMENT"].isin(elements)])
    except (ValueError, OSError, EOFError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path}: cannot be read as CSV ({error}); replace the file") from error
    lines = pd.concat(kept)
    lines.index += 1  # as lines are counted
    return lines


def _refuse_cut_off(path: Path) -> None:
    """Refuse a file whose last line has fewer fields than all have; what is compressed carries a checksum."""
    if path.suffix.lower() == ".gz":
        return
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - LONGEST_LINE, 0))
        last = file.read().rstrip().rpartition(b"\n")[2]
    if last.count(b",") != len(COLUMNS) - 1:
        raise DataError(f"{path}: its last line has not {len(COLUMNS)} fields: cut off; replace the file")


def _as_by_station(path: Path, lines: pd.DataFrame) -> pd.DataFrame:
    """One station's lines as a by-station file has them: a row a day, an element's column and its attributes."""
    twice = lines.duplicated(["DATE", "ELEMENT"], keep=False)
    if twice.any():
        first = lines[twice].iloc[0]
        raise DataError(f"{path}: {first['ELEMENT']} of {first['DATE']} is there twice; give each year once")
    marked = lines.assign(ATTRIBUTES=lines["MFLAG"] + "," + lines["QFLAG"] + "," + lines["SFLAG"] + "," + lines["TIME"])
    values = marked.pivot(index="DATE", columns="ELEMENT", values="VALUE").fillna("")
    attributes = marked.pivot(index="DATE", columns="ELEMENT", values="ATTRIBUTES").fillna("")
    wide = values.join(attributes.add_suffix("_ATTRIBUTES")).reset_index()
    return wide.set_index(pd.RangeIndex(1, len(wide) + 1))
