"""Size of the viewer's page, and memory and time to make it, for a county: 13 million pixels, 30 days, three bands.

python benchmarks/viewer.py --side 3600 --days 30
"""

from __future__ import annotations

import argparse
import datetime as dt
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import Band, write_cog
from mlssm.mapping.list import list_maps
from mlssm.mapping.viewer.content import Content
from mlssm.mapping.viewer.page import write_page
from mlssm.mapping.viewer.reading import pictures_of
from mlssm.workers import Workers

FIRST = dt.date(2023, 1, 1)


def write_maps(folder: Path, side: int, days: int) -> Grid:
    """Maps of smooth moisture with pixels that differ, as predicted ones have."""
    grid, extent = Grid("EPSG:32611", (230000.0, 3820000.0), 10.0, side, side), Window(0, 0, side, side)
    rng = np.random.default_rng(0)
    coarse = ndimage.zoom(ndimage.gaussian_filter(rng.random((side // 30, side // 30)), 3), 30, order=1)[:side, :side]
    pixels = rng.normal(0, 0.08, (side, side))
    for number in range(days):
        wet = 0.5 + 0.3 * np.sin(number / 5)
        ssm = np.clip(wet + 2 * (coarse - 0.5) + pixels, 0, 1).astype(np.float32)
        ends = {"lower": np.clip(ssm - 0.2, 0, 1), "upper": np.clip(ssm + 0.2, 0, 1)}
        more = [Band(name, f"{name} end", "1", [(extent, values)]) for name, values in ends.items()]
        day = FIRST + dt.timedelta(days=number)
        path = folder / f"ssm_{day:%Y%m%d}.tif"
        write_cog(path, [(extent, ssm)], grid, {"date": day.isoformat()}, "soil moisture", more)
    return grid


def main() -> None:
    """Print size, seconds and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=3600, help="pixels (3600)")
    parser.add_argument("--days", type=int, default=30, help="maps (30)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid = write_maps(folder, arguments.side, arguments.days)
        start = time.process_time()
        frames, bands = pictures_of(list_maps(list(folder.glob("*.tif"))), grid, [grid.full], Workers(1))
        size = write_page(folder / "index.html", Content("county", {}, {}, frames, bands))
        seconds = time.process_time() - start
    rows, columns = frames[0].shape
    pixels = arguments.side**2 * arguments.days * (len(bands))
    print(
        f"page {size / 1e6:.1f} MB; pictures of {rows} x {columns} pixels, {arguments.side / columns:.1f} times coarser"
    )
    print(f"{seconds:.0f} s CPU, {pixels / seconds / 1e6:.0f} million pixels of maps a second")
    print(f"peak memory of the whole {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
