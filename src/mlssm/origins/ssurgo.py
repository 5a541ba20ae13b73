"""Hydrologic soil groups of SSURGO: map units by USDA's Soil Data Access, box by box, burned onto the area's grid.

Queries as https://sdmdataaccess.nrcs.usda.gov/WebServiceHelp.aspx describes them; the group is the dominant condition
of a map unit (muaggatt.hydgrpdcd).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from rasterio.features import rasterize
from rasterio.warp import transform_geom

from mlssm.config.base import Strict
from mlssm.config.sources import SoilSource
from mlssm.config.ssurgo import SsurgoSoil
from mlssm.errors import DataError
from mlssm.grid import Bounds
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.written import provenance, write_geotiff
from mlssm.progress import transfer

log = logging.getLogger(__name__)

SERVICE = "USDA Soil Data Access (SSURGO)"
LICENCE = "work of the US Government, public domain"
TILES = "boxes"
GROUPS = ("A", "A/D", "B", "B/D", "C", "C/D", "D")
NAMES = {code: group.replace("/", "_") for code, group in enumerate(GROUPS, 1)}
MISSING = 0  # water, urban land and pits have no group
MOST_ROWS = 100_000
BOX_BYTES = 2_000_000  # of a box of 0.05 degrees where soils are mapped finely
QUERY = """SELECT p.mukey, m.hydgrpdcd, p.mupolygongeo.STAsText() AS wkt
FROM mupolygon p JOIN muaggatt m ON m.mukey = p.mukey
WHERE p.mupolygonkey IN (SELECT * FROM SDA_Get_Mupolygonkey_from_intersection_with_WktWgs84('{wkt}'))"""


class SsurgoFetcher:
    """Fills the folder of soil."""

    def __init__(self, settings: SsurgoSoil, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings, self.downloads = settings, downloads

    def plan(self, request: Request) -> Plan:
        """What would be asked; see `mlssm.origins.contract.Fetcher`."""
        boxes = list(self._boxes(request))
        size = round(BOX_BYTES * len(boxes) * (self.settings.tile_degrees / 0.05) ** 2)
        wanted = Wanted(f"{request.folder}/hydrologic_group.tif", self.settings.api, size, LICENCE)
        notes = (f"{len(boxes)} boxes of {self.settings.tile_degrees:g} degrees; bytes are estimated",)
        return Plan("soil", SERVICE, (wanted,), len(boxes), notes)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Ask box by box and burn the map units; see `mlssm.origins.contract.Fetcher`.

        Raises:
            DataError: The service fails, its answer is cut, or it has no soil there.
        """
        folder = request.root / request.folder / TILES
        folder.mkdir(parents=True, exist_ok=True)
        boxes = dict(self._boxes(request))
        with transfer(request.folder, len(boxes)) as shown:
            self.downloads.each(lambda name: self._box(folder / name, boxes[name]), boxes, shown)
        units = [unit for name in boxes for unit in json.loads((folder / name).read_text(encoding="utf-8"))]
        values = burned(units, request)
        if not (values != MISSING).any():
            raise DataError(
                f"SSURGO has no hydrologic group for area {request.place.bounds}; it maps the United States"
            )
        write_geotiff(request.root / plan.wanted[0].name, values, request.grid, MISSING, description="hydrologic group")
        return Fetched(SoilSource(folder=request.folder, classes=NAMES), provenance(request.root, plan.wanted))

    def _boxes(self, request: Request) -> Iterator[tuple[str, str]]:
        """Name of the kept answer and WKT of each box that the place touches."""
        from shapely.geometry import box, shape

        place, side = shape(request.place.geometry), self.settings.tile_degrees
        west, south, east, north = request.place.bounds
        for row in range(math.floor(south / side), math.ceil(north / side)):
            for col in range(math.floor(west / side), math.ceil(east / side)):
                corners: Bounds = (col * side, row * side, (col + 1) * side, (row + 1) * side)
                rectangle = box(*(round(part, 6) for part in corners))
                if place.intersection(rectangle).area > 1e-9:  # and does not touch it alone
                    yield f"{col}_{row}.json", rectangle.wkt

    def _box(self, path: Path, wkt: str) -> None:
        """Ask for a box, unless its answer is kept."""
        if path.is_file():
            return
        body = {"query": QUERY.format(wkt=wkt), "format": "JSON"}
        rows = self.downloads.json(self.settings.api, body=body).get("Table", [])
        if len(rows) >= MOST_ROWS:
            raise DataError(f"{SERVICE} cuts its answer at {MOST_ROWS} rows; set a smaller origin.soil.tile_degrees")
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps([_unit(row) for row in rows]), encoding="utf-8")
        partial.replace(path)


def fetcher(settings: Strict, downloads: Downloads) -> SsurgoFetcher:
    """What fetches SSURGO."""
    return SsurgoFetcher(cast(SsurgoSoil, settings), downloads)


def burned(units: list[Mapping[str, Any]], request: Request) -> Any:
    """The code of the hydrologic group at each pixel's centre, uint8 [row, column]; 0 where there is none."""
    from shapely import from_wkt
    from shapely.geometry import mapping

    grid = request.grid
    known = [unit for unit in units if unit["group"] in GROUPS]
    if unknown := {str(unit["group"]) for unit in units if unit["group"] and unit["group"] not in GROUPS}:
        log.warning("soil: groups %s are none that is known: left out", ", ".join(sorted(unknown)))
    if not known:
        return np.full(grid.shape, MISSING, np.uint8)
    shapes = [
        (transform_geom("EPSG:4326", grid.crs, mapping(from_wkt(unit["wkt"]))), GROUPS.index(unit["group"]) + 1)
        for unit in known
    ]
    return rasterize(shapes, grid.shape, fill=MISSING, transform=grid.transform, dtype="uint8")


def _unit(row: Any) -> dict[str, Any]:
    """A map unit's polygon of an answer.

    Raises:
        DataError: The answer is of another form.
    """
    if not isinstance(row, list) or len(row) != 3 or "POLYGON" not in str(row[2]):
        raise DataError(f"{SERVICE} answers otherwise than it is described: {str(row)[:80]}")
    return {"mukey": str(row[0]), "group": row[1], "wkt": row[2]}
