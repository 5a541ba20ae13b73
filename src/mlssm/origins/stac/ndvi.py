"""NDVI from Sentinel-2 L2A of a STAC API: a file a day, cloud-masked, int16."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mlssm.config.base import Strict
from mlssm.config.origins import StacNdvi
from mlssm.config.sources import NdviSource
from mlssm.errors import DataError
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.expected import covered_bytes
from mlssm.origins.stac.catalogue import Catalogue, Item, asset, only_newest
from mlssm.origins.stac.windows import Windows
from mlssm.origins.written import provenance, write_geotiff

log = logging.getLogger(__name__)

# scene classes (Sen2Cor): no data, saturated, cast shadow, cloud shadow, cloud (medium, high), cirrus, snow
MASKED = (0, 1, 2, 3, 8, 9, 10, 11)
SCALE, MISSING = 0.0001, -32768
OFFSET = -1000.0  # of digital numbers from processing baseline 04.00 on (ESA, 25 January 2022)
OFFSET_FROM = 400
BASELINE_IN_NAME = re.compile(r"_N(\d{2})(\d{2})_")
NATIVE_M, BYTES = 10.0, 5  # two bands of 16 bits, and classes at 20 m
LEAST = 1.0  # digital numbers; less is darker than any ground, and its ratio is noise


class StacNdviFetcher:
    """Fills the folder of NDVI."""

    def __init__(self, settings: StacNdvi, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings = settings
        self.catalogue = Catalogue(settings, downloads)
        self.windows = Windows(self.catalogue, downloads)

    def plan(self, request: Request) -> Plan:
        """Choose the scenes; see `mlssm.origins.contract.Fetcher`."""
        days, licence, wanted = self._days(request), self.catalogue.licence(), []
        for day, items in sorted(days.items()):
            size = sum(covered_bytes(item.bounds, request, NATIVE_M, BYTES) for item in items)
            addresses = " ".join(self._assets(item)[0] for item in items)
            wanted.append(Wanted(f"{request.folder}/ndvi_{day:%Y%m%d}.tif", addresses, size, licence))
        scenes = sum(map(len, days.values()))
        notes = (
            f"{scenes} scenes with at most {self.settings.most_cloud:g} % cloud on {len(days)} days",
            "bytes are estimated from the windows' pixels; files are compressed",
        )
        service = f"STAC {self.settings.api}, {self.settings.collection}"
        return Plan("ndvi", service, tuple(wanted), 2 + 9 * scenes, notes)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Compute each day's NDVI; see `mlssm.origins.contract.Fetcher`."""
        days = {f"{request.folder}/ndvi_{day:%Y%m%d}.tif": items for day, items in self._days(request).items()}
        self.windows.write(request, plan.wanted, lambda item: self._write(item, days[item.name], request))
        files = provenance(request.root, plan.wanted)
        if not files:
            raise DataError(f"no scene of {self.settings.collection} has clear ground on area {request.place.bounds}")
        return Fetched(NdviSource(folder=request.folder), files)

    def _days(self, request: Request) -> dict[dt.date, list[Item]]:
        """The items of each day: of each tile the clearest one of so many days."""
        return clearest_days(self.catalogue.items(request), request, self.settings.most_cloud, self.settings.every_days)

    def _assets(self, item: Item) -> tuple[str, str, str]:
        names = (self.settings.red, self.settings.nir, self.settings.classes)
        found = [asset(item, name) for name in names]
        if None in found:
            raise DataError(
                f"item {item.id} has no asset '{names[found.index(None)]}', it has {', '.join(item.assets)}; set "
                "datamodule.origin.ndvi.red, nir and classes"
            )
        return cast(tuple[str, str, str], tuple(found))

    def _write(self, wanted: Wanted, items: Sequence[Item], request: Request) -> None:
        grid = request.grid
        total = np.full(grid.shape, np.nan, np.float32)
        for item in items:
            part = self._ndvi(item, request)
            if part is not None:
                values, place = part
                total[place] = np.where(np.isfinite(values), values, total[place])
        if not np.isfinite(total).any():
            log.info("%s has no clear ground on the area: no file", wanted.name)
            return
        write_geotiff(request.root / wanted.name, packed(total), grid, MISSING, SCALE, "NDVI")

    def _ndvi(self, item: Item, request: Request) -> tuple[npt.NDArray[np.float32], tuple[slice, slice]] | None:
        red, nir, classes = self._assets(item)
        scene = self.windows.read(classes, request.grid, nearest=True)
        if scene is None or not clear_ground(scene.values).any():
            return None
        first, second = (self.windows.read(url, request.grid) for url in (red, nir))
        windows = {cut.window for cut in (scene, first, second) if cut is not None}
        if first is None or second is None or len(windows) > 1:
            raise DataError(f"the bands of {item.id} do not lie on each other")
        offset = reflectance_offset(item)
        values = ndvi(first.values + offset, second.values + offset)
        return np.where(clear_ground(scene.values), values, np.nan).astype(np.float32), scene.window.slices


def fetcher(settings: Strict, downloads: Downloads) -> StacNdviFetcher:
    """What fetches NDVI from a STAC API."""
    return StacNdviFetcher(cast(StacNdvi, settings), downloads)


def ndvi(red: npt.NDArray[np.float32], nir: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(nir - red) / (nir + red), -1..1; NaN where either is not above zero."""
    lit = (red >= LEAST) & (nir >= LEAST)
    total = np.where(lit, nir + red, 1)
    return np.where(lit, (nir - red) / total, np.nan).astype(np.float32)


def clear_ground(classes: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Where scene classes show ground, vegetation or water, and no cloud, shadow, snow or fault."""
    return np.isfinite(classes) & ~np.isin(classes, MASKED)


def packed(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """NDVI in ten-thousandths; missing is -32768."""
    return np.where(np.isfinite(values), np.rint(np.nan_to_num(values) / SCALE), MISSING).astype(np.int16)


def reflectance_offset(item: Item) -> float:
    """What is added to digital numbers: -1000 from baseline 04.00 on, where the provider has not added it already.

    Raises:
        DataError: Nothing tells the baseline.
    """
    if item.properties.get("earthsearch:boa_offset_applied") is True:
        return 0.0
    stated = item.properties.get("s2:processing_baseline", item.properties.get("processing:version"))
    named = BASELINE_IN_NAME.search(f"{item.id}_{item.properties.get('s2:product_uri', '')}_")
    if named is None and not re.fullmatch(r"N?\d\d\.?\d\d", str(stated)):
        raise DataError(
            f"item {item.id} says not its processing baseline: whether 1000 is to be taken from its numbers is unknown"
        )
    digits = re.sub(r"\D", "", str(stated)) if named is None else named[1] + named[2]
    return OFFSET if int(digits) >= OFFSET_FROM else 0.0


def clearest_days(
    items: Sequence[Item], request: Request, most_cloud: float, every_days: int | None
) -> dict[dt.date, list[Item]]:
    """The items of each day: of each tile the clearest one of so many days.

    Raises:
        DataError: All have too much cloud.
    """
    newest = only_newest(items, lambda item: (item.time.date(), tile(item)))
    clear = [item for item in newest if cloud(item) <= most_cloud]
    if not clear:
        raise DataError(
            f"all {len(newest)} scenes have more than {most_cloud:g} % cloud; raise datamodule.origin.ndvi.most_cloud"
        )
    best: dict[Any, Item] = {}
    for item in clear:
        key = ((item.time.date() - request.first).days // (every_days or 1), tile(item))
        if key not in best or unclear(item) < unclear(best[key]):
            best[key] = item
    days: dict[dt.date, list[Item]] = defaultdict(list)
    for item in best.values():
        days[item.time.date()].append(item)
    return dict(days)


def tile(item: Item) -> str:
    """The tile of an item."""
    return str(item.properties.get("s2:mgrs_tile") or item.properties.get("grid:code") or item.bounds)


def cloud(item: Item) -> float:
    """Percent of cloud, 0 where the item does not say."""
    return float(item.properties.get("eo:cloud_cover") or 0.0)


def unclear(item: Item) -> float:
    """Percent of a tile that shows no ground."""
    return cloud(item) + float(item.properties.get("s2:nodata_pixel_percentage") or 0.0)
