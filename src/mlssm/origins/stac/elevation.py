"""A digital elevation model of a STAC API: a file a tile, cut for the area and a margin."""

from __future__ import annotations

import logging
from typing import cast

import numpy as np

from mlssm.config.base import Strict
from mlssm.config.origins import StacElevation
from mlssm.config.sources import ElevationSource
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.expected import covered_bytes
from mlssm.origins.stac.catalogue import Catalogue, asset
from mlssm.origins.stac.windows import Windows
from mlssm.origins.written import provenance, write_geotiff

log = logging.getLogger(__name__)

MARGIN_M = 1000.0  # around the area: slopes, and stations beside it
NATIVE_M, BYTES = 30.0, 4


class StacElevationFetcher:
    """Fills the folder of elevation."""

    def __init__(self, settings: StacElevation, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings = settings
        self.catalogue = Catalogue(settings, downloads)
        self.windows = Windows(self.catalogue, downloads)

    def plan(self, request: Request) -> Plan:
        """Find the tiles; see `mlssm.origins.contract.Fetcher`."""
        licence, wanted = self.catalogue.licence(), []
        for item in self.catalogue.items(request, dated=False):
            address = asset(item, self.settings.asset)
            if address is None:
                raise DataError(f"item {item.id} has no asset '{self.settings.asset}', it has {', '.join(item.assets)}")
            size = covered_bytes(item.bounds, request, NATIVE_M, BYTES)
            wanted.append(Wanted(f"{request.folder}/{item.id}.tif", address, size, licence))
        service = f"STAC {self.settings.api}, {self.settings.collection}"
        return Plan("dem", service, tuple(wanted), 2 + 3 * len(wanted))

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Cut each tile's window; see `mlssm.origins.contract.Fetcher`."""
        grid = wider(request.grid, MARGIN_M)
        self.windows.write(request, plan.wanted, lambda item: self._write(item, request, grid))
        return Fetched(ElevationSource(folder=request.folder), provenance(request.root, plan.wanted))

    def _write(self, item: Wanted, request: Request, grid: Grid) -> None:
        cut = self.windows.read(item.address, grid)
        if cut is None or not np.isfinite(cut.values).any():
            log.info("%s has nothing on the area: no file", item.address)
            return
        write_geotiff(
            request.root / item.name, cut.values, grid.crop(cut.window), float("nan"), description="elevation"
        )


def wider(grid: Grid, margin_m: float) -> Grid:
    """A grid with so many metres more on each side, its pixels where they were."""
    pixels = round(margin_m / grid.pixel)
    west, north = grid.origin
    corner = (west - pixels * grid.pixel, north + pixels * grid.pixel)
    return Grid(grid.crs, corner, grid.pixel, grid.height + 2 * pixels, grid.width + 2 * pixels)


def fetcher(settings: Strict, downloads: Downloads) -> StacElevationFetcher:
    """What fetches elevation from a STAC API."""
    return StacElevationFetcher(cast(StacElevation, settings), downloads)
