"""A digital elevation model of Earth Engine: one file for the area and a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mlssm.config.base import Strict
from mlssm.config.earth_engine import EarthEngineElevation
from mlssm.config.sources import ElevationSource
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.earth_engine.pixels import read_image, requests_of, write_missing
from mlssm.origins.earth_engine.session import Session
from mlssm.origins.stac.elevation import MARGIN_M, wider
from mlssm.origins.written import provenance, write_geotiff

BYTES = 4


@dataclass(frozen=True)
class Model:
    """An elevation model.

    Attributes:
        asset: Its identifier.
        band: Of the elevation.
        tiled: Whether it is a collection of tiles.
        licence: Under which it may be used.
    """

    asset: str
    band: str
    tiled: bool
    licence: str


MODELS = {
    "copernicus": Model(
        "COPERNICUS/DEM/GLO30",
        "DEM",
        True,
        "Copernicus DEM GLO-30, (c) DLR e.V. 2010-2014 and (c) Airbus Defence and Space GmbH 2014-2018, provided under "
        "COPERNICUS by the European Union and ESA; all rights reserved",
    ),
    "nasadem": Model("NASA/NASADEM_HGT/001", "elevation", False, "NASADEM of NASA/JPL, public domain"),
}


class EarthEngineElevationFetcher:
    """Fills the folder of elevation."""

    def __init__(self, settings: EarthEngineElevation, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.model = MODELS[settings.model]
        self._name = f"{settings.model}.tif"
        self._tile, self._downloads = settings.tile, downloads
        self._session = Session(settings, downloads.config)

    def plan(self, request: Request) -> Plan:
        """The one file; see `mlssm.origins.contract.Fetcher`. It asks nothing, and needs no login yet."""
        grid = wider(request.grid, MARGIN_M)
        name, address = f"{request.folder}/{self._name}", f"earthengine:{self.model.asset}"
        wanted = Wanted(name, address, grid.height * grid.width * BYTES, self.model.licence)
        requests = 1 + requests_of(grid, self._tile, 1)
        return Plan("dem", f"Earth Engine, {self.model.asset}", (wanted,), requests)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Read it; see `mlssm.origins.contract.Fetcher`."""
        self._session.sign_in()
        write_missing(request, plan.wanted, self._downloads, lambda item: self._write(item, request))
        return Fetched(ElevationSource(folder=request.folder), provenance(request.root, plan.wanted))

    def _write(self, item: Wanted, request: Request) -> None:
        grid = wider(request.grid, MARGIN_M)
        values = read_image(self._session, elevation_image(self.model, grid), grid, (self.model.band,), item.address)
        if not np.isfinite(values).any():
            raise DataError(f"{self.model.asset} has no elevation on area {request.place.bounds}; take another model")
        write_geotiff(request.root / item.name, values[0], grid, float("nan"), description="elevation")


def fetcher(settings: Strict, downloads: Downloads) -> EarthEngineElevationFetcher:
    """What fetches elevation from Earth Engine."""
    return EarthEngineElevationFetcher(cast(EarthEngineElevation, settings), downloads)


def elevation_image(model: Model, grid: Grid) -> Any:
    """The `ee.Image` of elevation, metres, interpolated bilinearly within each tile."""
    import ee

    if not model.tiled:
        return ee.Image(model.asset).select(model.band).resample("bilinear")
    box = ee.Geometry.BBox(*grid.geographic_bounds())
    tiles = ee.ImageCollection(model.asset).filterBounds(box).select(model.band)
    return tiles.map(lambda tile: tile.resample("bilinear")).mosaic()
