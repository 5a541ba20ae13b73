"""Weather stations by NOAA's access service over plain HTTP, without a login.

What is asked: https://www.ncei.noaa.gov/support/access-search-service-api-user-documentation and
https://www.ncei.noaa.gov/support/access-data-service-api-user-documentation.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pyproj import Geod

from mlssm.config.area_file import FileProvenance
from mlssm.config.noaa import NoaaWeather
from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError
from mlssm.files import naming
from mlssm.grid import Bounds
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.progress import transfer

log = logging.getLogger(__name__)

DATASET, ELEMENTS = "daily-summaries", "PRCP,TMAX,TMIN,AWND,RHAV,SNWD,MDPR,DAPR"
LICENCE = "work of the US Government, public domain"
SERVICE = "NOAA's access service"
AT_ONCE = 1000  # results of a search, which are asked for page by page
MOST_PAGES = 50
DEGREE_KM = 111.2
IDENTIFIER = re.compile(r"[A-Z]{2}[A-Z0-9_-]{9}")
EMPTY = "no line"


class NoaaFetcher:
    """Fills a weather folder with a file a station, in metric units, with flags and hours of observation."""

    def __init__(self, config: NoaaWeather, downloads: Downloads) -> None:
        """Take the settings, and what fetches."""
        self.config, self.downloads = config, downloads

    def plan(self, request: Request) -> Plan:
        """Ask which stations around the place have rain; see `mlssm.origins.contract.Fetcher`.

        Raises:
            DataError: The service cannot be reached, answers otherwise than it should, or knows no station there.
        """
        first, last = request.first - dt.timedelta(days=self.config.days_before), request.last
        box = self._box(request.place.bounds)
        pages = list(self._pages(box, first, last))
        found = {station: place for page in pages for station, place in _stations(page)}
        if not found:
            raise DataError(
                f"{SERVICE} knows no station with rain within {self.config.margin_km:g} km of the place from {first} "
                f"to {last}; enlarge datamodule.origin.weather.margin_km"
            )
        near = sorted(found, key=lambda station: (_away_km(found[station], request.place.bounds), station))
        chosen = sorted(near[: self.config.most_stations])
        wanted = tuple(
            Wanted(f"{request.folder}/{station}.csv", self._address(station, first, last), None, LICENCE)
            for station in chosen
        )
        note = f"{len(chosen)} of {len(found)} stations with rain within {self.config.margin_km:g} km"
        return Plan("weather", SERVICE, wanted, len(pages) + len(wanted), (note,))

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Fetch the stations that are not there yet; one without a day in the span is left out with a line.

        Raises:
            DataError: The service fails for good, what comes is no record of the station, or none has a day.
        """
        with transfer("weather stations", len(plan.wanted), None) as shown:
            found = self.downloads.each(lambda wanted: self._file(request.root, wanted), plan.wanted, shown)
        files = tuple(file for file in found if file is not None)
        if not files:
            raise DataError(f"{SERVICE}: none of {len(plan.wanted)} stations has a day; choose other dates")
        section = WeatherSource(folder=request.folder, format="access", units="metric")
        return Fetched(section, files)

    def _pages(self, box: Bounds, first: dt.date, last: dt.date) -> Iterator[Any]:
        """The search's answers, page by page."""
        west, south, east, north = box
        query = {"dataset": DATASET, "startDate": f"{first}", "endDate": f"{last}", "dataTypes": "PRCP"}
        query |= {"bbox": f"{north:.4f},{west:.4f},{south:.4f},{east:.4f}", "limit": f"{AT_ONCE}"}
        for page in range(MOST_PAGES):
            answer = self.downloads.json(f"{self.config.api}/search/v1/data", query | {"offset": f"{page * AT_ONCE}"})
            if not isinstance(answer, Mapping) or not isinstance(answer.get("results"), list):
                raise DataError(f"{SERVICE} answers a search otherwise than it should: {json.dumps(answer)[:120]}")
            yield answer["results"]
            if len(answer["results"]) < AT_ONCE:
                return

    def _box(self, bounds: Bounds) -> Bounds:
        west, south, east, north = bounds
        high = self.config.margin_km / DEGREE_KM
        # degrees of longitude are shortest at the side nearer to a pole
        wide = high / max(_cosine(max(abs(south), abs(north))), 0.05)
        return max(west - wide, -180.0), max(south - high, -90.0), min(east + wide, 180.0), min(north + high, 90.0)

    def _address(self, station: str, first: dt.date, last: dt.date) -> str:
        query = {"dataset": DATASET, "stations": station, "startDate": f"{first}", "endDate": f"{last}"}
        query |= {"dataTypes": ELEMENTS, "format": "csv", "units": "metric"}
        query |= {"includeAttributes": "true", "includeStationName": "true", "includeStationLocation": "1"}
        return f"{self.config.api}/data/v1?{urlencode(query, safe=',')}"

    def _file(self, root: Path, wanted: Wanted) -> FileProvenance | None:
        """A station's file, fetched if it is not there yet; None where it has no day."""
        path = root / wanted.name
        if not path.exists():
            content = self.downloads.request(wanted.address).content
            station = path.stem
            if (wrong := wrong_with(content, station)) is not None:
                if wrong == EMPTY:
                    log.warning("%s: %s has no day in the span: left out", SERVICE, station)
                    return None
                raise DataError(f"{SERVICE}: what comes for {station} is no record of it: {wrong}; run it again later")
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.part")
            with naming(beside):
                beside.write_bytes(content)
                beside.replace(path)
        content = path.read_bytes()
        made = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).replace(microsecond=0)
        return FileProvenance(
            name=wanted.name,
            address=wanted.address,
            licence=wanted.licence,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            retrieved=made,
        )


def fetcher(config: NoaaWeather, downloads: Downloads) -> NoaaFetcher:
    """What fetches stations from NOAA."""
    return NoaaFetcher(config, downloads)


def wrong_with(content: bytes, station: str) -> str | None:
    """What is wrong with a station's record: a page of another kind, cut off, of another station, without a line."""
    text = content.decode("utf-8", "replace").strip()
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines == ["[]"]:
        return EMPTY
    header = lines[0].replace('"', "").split(",")
    if header[:1] != ["STATION"] or "DATE" not in header:
        return repr(lines[0][:80])
    if len(lines) == 1:
        return EMPTY
    if not content.endswith(b"\n") and lines[-1].count('"') < lines[1].count('"'):
        return f"it is cut off in its last line, {lines[-1][:40]!r}"
    others = {line.split(",", 1)[0].strip('" ') for line in lines[1:]} - {station}
    return f"it holds {min(others)!r}" if others else None


def _stations(results: list[Any]) -> Iterator[tuple[str, tuple[float, float]]]:
    """Identifier, and longitude and latitude, of each result of a search.

    Raises:
        DataError: A result has none.
    """
    for result in results:
        listed = result.get("stations") or [{}] if isinstance(result, Mapping) else [{}]
        identifier = str(listed[0].get("id") or Path(str(result.get("filePath", ""))).stem) if listed[0] else ""
        points = listed[0].get("coordinates") or _point(result)
        if not IDENTIFIER.fullmatch(identifier) or points is None:
            raise DataError(f"{SERVICE} finds a station without a name or a place: {json.dumps(result)[:120]}")
        yield identifier, (float(points[0]), float(points[1]))


def _point(result: Mapping[str, Any]) -> Any:
    """The coordinates of a result's first point."""
    points = result.get("boundingPoints") or [result.get("location") or {}]
    return points[0].get("coordinates") if isinstance(points[0], Mapping) else points[0]


def _away_km(place: tuple[float, float], bounds: Bounds) -> float:
    """From a station to the nearest point of a box, along the ellipsoid; 0 inside."""
    west, south, east, north = bounds
    nearest = min(max(place[0], west), east), min(max(place[1], south), north)
    return float(Geod(ellps="WGS84").inv(*place, *nearest)[2]) / 1000


def _cosine(degrees: float) -> float:
    from math import cos, radians

    return cos(radians(degrees))
