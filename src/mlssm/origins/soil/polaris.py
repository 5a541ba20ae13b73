"""POLARIS: clay and sand by tiles of one degree, of which the area's windows are read; texture classes of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import cast

import numpy as np

from mlssm.config.base import Strict
from mlssm.config.soil_services import PolarisSoil
from mlssm.config.sources import SoilSource
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.answers import Missing
from mlssm.origins.cog import Cut, read_cog
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.soil.texture import CLASSES, NONE, texture_codes
from mlssm.origins.written import provenance, write_geotiff
from mlssm.progress import transfer

log = logging.getLogger(__name__)

# its files state none
LICENCE = "not stated; ask the authors of POLARIS (Chaney et al. 2019, https://doi.org/10.1029/2018WR022797)"
NATIVE_M, BYTES = 30.0, 4
LARGEST = 100.5  # percent, and what rounding adds


class PolarisFetcher:
    """Fills the folder of soil."""

    def __init__(self, settings: PolarisSoil, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings, self._downloads = settings, downloads

    def plan(self, request: Request) -> Plan:
        """The tiles; see `mlssm.origins.contract.Fetcher`. It asks nothing."""
        names = list(tile_names(request.grid))
        pixels = request.grid.height * request.grid.width * (request.grid.pixel / NATIVE_M) ** 2
        size = math.ceil(pixels * BYTES * 2 / len(names))
        wanted = tuple(
            Wanted(f"{request.folder}/polaris_{name}.tif", " ".join(self._addresses(name)), size, LICENCE)
            for name in names
        )
        notes = (f"texture of {self.settings.depth} cm by clay and sand; its files state no licence",)
        return Plan("soil", "POLARIS", wanted, 6 * len(wanted), notes)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Read each tile's window; see `mlssm.origins.contract.Fetcher`.

        Raises:
            DataError: There is no tile, or a value is no percentage.
        """
        missing = [item for item in plan.wanted if not (request.root / item.name).is_file()]
        with transfer(request.folder, len(missing)) as shown:
            self._downloads.each(lambda item: self._write(item, request), missing, shown)
        files = provenance(request.root, plan.wanted)
        if not files:
            raise DataError(
                f"POLARIS has nothing on area {request.place.bounds}: it is of the contiguous United States; use "
                "datamodule.origin.soil.service=soilgrids elsewhere"
            )
        return Fetched(SoilSource(folder=request.folder, classes=CLASSES), files)

    def _addresses(self, name: str) -> tuple[str, str]:
        clay, sand = (f"{self.settings.api}/{part}/mean/{self.settings.depth}/{name}.tif" for part in ("clay", "sand"))
        return clay, sand

    def _write(self, item: Wanted, request: Request) -> None:
        clay, sand = (self._cut(url, request.grid) for url in item.address.split())
        if clay is None or sand is None:
            log.info("POLARIS has no tile %s on the area: no file", item.name)
            return
        if clay.window != sand.window:
            raise DataError(f"clay and sand of {item.name} do not lie on each other")
        codes = texture_codes(clay.values, sand.values)
        if codes.any():
            grid = request.grid.crop(clay.window)
            write_geotiff(request.root / item.name, codes, grid, NONE, description="texture")

    def _cut(self, url: str, grid: Grid) -> Cut | None:
        try:
            cut = read_cog(self._downloads, url, grid)
        except Missing:
            return None
        if cut is None or not np.isfinite(cut.values).any():
            return None
        low, high = float(np.nanmin(cut.values)), float(np.nanmax(cut.values))
        if low < 0 or high > LARGEST:
            raise DataError(f"{url} holds {low:g} to {high:g}, which are no percent")
        return cut


def fetcher(settings: Strict, downloads: Downloads) -> PolarisFetcher:
    """What fetches soil from POLARIS."""
    return PolarisFetcher(cast(PolarisSoil, settings), downloads)


def tile_names(grid: Grid) -> Iterator[str]:
    """The names of the tiles of one degree that a grid lies on, e.g. lat3839_lon-77-76."""
    west, south, east, north = grid.geographic_bounds()
    for lat in range(math.floor(south), math.ceil(north)):
        for lon in range(math.floor(west), math.ceil(east)):
            yield f"lat{lat}{lat + 1}_lon{lon}{lon + 1}"
