"""Bytes and requests for the window of a remote COG: ours, GDAL's own reader, and what the window's blocks have.

A scene of 4096 x 4096 pixels of 10 m on loopback, onto a grid of 20 m: python benchmarks/cog_windows.py
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from mlssm.config.origins import DownloadConfig
from mlssm.grid import Grid
from mlssm.origins.cog import read_cog
from mlssm.origins.download import Downloads

CRS, WEST, NORTH, SIDE = "EPSG:32618", 330000.0, 4300000.0, 4096
SENT = {"bytes": 0, "requests": 0}


def scene() -> bytes:
    """A COG of linear power of four looks."""
    values = np.random.default_rng(0).gamma(4, 0.025, (SIDE, SIDE)).astype(np.float32)
    place = {"crs": CRS, "transform": Affine(10, 0, WEST, 0, -10, NORTH)}
    with MemoryFile() as plain, MemoryFile() as cog:
        with plain.open(driver="GTiff", count=1, dtype="float32", height=SIDE, width=SIDE, **place) as dataset:
            dataset.write(values, 1)
        with plain.open() as dataset:
            rasterio.shutil.copy(dataset, cog.name, driver="COG", compress="deflate", blocksize=512)
        return bytes(cog.read())


def serve(content: bytes) -> ThreadingHTTPServer:
    """A server that gives parts of one file, and counts them."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            part = content[int(start) : int(end or len(content)) + 1]
            SENT["bytes"] += len(part)
            SENT["requests"] += 1
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def gdal(url: str, grid: Grid) -> None:
    """The same window by GDAL's own reader of remote files."""
    options = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
    with (
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", CPL_VSIL_CURL_NON_CACHED="/vsicurl/"),
        rasterio.open(f"/vsicurl/{url}") as dataset,
        WarpedVRT(dataset, resampling=Resampling.average, **options) as warped,
    ):
        warped.read(1)


def main() -> None:
    """Print a line for each size of window."""
    server = serve(scene())
    url, downloads = f"http://127.0.0.1:{server.server_port}/scene.tif", Downloads(DownloadConfig(cache=None))
    for pixels in (200, 400, 1000):
        grid = Grid(CRS, (WEST + 10000, NORTH - 10000), 20, pixels, pixels)
        cut = read_cog(downloads, url, grid)
        assert cut is not None
        SENT.update(bytes=0, requests=0)
        gdal(url, grid)
        print(
            f"{pixels * 20 / 1000:g} km: pixels {(2 * pixels) ** 2 * 4 / 1e6:.1f} MB, "
            f"blocks {cut.needed_bytes / 1e6:.1f} MB; "
            f"ours {cut.read_bytes / 1e6:.1f} MB in {cut.requests} requests; "
            f"GDAL {SENT['bytes'] / 1e6:.1f} MB in {SENT['requests']}"
        )
    server.shutdown()


if __name__ == "__main__":
    main()
