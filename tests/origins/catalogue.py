"""A STAC API and its COGs, for the server on loopback: a small place with known values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.shutil
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from tests.origins.conftest import Faulty

from mlssm.grid import Bounds

CRS = "EPSG:32618"
WEST, NORTH = 330000.0, 4300000.0


def cog(
    values: npt.NDArray[Any],
    pixel: float,
    nodata: float | None,
    crs: str = CRS,
    west: float = WEST,
    north: float = NORTH,
) -> bytes:
    """The bytes of a COG of one band."""
    height, width = values.shape
    profile: dict[str, Any] = {"driver": "GTiff", "count": 1, "dtype": values.dtype, "crs": crs, "nodata": nodata}
    profile |= {"height": height, "width": width, "transform": Affine(pixel, 0, west, 0, -pixel, north)}
    with MemoryFile() as plain, MemoryFile() as memory:
        with plain.open(**profile) as dataset:
            dataset.write(values, 1)
        with plain.open() as dataset:
            rasterio.shutil.copy(dataset, memory.name, driver="COG", compress="deflate", blocksize=128)
        return memory.read()


def degrees(height: int, width: int, pixel: float) -> Bounds:
    """The bounds of such a raster, degrees."""
    return transform_bounds(CRS, "EPSG:4326", WEST, NORTH - height * pixel, WEST + width * pixel, NORTH)


def item(name: str, time: str, bounds: Bounds, assets: dict[str, str], **properties: Any) -> dict[str, Any]:
    """A STAC item whose proj:transform is wrong, as some in the wild."""
    west, south, east, north = bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": list(bounds),
        "properties": {"datetime": time, "proj:epsg": 32601, "proj:transform": [1, 0, 0, 0, 1, 0], **properties},
        "links": [],
        "assets": {key: {"href": href} for key, href in assets.items()},
    }


def serve(server: Faulty, collection: str, items: list[dict[str, Any]], page: int = 2) -> None:
    """Answer searches of a collection, page by page."""
    root = server.url
    conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
    catalog = {"type": "Catalog", "id": "test", "description": "test", "stac_version": "1.0.0", "conformsTo": conforms}
    link = {"rel": "search", "type": "application/geo+json", "href": f"{root}/search", "method": "POST"}
    catalog["links"] = [link, {"rel": "root", "href": f"{root}/"}]  # type: ignore[assignment]
    found = {**getattr(server, "collections", {}), collection: items}
    server.collections = found  # type: ignore[attr-defined]

    def search(query: dict[str, list[str]], body: Any) -> Any:
        inside = found.get(body["collections"][0], [])
        start = int(body.get("token", 0))
        links = []
        if start + page < len(inside):
            following = {**body, "token": start + page}
            links = [{"rel": "next", "method": "POST", "href": f"{root}/search", "body": following}]
        return {"type": "FeatureCollection", "features": inside[start : start + page], "links": links}

    server.answers["/"] = lambda query, body: catalog
    server.answers["/search"] = search
    server.answers[f"/collections/{collection}"] = lambda query, body: {"license": "CC-BY-4.0", "links": []}


def speckled(shape: tuple[int, int], mean: float, seed: int) -> npt.NDArray[np.float32]:
    """Linear power of four looks."""
    return np.random.default_rng(seed).gamma(4, mean / 4, shape).astype(np.float32)
