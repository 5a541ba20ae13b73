"""A server on loopback that fails as it is told to, and a STAC API with its COGs on it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import numpy.typing as npt
import pytest
import rasterio.shutil
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from mlssm.config.origins import DownloadConfig
from mlssm.grid import Bounds
from mlssm.origins.download import Downloads


@dataclass
class Faulty:
    """A server's files, answers and faults.

    Attributes:
        files: Bytes by path.
        answers: Function of (query, body) -> JSON value, by path.
        faults: For each path what its next requests meet: a status, `cut` (half of what was asked for), `hang`.
        seen: Method, path and `Range` of each request.
        sent: Bytes of content that went out.
        token: Where it is set, files want `?sig=` with it, and else answer 403.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Callable[[dict[str, list[str]], Any], Any]] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    sent: int = 0
    token: str | None = None
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    collections: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def count(self, method: str = "GET", path: str = "") -> int:
        return sum(seen[0] == method and seen[1].startswith(path) for seen in self.seen)

    def next_fault(self, path: str) -> int | str | None:
        with self.lock:
            waiting = self.faults.get(path) or self.faults.get("*")
            return waiting.pop(0) if waiting else None


def handler(state: Faulty) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self.reply()

        def do_HEAD(self) -> None:
            self.reply()

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: Any = None) -> None:
            parts = urlsplit(self.path)
            with state.lock:
                state.seen.append((self.command, parts.path, self.headers.get("Range")))
            fault = state.next_fault(parts.path)
            query = parse_qs(parts.query)
            if isinstance(fault, int):
                self.send(fault, b"said no", dict(state.headers))
            elif parts.path in state.answers:
                content = json.dumps(state.answers[parts.path](query, body)).encode()
                self.send(200, content, {"Content-Type": "application/json"})
            elif parts.path not in state.files:
                self.send(404, b"nothing here", {})
            elif state.token is not None and query.get("sig") != [state.token]:
                self.send(403, b"expired", {})
            else:
                if fault == "hang":
                    time.sleep(0.5)
                self.content(state.files[parts.path], cut=fault == "cut")

        def content(self, content: bytes, cut: bool) -> None:
            etag = f'"{hashlib.md5(content).hexdigest()}"'
            headers = {
                "ETag": etag,
                "Accept-Ranges": "bytes",
                "Content-Type": "application/octet-stream",
            } | state.headers
            if self.headers.get("If-None-Match") == etag:
                self.send(304, b"", headers)
                return
            asked, fresh = self.headers.get("Range"), self.headers.get("If-Range") in (None, etag)
            if asked is None or not fresh:
                self.send(200, content, headers, cut)
                return
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or len(content) - 1), len(content) - 1)
            if first > last:
                self.send(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self.send(206, content[first : last + 1], headers, cut)

        def send(self, status: int, content: bytes, headers: dict[str, str], cut: bool = False) -> None:
            self.send_response(status)
            for key, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(key, value)
            self.end_headers()
            part = content[: len(content) // 2] if cut else content
            if self.command != "HEAD":
                with state.lock:
                    state.sent += len(part)
                self.wfile.write(part)
            if cut:
                self.close_connection = True

    return Handler


@pytest.fixture
def server() -> Iterator[Faulty]:
    state = Faulty()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(state)) as listening:
        state.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> DownloadConfig:
    return DownloadConfig(cache=tmp_path / "cache", retries=3, backoff_s=0.001, timeout_s=0.2, longest_wait_s=1)


@pytest.fixture
def downloads(settings: DownloadConfig) -> Downloads:
    return Downloads(settings)


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
    found = server.collections
    found[collection] = items

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


MADE = SimpleNamespace(cog=cog, degrees=degrees, item=item, serve=serve, speckled=speckled)


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """What makes COGs, items and a STAC API."""
    return MADE
