"""SoilGrids 2.0 of ISRIC by its coverage service (WCS): clay and sand of the area, brought to texture classes."""

from __future__ import annotations

import logging
import math
from typing import cast
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from mlssm.config.base import Strict
from mlssm.config.soil_services import SoilGridsSoil
from mlssm.config.sources import SoilSource
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.soil.texture import CLASSES, NONE, texture_codes
from mlssm.origins.written import provenance, write_geotiff

log = logging.getLogger(__name__)

LICENCE = "SoilGrids 2.0 of ISRIC, CC-BY-4.0 (https://doi.org/10.5194/soil-7-217-2021)"
DEGREES = "http://www.opengis.net/def/crs/EPSG/0/4326"
NATIVE_M, BYTES = 250.0, 2
MARGIN_DEG = 0.01  # four pixels
PER_MILLE = 10.0  # clay and sand are in g/kg
LARGEST = 1000.0


class SoilGridsFetcher:
    """Fills the folder of soil."""

    def __init__(self, settings: SoilGridsSoil, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings, self._downloads = settings, downloads

    def plan(self, request: Request) -> Plan:
        """The one file; see `mlssm.origins.contract.Fetcher`. It asks nothing."""
        grid = request.grid
        size = math.ceil(grid.height * grid.width * (grid.pixel / NATIVE_M) ** 2 * BYTES * 2)
        name = f"{request.folder}/soilgrids_texture_{self.settings.depth}.tif"
        address = " ".join(self.address(part, grid) for part in ("clay", "sand"))
        notes = (f"texture of {self.settings.depth} by clay and sand of 250 m: coarser than the grid",)
        return Plan("soil", "SoilGrids 2.0 (ISRIC)", (Wanted(name, address, size, LICENCE),), 2, notes)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Read both properties; see `mlssm.origins.contract.Fetcher`.

        Raises:
            DataError: There is no soil, or what comes is no raster of it.
        """
        for item in plan.wanted:
            path = request.root / item.name
            if not path.is_file():
                clay, sand = (self._percent(url, request.grid) for url in item.address.split())
                codes = texture_codes(clay, sand)
                if not codes.any():
                    raise DataError(f"SoilGrids has no soil on area {request.place.bounds}; set origin.soil=null")
                write_geotiff(path, codes, request.grid, NONE, description="texture")
        return Fetched(SoilSource(folder=request.folder, classes=CLASSES), provenance(request.root, plan.wanted))

    def address(self, part: str, grid: Grid) -> str:
        """What a property of the area is asked by."""
        west, south, east, north = grid.geographic_bounds()
        query = [("map", f"/map/{part}.map"), ("SERVICE", "WCS"), ("VERSION", "2.0.1"), ("REQUEST", "GetCoverage")]
        query += [("COVERAGEID", f"{part}_{self.settings.depth}_mean"), ("FORMAT", "image/tiff")]
        query += [("SUBSET", f"long({west - MARGIN_DEG:.6f},{east + MARGIN_DEG:.6f})")]
        query += [("SUBSET", f"lat({south - MARGIN_DEG:.6f},{north + MARGIN_DEG:.6f})")]
        query += [("SUBSETTINGCRS", DEGREES), ("OUTPUTCRS", DEGREES)]
        return f"{self.settings.api}?{urlencode(query, safe='/:(),')}"

    def _percent(self, url: str, grid: Grid) -> npt.NDArray[np.float32]:
        """A property on the grid, percent; NaN where there is none."""
        content = self._downloads.request(url).content
        try:
            with MemoryFile(content) as memory, memory.open() as dataset:
                values = dataset.read(1, masked=True).filled(0)
                if (largest := float(values.max())) > LARGEST:
                    raise DataError(f"{url} answers with {largest:g} g/kg, more than the whole soil")
                options = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
                # no soil is 0 where nodata is not declared, and a negative number where it is
                missing = dataset.nodata if dataset.nodata is not None else 0
                options |= {"resampling": Resampling.bilinear, "src_nodata": missing, "nodata": missing}
                with WarpedVRT(dataset, **options) as warped:
                    known = warped.read(1, masked=True).astype(np.float32).filled(np.nan)
        except RasterioIOError as error:
            said = " ".join(content[:300].decode("utf-8", "replace").split())
            raise DataError(f"{url} answers with no GeoTIFF: {said}") from error
        return np.where(known > 0, known / PER_MILLE, np.nan).astype(np.float32)


def fetcher(settings: Strict, downloads: Downloads) -> SoilGridsFetcher:
    """What fetches soil from SoilGrids."""
    return SoilGridsFetcher(cast(SoilGridsSoil, settings), downloads)
