"""Sentinel-1 ground range of Earth Engine (COPERNICUS/S1_GRD), as the paper takes it: a file a scene."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np

from mlssm.config.backscatter import BackscatterConfig
from mlssm.config.base import Strict
from mlssm.config.earth_engine import EarthEngineBackscatter
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.earth_engine.pixels import INDEX, TIME, around, listed, read_image, requests_of, when, write_missing
from mlssm.origins.earth_engine.session import Session
from mlssm.origins.stac.catalogue import solar_day
from mlssm.origins.written import provenance, write_geotiff

log = logging.getLogger(__name__)

COLLECTION = "COPERNICUS/S1_GRD"
LICENCE = "Copernicus Sentinel data, free and open (https://scihub.copernicus.eu/twiki/do/view/SciHubWebPortal/TermsConditions)"
ANGLE = "angle"
NATIVE_M, BYTES = 10.0, 4
MOST_PIXELS = 1024  # of 10 m that one of the grid is the mean of
PATTERN = r"(?P<platform>S1[A-D])_(?P<date>\d{8}T\d{6})_(?P<orbit>\d{3})_(?P<pass>ascending|descending)\.tif"
PROPERTIES = (INDEX, TIME, "relativeOrbitNumber_start", "orbitProperties_pass", "GRD_Post_Processing_start")
NOT_FLATTENED = (
    "sigma0 in dB, placed by a terrain model but not flattened by it: slopes that face the satellite stay bright; "
    "where there are hills, datamodule=opera or stac (RTC, gamma0) is the better source"
)


@dataclass(frozen=True)
class Scene:
    """A scene of the collection.

    Attributes:
        index: Its identifier, which is the product's name.
        time: When it was acquired, UTC.
        orbit: Relative orbit.
        direction: ascending or descending.
        processed: When it was processed, ms; 0 where that is not stated.
    """

    index: str
    time: datetime
    orbit: int
    direction: str
    processed: float

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.index[:3]}_{self.time:%Y%m%dT%H%M%S}_{self.orbit:03d}_{self.direction}.tif"


class EarthEngineBackscatterFetcher:
    """Fills the folder of backscatter."""

    def __init__(self, settings: EarthEngineBackscatter, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings, self._downloads = settings, downloads
        self._session = Session(settings, downloads.config)
        self._bands = (*settings.polarisations, ANGLE)

    def plan(self, request: Request) -> Plan:
        """Find the scenes; see `mlssm.origins.contract.Fetcher`. It needs a login.

        Raises:
            DataError: There is none.
        """
        self._session.sign_in()
        scenes = self._scenes(request)
        grid = request.grid
        size = grid.height * grid.width * BYTES * len(self._bands)
        wanted = tuple(
            Wanted(f"{request.folder}/{scene.name}", f"earthengine:{COLLECTION}/{scene.index}", size, LICENCE)
            for scene in scenes
        )
        orbits = ", ".join(map(str, sorted({scene.orbit for scene in scenes})))
        notes = (
            f"{len(scenes)} scenes of relative orbit {orbits}, {scenes[0].time:%Y-%m-%d} to {scenes[-1].time:%Y-%m-%d}",
            NOT_FLATTENED,
            "bytes are those of all pixels of the grid, uncompressed",
        )
        requests = 2 + len(scenes) * requests_of(grid, self.settings.tile, len(self._bands))
        return Plan("backscatter", f"Earth Engine, {COLLECTION}", wanted, requests, notes)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Read each scene; see `mlssm.origins.contract.Fetcher`."""
        self._session.sign_in()
        write_missing(request, plan.wanted, self._downloads, lambda item: self._write(item, request))
        files = provenance(request.root, plan.wanted)
        if not files:
            raise DataError(f"no scene of {COLLECTION} has values on area {request.place.bounds}")
        numbers = {polarisation: number for number, polarisation in enumerate(self.settings.polarisations, 1)}
        section = BackscatterConfig(
            folder=request.folder, pattern=PATTERN, units="dB", bands=numbers, incidence_band=len(self._bands)
        )
        return Fetched(section, files)

    def _scenes(self, request: Request) -> list[Scene]:
        """The scenes of the place and dates, by time, each in its newest processing."""
        rows = listed(self._session, scenes_of(request, self.settings.polarisations), PROPERTIES, 1, COLLECTION)
        found = sorted(map(_scene, rows), key=lambda scene: (scene.time, scene.processed, scene.index))
        orbits = self.settings.orbits
        kept = [
            scene
            for scene in found
            if request.first <= solar_day(scene.time, request) <= request.last
            and (orbits is None or scene.orbit in orbits)
        ]
        if not kept:
            raise DataError(
                f"{COLLECTION} has no IW scene with {' and '.join(self.settings.polarisations)} for area "
                f"{request.place.bounds} and {request.first}/{request.last} (relative orbits: {orbits or 'all'})"
            )
        newest = {scene.name: scene for scene in kept}
        if len(newest) < len(kept):
            log.info("%d scenes are there in an older processing, too: the newest is taken", len(kept) - len(newest))
        return list(newest.values())

    def _write(self, item: Wanted, request: Request) -> None:
        asset = item.address.removeprefix("earthengine:")
        image = scene_image(asset, self.settings.polarisations, request.grid)
        values = read_image(self._session, image, request.grid, self._bands, asset)
        if not np.isfinite(values[: len(self.settings.polarisations)]).any():
            log.info("%s has nothing on the area: no file", asset)
            return
        write_geotiff(request.root / item.name, values, request.grid, float("nan"), description=self._bands)


def fetcher(settings: Strict, downloads: Downloads) -> EarthEngineBackscatterFetcher:
    """What fetches backscatter from Earth Engine."""
    return EarthEngineBackscatterFetcher(cast(EarthEngineBackscatter, settings), downloads)


def scenes_of(request: Request, polarisations: Sequence[str]) -> Any:
    """The `ee.ImageCollection` of the scenes in question: IW, with all of some polarisations."""
    import ee

    scenes = around(ee.ImageCollection(COLLECTION), request).filter(ee.Filter.eq("instrumentMode", "IW"))
    for polarisation in polarisations:
        scenes = scenes.filter(ee.Filter.listContains("transmitterReceiverPolarisation", polarisation))
    return scenes


def scene_image(asset: str, polarisations: Sequence[str], grid: Grid) -> Any:
    """The `ee.Image` of a scene: decibels, and the incidence angle (degrees, of the ellipsoid).

    On a grid that is coarser than 10 m, each pixel is the mean in linear power of those in it: Earth Engine's own
    overviews are means of decibels, which speckle draws down.
    """
    import ee

    image = ee.Image(asset)
    stored = image.select(list(polarisations))
    if grid.pixel > NATIVE_M:
        power = stored.multiply(math.log(10) / 10).exp()
        mean = power.reduceResolution(ee.Reducer.mean(), maxPixels=MOST_PIXELS)
        stored = mean.log10().multiply(10).rename(list(polarisations))
    return stored.addBands(image.select(ANGLE).resample("bilinear"))


def _scene(row: Sequence[Any]) -> Scene:
    index, time, orbit, direction, processed = (*row, None)[:5]
    if index[:3] not in ("S1A", "S1B", "S1C", "S1D"):
        raise DataError(f"{COLLECTION} lists {index}, which is no scene of Sentinel-1")
    return Scene(str(index), when(time), int(orbit), str(direction).lower(), float(processed or 0))
