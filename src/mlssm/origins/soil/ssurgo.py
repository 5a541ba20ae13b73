"""SSURGO by Soil Data Access: polygons of map units, burnt onto the area's grid as classes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize
from rasterio.warp import transform_bounds, transform_geom

from mlssm.config.base import Strict
from mlssm.config.soil_services import SsurgoSoil
from mlssm.config.sources import SoilSource
from mlssm.errors import DataError
from mlssm.grid import DEGREES, Bounds, Grid, Window
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.patience import FaultForNow, patiently
from mlssm.origins.services import needs
from mlssm.origins.soil.texture import CLASSES, NONE, texture_code
from mlssm.origins.written import provenance, write_geotiff
from mlssm.progress import transfer
from mlssm.secrets import without_password

log = logging.getLogger(__name__)

LICENCE = "SSURGO of USDA-NRCS, public domain"
SIDE_M = 5000.0  # of a tile; Soil Data Access answers with 32 MB at most, and cuts
MOST_ROWS = 100_000
TILE_BYTES = 2_000_000  # where soils are mapped finely
# a dual group is D while it is not drained
GROUPS = {1: "A", 2: "A/D", 3: "B", 4: "B/D", 5: "C", 6: "C/D", 7: "D"}
FOR_NOW = re.compile(r"timed out|network error|maintenance|HTTP (429|5\d\d)|server error|connect", re.IGNORECASE)

POLYGONS = (
    "SELECT p.mukey, p.mupolygongeo.STAsText() AS wkt FROM mupolygon p "
    "WHERE p.mupolygongeo.STIntersects(geometry::STGeomFromText('{box}', 4326)) = 1"
)
HYDROLOGIC = "SELECT mukey, hydgrpdcd AS class, 100 AS share FROM muaggatt WHERE mukey IN ({keys})"
SURFACE = (
    "SELECT c.mukey, t.texcl AS class, c.comppct_r AS share FROM component c "
    "INNER JOIN chorizon h ON h.cokey = c.cokey AND h.hzdept_r = 0 "
    "INNER JOIN chtexturegrp g ON g.chkey = h.chkey AND g.rvindicator = 'Yes' "
    "INNER JOIN chtexture t ON t.chtgkey = g.chtgkey WHERE c.mukey IN ({keys})"
)


@dataclass(frozen=True)
class Tile:
    """A part of the grid.

    Attributes:
        name: Of its file.
        window: Of the grid.
    """

    name: str
    window: Window


class SsurgoFetcher:
    """Fills the folder of soil."""

    def __init__(self, settings: SsurgoSoil, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings, self._downloads = settings, downloads
        self._is_texture = settings.classes == "texture"

    def plan(self, request: Request) -> Plan:
        """Cut the grid into tiles; see `mlssm.origins.contract.Fetcher`. It asks nothing."""
        wanted = tuple(
            Wanted(f"{request.folder}/{tile.name}", f"{self.settings.api}/tabular/post.rest", TILE_BYTES, LICENCE)
            for tile in met(request)
        )
        notes = (f"{self.settings.classes.replace('_', ' ')} of map units; bytes are estimated",)
        return Plan("soil", "SSURGO (Soil Data Access)", wanted, 2 * len(wanted), notes)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Burn each tile; see `mlssm.origins.contract.Fetcher`.

        Raises:
            DataError: The survey has nothing there.
        """
        parts = {f"{request.folder}/{tile.name}": tile for tile in met(request)}
        missing = [item for item in plan.wanted if not (request.root / item.name).is_file()]
        with transfer(request.folder, len(missing)) as shown:
            self._downloads.each(lambda item: self._write(item, parts[item.name], request), missing, shown)
        files = provenance(request.root, plan.wanted)
        if not files:
            raise DataError(
                f"SSURGO has no map unit on area {request.place.bounds}: it is of the United States and its "
                "territories; use datamodule.origin.soil.service=soilgrids elsewhere"
            )
        return Fetched(SoilSource(folder=request.folder, classes=CLASSES if self._is_texture else GROUPS), files)

    def _write(self, item: Wanted, tile: Tile, request: Request) -> None:
        grid = request.grid.crop(tile.window)
        codes = self._burnt(grid)
        if not codes.any():
            log.info("SSURGO has no class on tile %s: no file", tile.name)
            return
        write_geotiff(request.root / item.name, codes, grid, NONE, description=self.settings.classes)

    def _burnt(self, grid: Grid) -> npt.NDArray[np.uint8]:
        """The class of each pixel, 0 where there is none."""
        from shapely import wkt

        polygons = self._rows(POLYGONS.format(box=_box(grid.geographic_bounds())))
        keys = sorted({int(row["mukey"]) for row in polygons})
        if not keys:
            return np.zeros(grid.shape, np.uint8)
        query = SURFACE if self._is_texture else HYDROLOGIC
        codes = self._codes(self._rows(query.format(keys=", ".join(map(str, keys)))))
        shapes = [
            (transform_geom(DEGREES, grid.crs, wkt.loads(row["wkt"]).__geo_interface__), codes[int(row["mukey"])])
            for row in polygons
            if int(row["mukey"]) in codes
        ]
        if not shapes:
            return np.zeros(grid.shape, np.uint8)
        return np.asarray(rasterize(shapes, grid.shape, fill=NONE, transform=grid.transform, dtype="uint8"))

    def _codes(self, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
        """The class of each map unit: that of the largest share; none where it has no class, as water and rock."""
        shares: dict[int, dict[int, float]] = {}
        for row in rows:
            if code := self._code(row["class"]):
                shares.setdefault(int(row["mukey"]), {}).setdefault(code, 0.0)
                shares[int(row["mukey"])][code] += float(row["share"] or 0)
        return {key: max(each, key=lambda code: (each[code], -code)) for key, each in shares.items()}

    def _code(self, name: str | None) -> int:
        if self._is_texture:
            return texture_code(name)
        if name and name not in GROUPS.values():
            raise DataError(f"SSURGO has the hydrologic group {name!r}, which is none of {', '.join(GROUPS.values())}")
        return next((number for number, group in GROUPS.items() if group == name), NONE)

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows that a query of Soil Data Access has.

        Raises:
            ConfigError: soildb is not installed.
            DataError: It refuses, or fails too often.
        """
        try:
            import soildb
        except ImportError as error:
            raise needs("soil", error) from error

        async def ask() -> Any:
            timeout = self._downloads.config.timeout_s
            client = soildb.SDAClient(base_url=self.settings.api, timeout=timeout, max_retries=0)
            async with client:
                return await client.execute_sql(sql)

        def attempt() -> list[dict[str, Any]]:
            try:
                answer = asyncio.run(ask())
            except soildb.SoilDBError as error:
                details = getattr(error, "details", None) or ""
                said = without_password(" ".join(f"{error.message} {details}".split()))[:300]
                if FOR_NOW.search(said):
                    raise FaultForNow(said) from error
                raise DataError(f"Soil Data Access refuses a query: {said}") from error
            if len(answer.data) >= MOST_ROWS:
                raise DataError(f"Soil Data Access cuts its answer at {MOST_ROWS} rows; set a smaller area")
            return [dict(zip(answer.columns, row, strict=True)) for row in answer.data]

        return patiently(attempt, self.settings.api, self._downloads.config, self._downloads.stop)


def fetcher(settings: Strict, downloads: Downloads) -> SsurgoFetcher:
    """What fetches soil from SSURGO."""
    return SsurgoFetcher(cast(SsurgoSoil, settings), downloads)


def tiles(grid: Grid) -> Iterator[Tile]:
    """The parts that a grid is fetched in."""
    side = max(1, round(SIDE_M / grid.pixel))
    for row in range(0, grid.height, side):
        for col in range(0, grid.width, side):
            window = Window(row, col, min(side, grid.height - row), min(side, grid.width - col))
            yield Tile(f"ssurgo_{row:05d}_{col:05d}.tif", window)


def met(request: Request) -> Iterator[Tile]:
    """The tiles that the place meets."""
    from shapely.geometry import box, shape

    place = shape(dict(request.place.geometry))
    for tile in tiles(request.grid):
        bounds = request.grid.crop(tile.window).bounds
        if place.intersects(box(*transform_bounds(request.grid.crs, DEGREES, *bounds))):
            yield tile


def _box(bounds: Bounds) -> str:
    west, south, east, north = (f"{each:.6f}" for each in bounds)
    corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return f"POLYGON(({', '.join(' '.join(each) for each in corners)}))"
