"""The memory that a command takes which maps many days of a large area, with all bands.

    python benchmarks/predict_memory.py [--size 3600] [--days 30] [--in FOLDER [--again]] [Hydra overrides]

Two processes, so that one that simulates and fits does not hide what the other takes: the first makes an area of
--size x --size pixels and a model (the closed form is fitted there, a network has random weights, and intervals are
calibrated on a small area); the second opens both from their files and maps, as predict.py does. 3600 x 3600 are 13
million pixels. With --in the area is kept, for another lag or model; with --again it is mapped by the model that is
there. Then the products are made of the maps, one after the other, and what each takes is printed, too.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from peak import Peak
from predict import SMALL, asked, certain, configured, described, fitted

from mlssm import bundle
from mlssm.config import TrainConfig
from mlssm.inference.opened import Place
from mlssm.inference.prefit import fitted_state
from mlssm.jobs.products import write_products
from mlssm.jobs.stream import stream
from mlssm.jobs.viewer import PAGE
from mlssm.scratch import scratch_folder
from mlssm.workers import open_workers

LARGE = "datamodule.simulation.revisit_days=48", "response.residual=convlstm"  # few dates: maps need no more

PRODUCTS = "viewer", "stac", "netcdf", "lhasa"


def make(folder: Path, size: int, overrides: list[str]) -> None:
    """Write the area and a model into a folder."""
    logging.basicConfig(level=logging.ERROR)
    large, small = (configured(folder, each, *LARGE, *overrides) for each in (size, SMALL))
    sure, (experiment, network) = certain(small), fitted(large)
    kept, tensors = bundle.pack({**fitted_state(experiment), **sure})
    bundle.save(described(large, experiment, kept), {**network.state_dict(), **tensors}, folder / "model")
    (folder / "model" / "cube").symlink_to(experiment.cube.path)


def make_elsewhere(folder: Path, size: int, overrides: list[str]) -> None:
    """The same in a process of its own."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    process = multiprocessing.get_context("spawn").Process(target=make, args=(folder, size, overrides))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def measure(folder: Path, days: int, config: TrainConfig) -> None:
    """Map from the files, and print what that took."""
    place = Place("run", folder / "model", (folder / "model" / "cube").resolve(), state=None)
    shutil.rmtree(folder / "maps", ignore_errors=True)
    predict = asked(config, str(folder / "maps"))
    start, cpu = time.monotonic(), time.process_time()
    with Peak() as peak, open_workers(config.dask) as workers:
        opened = place.opened()
        first = opened.cube.local_days[-1] - np.timedelta64(days, "D")
        stream(place, predict, first + np.arange(days), workers)
    cpu, start = time.process_time() - cpu, time.monotonic() - start
    height, width = opened.shapes[0]
    work, way = height * width * days, "carried state" if opened.carried else "windows"
    size = f"{height * width / 1e6:.1f} million pixels, {days} days, lag {opened.bundle.window.lag}, {way}"
    print(f"{size}: {taken(peak)}; {start:,.0f} s, {work / cpu:,.0f} pixels a second of a core", flush=True)
    paths = sorted((folder / "maps").glob("ssm_*.tif"))
    for name in PRODUCTS:
        only = predict.model_copy(update={"products": predict.products.model_copy(update={name: True})})
        start = time.monotonic()
        with Peak() as peak, open_workers(config.dask) as workers:
            write_products(opened, paths, only, workers)
        print(f"  {name}: {taken(peak)}; {time.monotonic() - start:,.0f} s", flush=True)
    print(f"  the page is of {(folder / 'maps' / PAGE).stat().st_size / 1e6:.1f} MB")


def taken(peak: Peak) -> str:
    """Memory, in words."""
    return f"{peak.own / 1e6:,.0f} MB more than before, {peak.mapped / 1e6:,.0f} MB with pages of mapped files"


def main() -> None:
    """Make, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=3600, help="pixels along the area")
    parser.add_argument("--days", type=int, default=30, help="days that are mapped")
    parser.add_argument("--in", dest="folder", type=Path, help="where the area is kept, or is from before")
    parser.add_argument("--again", action="store_true", help="map by the model that is there")
    options, overrides = parser.parse_known_args()
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as passing:
        folder = Path(passing) if options.folder is None else options.folder.absolute()
        if not options.again:
            make_elsewhere(folder, options.size, overrides)
        measure(folder, options.days, configured(folder, options.size, *LARGE, *overrides))


if __name__ == "__main__":
    main()
