"""Tables of backscatter at points: the pixels around each site, a row for each image."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.weather.csv_lines import read_csv_lines

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.floating[Any]]
Units = Literal["linear", "dB"]

POLARISATIONS = ("VV", "VH", "HH", "HV")
NEEDED = ("DATETIME", "BURST_ID", "SITE_ID", "SITE_LON", "SITE_LAT")
TRACK = re.compile(r"t?(\d{3})[-_]", re.IGNORECASE)  # OPERA's T045-094699-IW2 and t045_094699_iw2, ASF's 045_094699_IW2
MOST_POWER = 100.0  # linear gamma0: 20 dB; corner reflectors and cities stay below
LEAST_DB = -60.0
SAME_PLACE = 0.01  # degrees that the places of one site may differ by


@dataclass(frozen=True)
class PointSeries:
    """One burst's images of one site, in the order of time.

    Attributes:
        site: The site's name.
        burst: The burst's.
        longitude: Degrees.
        latitude: Degrees.
        times: Acquisitions, UTC, datetime64[s], [time].
        power: Linear gamma0 by polarisation, float64 [time, pixel], NaN where missing; noise that was subtracted may
            leave single pixels below zero.
    """

    site: str
    burst: str
    longitude: float
    latitude: float
    times: npt.NDArray[np.datetime64]
    power: dict[str, Floats]

    @property
    def track(self) -> str:
        """The relative orbit, by the burst's name; the whole name where it has none of OPERA's or ASF's form."""
        match = TRACK.match(self.burst)
        return match[1] if match else self.burst


def read_points(root: Path, units: Units, bad: BadFiles) -> tuple[PointSeries, ...]:
    """Read all tables of a folder and of the folders in it.

    A table has the columns datetime (ISO 8601; without a time zone it is UTC), burst_id, site_id, site_lon, site_lat,
    and a column for each polarisation with a list of as many pixels in each row; others are not read. An empty cell is
    a list of missing values, and so is a value of exactly 0. Rows of another number of pixels, without any value, or
    there twice are left out, and so are series without any value beside others in their table; lines that are not in
    the order of time are sorted; each with a line.

    Args:
        root: The folder.
        units: Of the pixels.
        bad: Whether a table with a fault stops the run or is left out.

    Raises:
        DataError: There is no table, or one is wrong.
    """
    paths = sorted(path for path in root.rglob("*") if path.name.lower().endswith((".csv", ".csv.gz")))
    if not paths:
        raise DataError(f"no CSV in {root} or below it; set datamodule.root to the folder of the point tables")
    found: list[PointSeries] = []
    for path in paths:
        with bad.handled(path):
            found += _series(path, units)
    if not found:
        raise DataError(f"no point table in {root} can be used; see the warnings above")
    _refuse_twice(root, found)
    _refuse_moved(root, found)
    return tuple(found)


def _series(path: Path, units: Units) -> list[PointSeries]:
    lines = read_csv_lines(path)
    there = [name for name in POLARISATIONS if name in lines.columns]
    if missing := [name for name in NEEDED if name not in lines.columns]:
        raise DataError(f"{path} lacks column {', '.join(missing).lower()}; it has {', '.join(lines.columns).lower()}")
    if not there:
        raise DataError(f"{path} has no column of backscatter; name one of {', '.join(POLARISATIONS).lower()}")
    if lines.empty:
        raise DataError(f"{path} has a header and no row; remove it, or leave it out with on_bad_file=skip")
    lines = lines.assign(TIME=_times(path, lines["DATETIME"]))
    groups = lines.groupby(["SITE_ID", "BURST_ID"], sort=True)
    found = [_one(path, str(site), str(burst), part, there, units) for (site, burst), part in groups]
    if not any(found):
        raise DataError(f"{path} has no value in any pixel; remove it, or leave it out with on_bad_file=skip")
    return [series for series in found if series is not None]


def _times(path: Path, texts: pd.Series[str]) -> Any:
    """UTC, datetime64[s]."""
    zoned = texts.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True)
    if zoned.any() and not zoned.all():
        line = texts.index[zoned != zoned.iloc[0]][0]
        raise DataError(f"{path}, line {line}: some times have a time zone and others have none; give all of them one")
    times = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    if times.isna().any():
        line = texts.index[times.isna()][0]
        raise DataError(f"{path}, line {line}: datetime '{texts[line]}' is none like 2020-10-11 13:28:43")
    return times.dt.tz_localize(None).astype("datetime64[s]")


def _one(
    path: Path, site: str, burst: str, lines: pd.DataFrame, names: Sequence[str], units: Units
) -> PointSeries | None:
    """One series of a table; None where it has no value."""
    if not lines["TIME"].is_monotonic_increasing:
        log.info("%s: the lines are not in the order of time; sorted", path.name)
        lines = lines.sort_values("TIME", kind="stable")
    lists = _filled({name: [_pixels(path, line, name, text) for line, text in lines[name].items()] for name in names})
    keep = _of_usual_size(path, lists) & _first_of_a_time(path, lines["TIME"], lists)
    stacked = {name: np.stack([v for v, kept in zip(lists[name], keep, strict=True) if kept]) for name in names}
    power = {name: _power(path, name, values, units) for name, values in stacked.items()}
    place = f"{path.name}: site {site}, burst {burst}"
    if empty := [name for name, values in power.items() if not np.isfinite(values).any()]:
        log.warning("%s: no pixel has a value in %s: it is left out", place, ", ".join(empty))
        power = {name: values for name, values in power.items() if name not in empty}
    if not power:
        return None
    known = np.logical_or.reduce([np.isfinite(values).any(axis=1) for values in power.values()])
    if not known.all():
        log.warning("%s: %d rows have no value in any pixel: left out", place, int((~known).sum()))
    longitude, latitude = (_place(path, lines, column, most) for column, most in (("SITE_LON", 180), ("SITE_LAT", 90)))
    times = lines["TIME"].to_numpy("datetime64[s]")[keep][known]
    return PointSeries(site, burst, longitude, latitude, times, {name: each[known] for name, each in power.items()})


def _power(path: Path, name: str, values: Floats, units: Units) -> Floats:
    """Linear, of one polarisation."""
    zero = values == 0
    if zero.any():
        log.warning("%s: %d values of %s are exactly 0, and taken as missing", path.name, int(zero.sum()), name)
        values = np.where(zero, np.nan, values)
    _check_units(path, name, values, units)
    return np.asarray(10 ** (values / 10) if units == "dB" else values)


def _pixels(path: Path, line: object, name: str, text: str) -> Floats:
    """A list of numbers; a missing one is NaN, and a missing list empty."""
    plain = re.sub(r"\b(?:nan|none|null)\b", "NaN", text, flags=re.IGNORECASE)
    try:
        values = np.array([] if plain in ("", "NaN") else json.loads(plain), float)
    except (ValueError, TypeError):
        values = np.zeros((0, 0))
    if values.ndim != 1 or np.isinf(values).any():
        raise DataError(f"{path}, line {line}: {name.lower()} is no list of numbers like [0.078, 0.138]: {text[:40]!r}")
    return values


def _filled(lists: dict[str, list[Floats]]) -> dict[str, list[Floats]]:
    """The same, in which a list that is missing has as many NaN as most rows have pixels."""
    sizes = Counter(len(values) for rows in lists.values() for values in rows if len(values))
    usual = sizes.most_common(1)[0][0] if sizes else 1
    return {name: [v if len(v) else np.full(usual, np.nan) for v in rows] for name, rows in lists.items()}


def _of_usual_size(path: Path, lists: dict[str, list[Floats]]) -> npt.NDArray[np.bool_]:
    """Which rows have as many pixels, in all polarisations, as most rows."""
    sizes = [{len(values) for values in row} for row in zip(*lists.values(), strict=True)]
    usual = Counter(max(size) for size in sizes).most_common(1)[0][0]
    keep = np.array([size == {usual} for size in sizes])
    if not keep.any():
        raise DataError(f"{path}: no row has lists of {usual} pixels in {', '.join(lists).lower()} alike")
    if not keep.all():
        text = "%s: %d rows do not have %d pixels in each of %s: left out"
        log.warning(text, path.name, int((~keep).sum()), usual, ", ".join(lists))
    return keep


def _first_of_a_time(path: Path, times: pd.Series[Any], lists: dict[str, list[Floats]]) -> npt.NDArray[np.bool_]:
    """Which rows are not there before, with the same values.

    Raises:
        DataError: Two rows of one time have other values.
    """
    again = times.duplicated().to_numpy()
    for place in np.flatnonzero(again):
        for name, values in lists.items():
            if not np.array_equal(values[place], values[place - 1], equal_nan=True):
                raise DataError(
                    f"{path}: two rows of {times.iloc[place]} have other values in {name.lower()}; remove one"
                )
    if again.any():
        log.info("%s: %d rows are there twice; one of each is kept", path.name, int(again.sum()))
    return ~again


def _check_units(path: Path, name: str, values: Floats, units: Units) -> None:
    known = values[np.isfinite(values)]
    if not known.size:
        return
    middle = float(np.median(known))
    if units == "linear" and (middle <= 0 or known.max() > MOST_POWER):
        worst = middle if middle <= 0 else known.max()
        raise DataError(
            f"{path}: {name.lower()} of {worst:.4g} is no linear power (0..{MOST_POWER:g}); values in dB want "
            "datamodule.backscatter.units=dB, and a missing value is to be NaN"
        )
    if units == "dB" and (known.min() < LEAST_DB or known.max() > 10 * np.log10(MOST_POWER) or known.min() > 0):
        raise DataError(
            f"{path}: {name.lower()} has {known.min():.4g}..{known.max():.4g}, which are no dB; linear power wants "
            "datamodule.backscatter.units=linear, and a missing value is to be NaN"
        )


def _place(path: Path, lines: pd.DataFrame, column: str, most: float) -> float:
    values = pd.to_numeric(lines[column], errors="coerce")
    if not values.between(-most, most).all() or values.max() - values.min() > SAME_PLACE:
        raise DataError(f"{path}: {column.lower()} is not one number of degrees within -{most:g}..{most:g}")
    return float(values.iloc[0])


def _refuse_twice(root: Path, found: Sequence[PointSeries]) -> None:
    count = Counter((series.site, series.burst) for series in found)
    twice = [key for key, number in count.items() if number > 1]
    if twice:
        site, burst = twice[0]
        raise DataError(f"{root}: site {site} and burst {burst} are in two tables; remove one")


def _refuse_moved(root: Path, found: Sequence[PointSeries]) -> None:
    """One name is to mean one place: pairs of tracks are made by it."""
    first: dict[str, PointSeries] = {}
    for series in found:
        other = first.setdefault(series.site, series)
        apart = max(abs(series.longitude - other.longitude), abs(series.latitude - other.latitude))
        if apart > SAME_PLACE:
            raise DataError(f"{root}: site {series.site} lies {apart:.3f} degrees apart in two tables; name them apart")
