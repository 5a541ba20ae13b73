"""OPERA RTC-S1 (NASA/JPL) from ASF: terrain-corrected Sentinel-1 bursts of 30 m, their masks and incidence angles.

The files keep the agency's names. Bursts that meet the place are fetched whole, each in its newest processing.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from mlssm.config.backscatter import BackscatterConfig
from mlssm.config.origins import DownloadConfig, OperaBackscatter
from mlssm.errors import DataError
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads, Remote
from mlssm.origins.earthdata import CREDENTIAL, earthdata_session
from mlssm.origins.services import needs
from mlssm.origins.written import provenance

log = logging.getLogger(__name__)

IMAGES, STATIC = "OPERA_L2_RTC-S1_V1", "OPERA_L2_RTC-S1-STATIC_V1"
LICENCE = "OPERA products of NASA/JPL, free and open; contains modified Copernicus Sentinel data"
NAME = re.compile(
    r"OPERA_L2_RTC-S1_(?P<burst>T\d{3}-\d{6}-IW\d)_(?P<acquired>\d{8}T\d{6})Z_(?P<processed>\d{8}T\d{6})Z_S1[A-D]_.*"
)
STATIC_NAME = re.compile(r"OPERA_L2_RTC-S1-STATIC_(?P<burst>T\d{3}-\d{6}-IW\d)_(?P<processed>\d{8})_.*")
MASK, ANGLE = "mask", "incidence_angle"
# folders beside that of the images
ANGLES, MASKS = "incidence", "mask"
# reprocessing may move a burst's start by seconds; the satellite returns after days
SAME_LOOK = dt.timedelta(minutes=10)
HOURS_FROM_UTC = dt.timedelta(hours=14)  # no local day begins further from UTC's
DEGREES_AN_HOUR = 15


@dataclass(frozen=True)
class Granule:
    """One burst of one pass, or the static layers of one burst, in one processing.

    Attributes:
        burst: Its number and swath, T137-292324-IW2.
        acquired: UTC; None for static layers.
        processed: As its name has it.
        urls: Of its GeoTIFFs.
        sizes: Bytes by file name.
    """

    burst: str
    acquired: dt.datetime | None
    processed: str
    urls: tuple[str, ...]
    sizes: dict[str, int]

    def url(self, layer: str) -> str | None:
        """The address of a layer: VV, VH, mask, incidence_angle."""
        return next((url for url in self.urls if url.endswith(f"_{layer}.tif")), None)


def fetcher(settings: OperaBackscatter, downloads: Downloads) -> OperaFetcher:
    """What fetches OPERA's backscatter."""
    return OperaFetcher(settings, downloads.config)


class OperaFetcher:
    """Fetches bursts, their masks, and the incidence angles of their static layers."""

    def __init__(self, settings: OperaBackscatter, config: DownloadConfig) -> None:
        """Take the settings; a login is looked for when a file is fetched."""
        self._settings = settings
        self._downloads = Downloads(config, earthdata_session)

    def plan(self, request: Request) -> Plan:
        """Search ASF's catalogue; needs no login.

        Raises:
            ConfigError: asf-search is not installed.
            DataError: The catalogue cannot be reached, or has no burst of the place and dates.
        """
        images = newest(within_days(search(IMAGES, request), request))
        images = [each for each in images if self._is_wanted(each)]
        if not images:
            raise DataError(
                f"ASF has no OPERA RTC-S1 burst that meets the place from {request.first} to {request.last} "
                f"(relative orbits: {self._orbits()}); OPERA covers North and Central America since October 2021, and "
                "other land in part; use datamodule=stac elsewhere"
            )
        bursts = sorted({each.burst for each in images})
        static = newest(search(STATIC, request, bursts))
        remotes = [*self._images(images), *self._static(static)]
        wanted = tuple(
            Wanted(f"{folder}/{_name(url)}", url, size, LICENCE) for folder, url, size in _placed(remotes, request)
        )
        return Plan("backscatter", "OPERA RTC-S1 (ASF)", wanted, len(wanted) + 2, self._notes(images, bursts, static))

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Fetch the files of a plan that are not there yet.

        Raises:
            DataError: The login is missing or does not count, a file fails for good, or is not of the stated size.
        """
        remotes = [
            Remote(each.address, request.root / each.name, each.size, credential=CREDENTIAL) for each in plan.wanted
        ]
        self._downloads.files(remotes, "OPERA bursts")
        angles = any(each.name.startswith(f"{ANGLES}/") for each in plan.wanted)
        section = BackscatterConfig(
            folder=request.folder, units="linear", incidence_layer=ANGLES if angles else None, looks=None
        )
        return Fetched(section, provenance(request.root, plan.wanted))

    def _is_wanted(self, granule: Granule) -> bool:
        orbits = self._settings.orbits
        return orbits is None or int(granule.burst[1:4]) in orbits

    def _orbits(self) -> str:
        return "all" if self._settings.orbits is None else ", ".join(map(str, self._settings.orbits))

    def _images(self, images: Sequence[Granule]) -> Iterator[tuple[str, str, int | None]]:
        """Folder (empty: the source's own), address and size of each image, and of its mask."""
        for each in images:
            for layer in self._settings.polarisations:
                if url := each.url(layer):
                    yield "", url, each.sizes.get(_name(url))
            if self._settings.masks and (url := each.url(MASK)):
                yield MASKS, url, each.sizes.get(_name(url))

    def _static(self, static: Sequence[Granule]) -> Iterator[tuple[str, str, int | None]]:
        for each in static:
            if url := each.url(ANGLE):
                yield ANGLES, url, each.sizes.get(_name(url))

    def _notes(self, images: Sequence[Granule], bursts: Sequence[str], static: Sequence[Granule]) -> tuple[str, ...]:
        days = {each.acquired.date() for each in images if each.acquired is not None}
        notes = [f"{len(images)} images of {len(bursts)} bursts on {len(days)} days (UTC)"]
        for layer in self._settings.polarisations:
            if lacking := sum(each.url(layer) is None for each in images):
                notes.append(f"{lacking} of them have no {layer}")
        if absent := sorted(set(bursts) - {each.burst for each in static if each.url(ANGLE)}):
            notes.append(f"no incidence angle of {len(absent)} bursts (first: {absent[0]})")
        return tuple(notes)


def search(collection: str, request: Request, bursts: Sequence[str] | None = None) -> list[Granule]:
    """What ASF's catalogue has of a collection.

    Args:
        collection: Its short name.
        request: The place and dates.
        bursts: Those that are asked for, of any date; None: those that meet the place on the dates.

    Raises:
        ConfigError: asf-search is not installed.
        DataError: The catalogue cannot be reached, or refuses.
    """
    try:
        import asf_search
        from shapely.geometry import shape
    except ImportError as error:
        raise needs("opera", error) from error
    asf_search.REPORT_ERRORS = False  # it would tell its makers of our searches
    place = shape(dict(request.place.geometry))
    asked: dict[str, Any] = {"shortName": collection, "opts": asf_search.ASFSearchOptions(session=catalogue_session())}
    if bursts is None:
        start = dt.datetime.combine(request.first, dt.time(), dt.UTC) - HOURS_FROM_UTC
        end = dt.datetime.combine(request.last + dt.timedelta(days=1), dt.time(), dt.UTC) + HOURS_FROM_UTC
        asked |= {"intersectsWith": place.wkt, "start": start.isoformat(), "end": end.isoformat()}
    else:
        asked["operaBurstID"] = [each.replace("-", "_") for each in bursts]
    try:
        found = list(asf_search.search(**asked))
    except (asf_search.exceptions.ASFError, requests.RequestException, ValueError, KeyError) as error:
        # KeyError: of asf-search itself, where an answer of a fault has another form than it knows
        raise DataError(f"ASF's catalogue does not answer ({_told(error)}); try again later") from error
    # the catalogue compares with a box around some bursts
    met = [each for each in found if bursts is not None or shape(each.geometry).intersects(place)]
    return [granule for each in met if (granule := _granule(each, collection)) is not None]


def catalogue_session() -> Any:
    """The session that the catalogue is asked with; no login goes to it."""
    import asf_search

    return asf_search.ASFSession()


def _granule(product: Any, collection: str) -> Granule | None:
    """One product; None where its name is not one of the collection's, such as a calibration's."""
    urls = tuple(url for url in product.find_urls(extension=".tif") if url.startswith(("https://", "http://")))
    pattern = STATIC_NAME if collection == STATIC else NAME
    match = pattern.fullmatch(_name(urls[0])) if urls else None
    if match is None:
        log.warning("ASF lists %s, which is no %s with GeoTIFFs: left out", product.properties["sceneName"], collection)
        return None
    acquired = None
    if collection != STATIC:
        acquired = dt.datetime.strptime(match["acquired"], "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC)
    sizes = {name: int(entry["bytes"]) for name, entry in product.properties["bytes"].items()}
    return Granule(match["burst"], acquired, match["processed"], urls, sizes)


def within_days(granules: Iterable[Granule], request: Request) -> list[Granule]:
    """Those whose solar day at the place's middle is one of the request's: passes are near 6 and 18 h of it."""
    west, _, east, _ = request.place.bounds
    ahead = dt.timedelta(hours=(west + east) / 2 / DEGREES_AN_HOUR)
    return [
        each
        for each in granules
        if each.acquired is not None and request.first <= (each.acquired + ahead).date() <= request.last
    ]


def newest(granules: Iterable[Granule]) -> list[Granule]:
    """Of each burst and pass the newest processing, in the order of burst and time."""
    kept: list[Granule] = []
    for each in sorted(granules, key=lambda item: (item.burst, item.acquired or _NEVER, item.processed)):
        last = kept[-1] if kept else None
        if last is not None and last.burst == each.burst and _is_same_look(last, each):
            kept[-1] = max(last, each, key=lambda item: item.processed)
        else:
            kept.append(each)
    return kept


_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


def _is_same_look(first: Granule, second: Granule) -> bool:
    if first.acquired is None or second.acquired is None:
        return True
    return second.acquired - first.acquired <= SAME_LOOK


def _placed(remotes: Iterable[tuple[str, str, int | None]], request: Request) -> Iterator[tuple[str, str, int | None]]:
    for folder, url, size in remotes:
        yield folder or request.folder, url, size


def _name(url: str) -> str:
    return Path(url.partition("?")[0]).name


def _told(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
