"""The items of a STAC API for a place and dates, asked for patiently and kept beside the files."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlssm.config.origins import StacService
from mlssm.errors import DataError
from mlssm.origins.addresses import bare_address
from mlssm.origins.contract import Request
from mlssm.origins.download import Downloads, Sign
from mlssm.origins.services import needs
from mlssm.origins.stac.signing import signer

log = logging.getLogger(__name__)

ITEMS = "items.json"  # a GeoJSON FeatureCollection of STAC items, and the query that found them
PAGE = 200
CREDENTIAL = "set origin...sign=planetary_computer for its signed links, or a token where the API wants one"


@dataclass(frozen=True)
class Item:
    """A STAC item.

    Attributes:
        id: Its name.
        time: When it was acquired, UTC.
        properties: What it says of itself.
        assets: Address of each asset, without signature.
        bounds: West, south, east, north, degrees; empty where it does not say.
    """

    id: str
    time: dt.datetime
    properties: Mapping[str, Any]
    assets: Mapping[str, str]
    bounds: tuple[float, ...]


class Catalogue:
    """A collection of a STAC API."""

    def __init__(self, service: StacService, downloads: Downloads) -> None:
        """Take the service, and what asks it."""
        self.service, self.downloads = service, downloads
        self.sign: Sign | None = signer(service.sign, service.collection, downloads)

    def items(self, request: Request, dated: bool = True) -> list[Item]:
        """The items over a place; those of the last search are taken, where it asked for the same.

        Args:
            request: Place and dates.
            dated: Whether the dates count.

        Raises:
            DataError: The API cannot be reached, has no such collection, or nothing there.
        """
        query = self._query(request, dated)
        kept = request.root / request.folder / ITEMS
        features = _kept(kept, query)
        if features is None:
            features = self._search(query)
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_name(f".{ITEMS}.partial")
            document = {"type": "FeatureCollection", "query": query, "features": [_unsigned(item) for item in features]}
            partial.write_text(json.dumps(document), encoding="utf-8")
            partial.replace(kept)
        found = sorted(map(_item, features), key=lambda item: (item.time, item.id))
        if dated:
            found = [item for item in found if request.first <= solar_day(item.time, request) <= request.last]
        if not found:
            raise DataError(
                f"{self.service.api} has nothing of {self.service.collection} for area {request.place.bounds} and "
                f"{request.first}/{request.last}; look for the dates and the collection"
            )
        return found

    def licence(self) -> str:
        """Under which the collection may be used: as set, or as the API says."""
        if self.service.licence is not None:
            return self.service.licence
        collection = self.downloads.json(f"{self.service.api}/collections/{self.service.collection}")
        links = [link.get("href") for link in collection.get("links", ()) if link.get("rel") == "license"]
        return " ".join(str(part) for part in (collection.get("license", "not stated"), *links[:1]))

    def _query(self, request: Request, dated: bool) -> dict[str, Any]:
        query: dict[str, Any] = {"collections": [self.service.collection], "bbox": list(request.place.bounds)}
        query["api"] = self.service.api
        if dated:
            # a day more at both ends: days are local, and the catalogue's are UTC
            first, last = request.first - dt.timedelta(days=1), request.last + dt.timedelta(days=1)
            query["datetime"] = f"{first}T00:00:00Z/{last}T23:59:59Z"
        return query

    def _search(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            from pystac_client import Client
            from pystac_client.exceptions import APIError
        except ImportError as error:
            raise needs("stac", error) from None
        from mlssm.origins.stac.patient_io import PatientIO

        try:
            client = Client.open(self.service.api, stac_io=PatientIO(self.downloads))
            search = client.search(
                collections=query["collections"], bbox=query["bbox"], datetime=query.get("datetime"), limit=PAGE
            )
            return list(search.items_as_dicts())
        except (APIError, NotImplementedError, KeyError, ValueError) as error:
            raise DataError(f"{self.service.api} is no STAC API that can be searched ({error})") from error


def _kept(path: Path, query: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return list(document["features"]) if document.get("query") == query else None


def _unsigned(feature: dict[str, Any]) -> dict[str, Any]:
    assets = {
        name: {**asset, "href": bare_address(str(asset["href"]))} for name, asset in feature.get("assets", {}).items()
    }
    return {**feature, "assets": assets, "links": []}


def _item(feature: Mapping[str, Any]) -> Item:
    properties = feature.get("properties") or {}
    stamp = properties.get("datetime") or properties.get("start_datetime")
    if stamp is None:
        raise DataError(f"item {feature.get('id')} says not when it was acquired")
    time = dt.datetime.fromisoformat(str(stamp).replace("Z", "+00:00"))
    time = (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    assets = {name: bare_address(str(asset["href"])) for name, asset in (feature.get("assets") or {}).items()}
    return Item(str(feature["id"]), time, properties, assets, tuple(feature.get("bbox") or ()))


def solar_day(time: dt.datetime, request: Request) -> dt.date:
    """The day at a place, by the sun."""
    west, _, east, _ = request.place.bounds
    return (time + dt.timedelta(hours=(west + east) / 2 / 15)).date()


def asset(item: Item, name: str) -> str | None:
    """The address of an asset, whatever the case of its name; None where the item has none."""
    return next((href for key, href in item.assets.items() if key.lower() == name.lower()), None)


def only_newest(items: Sequence[Item], key: Any) -> list[Item]:
    """Of items that are one scene processed more than once, the newest."""
    newest: dict[Any, Item] = {}
    for item in items:
        other = newest.get(key(item))
        if other is not None:
            log.info("%s and %s are one scene: the one made later is taken", other.id, item.id)
        if other is None or _made(item) >= _made(other):
            newest[key(item)] = item
    return list(newest.values())


def _made(item: Item) -> tuple[str, str]:
    return str(item.properties.get("created") or item.properties.get("updated") or ""), item.id
