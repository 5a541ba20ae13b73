"""NDVI from Sentinel-2 L2A of Earth Engine (COPERNICUS/S2_SR_HARMONIZED): a file a day, cloud-masked, int16."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from mlssm.config.base import Strict
from mlssm.config.earth_engine import EarthEngineNdvi
from mlssm.config.sources import NdviSource
from mlssm.errors import DataError
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.earth_engine.pixels import INDEX, TIME, around, listed, read_image, requests_of, when, write_missing
from mlssm.origins.earth_engine.session import Session
from mlssm.origins.stac.catalogue import Item, solar_day
from mlssm.origins.stac.ndvi import MASKED, MISSING, SCALE, clearest_days, packed
from mlssm.origins.written import provenance, write_geotiff

log = logging.getLogger(__name__)

COLLECTION = "COPERNICUS/S2_SR_HARMONIZED"  # from baseline 04.00 on, its offset of 1000 is taken away
PROBABILITY = "COPERNICUS/S2_CLOUD_PROBABILITY"
LICENCE = "Copernicus Sentinel data, free and open"
RED, NIR, CLASSES, NDVI = "B4", "B8", "SCL", "ndvi"
CLEAR = tuple(each for each in range(12) if each not in MASKED)
# where a probability tells cloud, the classes of cloud and cirrus do not; shadow, snow and faults they still tell
GROUND_OR_CLOUD = (*CLEAR, 8, 9, 10)
PROPERTIES = (INDEX, TIME, "CLOUDY_PIXEL_PERCENTAGE", "MGRS_TILE", "NODATA_PIXEL_PERCENTAGE")
BYTES = 4


class EarthEngineNdviFetcher:
    """Fills the folder of NDVI."""

    def __init__(self, settings: EarthEngineNdvi, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings, self._downloads = settings, downloads
        self._session = Session(settings, downloads.config)

    def plan(self, request: Request) -> Plan:
        """Choose the scenes; see `mlssm.origins.contract.Fetcher`. It needs a login."""
        self._session.sign_in()
        days, grid = self._days(request), request.grid
        wanted = tuple(
            Wanted(
                f"{request.folder}/ndvi_{day:%Y%m%d}.tif",
                " ".join(f"earthengine:{COLLECTION}/{item.id}" for item in items),
                grid.height * grid.width * BYTES,
                LICENCE,
            )
            for day, items in sorted(days.items())
        )
        scenes = sum(map(len, days.values()))
        note = f"{scenes} scenes with at most {self.settings.most_cloud:g} % cloud on {len(days)} days"
        requests = 2 + len(days) * requests_of(grid, self.settings.tile, 1)
        return Plan("ndvi", f"Earth Engine, {COLLECTION}", wanted, requests, (note,))

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Read each day's NDVI; see `mlssm.origins.contract.Fetcher`."""
        self._session.sign_in()
        write_missing(request, plan.wanted, self._downloads, lambda item: self._write(item, request))
        files = provenance(request.root, plan.wanted)
        if not files:
            raise DataError(f"no scene of {COLLECTION} has clear ground on area {request.place.bounds}")
        return Fetched(NdviSource(folder=request.folder), files)

    def _days(self, request: Request) -> dict[dt.date, list[Item]]:
        import ee

        rows = listed(self._session, around(ee.ImageCollection(COLLECTION), request), PROPERTIES, 1, COLLECTION)
        found = sorted(map(_item, rows), key=lambda item: (item.time, item.id))
        items = [item for item in found if request.first <= solar_day(item.time, request) <= request.last]
        if not items:
            raise DataError(f"{COLLECTION} has nothing for area {request.place.bounds}, {request.first}/{request.last}")
        return clearest_days(items, request, self.settings.most_cloud, self.settings.every_days)

    def _write(self, item: Wanted, request: Request) -> None:
        assets = item.address.replace("earthengine:", "").split()
        values = read_image(self._session, ndvi_image(assets, self.settings), request.grid, (NDVI,), item.name)[0]
        if not np.isfinite(values).any():
            log.info("%s has no clear ground on the area: no file", item.name)
            return
        if (strange := values[np.abs(np.nan_to_num(values)) > 1]).size:
            raise DataError(f"{item.name}: Earth Engine answers with an NDVI of {strange[0]:g}, outside -1..1")
        write_geotiff(request.root / item.name, packed(values), request.grid, MISSING, SCALE, "NDVI")


def fetcher(settings: Strict, downloads: Downloads) -> EarthEngineNdviFetcher:
    """What fetches NDVI from Earth Engine."""
    return EarthEngineNdviFetcher(cast(EarthEngineNdvi, settings), downloads)


def ndvi_image(assets: Sequence[str], settings: EarthEngineNdvi) -> Any:
    """The `ee.Image` of a day's NDVI: clear ground of its scenes; masked where a band is below 0, too.

    Bands and classes are those of Earth Engine's overview next below the grid's pixel: means of reflectance, and the
    most frequent class.
    """
    import ee

    def clear_ndvi(image: Any) -> Any:
        clear = _is_one_of(image.select(CLASSES), CLEAR if settings.clouds == "scl" else GROUND_OR_CLOUD)
        if settings.clouds == "probability":
            clear = clear.And(image.select("probability").lte(settings.most_probable))
        return image.normalizedDifference([NIR, RED]).rename(NDVI).updateMask(clear)

    names = [asset.rpartition("/")[2] for asset in assets]
    scenes = _of_days(COLLECTION, names).filter(ee.Filter.inList(INDEX, names))
    if settings.clouds == "probability":
        # of a scene without a probability the band is masked, and so all of it
        scenes = scenes.linkCollection(_of_days(PROBABILITY, names), ["probability"])
    return scenes.map(clear_ndvi).mosaic()


def _of_days(collection: str, names: Sequence[str]) -> Any:
    """The images of a collection on the days that scenes' names begin with."""
    import ee

    days = sorted(dt.datetime.strptime(name[:8], "%Y%m%d") for name in names)
    return ee.ImageCollection(collection).filterDate(str(days[0].date()), str((days[-1] + dt.timedelta(days=1)).date()))


def _is_one_of(classes: Any, kept: Sequence[int]) -> Any:
    return classes.remap(list(kept), [1] * len(kept), 0)


def _item(row: Sequence[Any]) -> Item:
    index, time, cloud, tile, nodata = (*row, None)[:5]
    stated = {"eo:cloud_cover": cloud, "s2:mgrs_tile": tile, "s2:nodata_pixel_percentage": nodata}
    return Item(str(index), when(time), stated, {}, ())
