"""What an area costs by its size: CPU seconds, memory and disk of every stage from its files to its scores.

    python benchmarks/size.py [MEGAPIXELS ...] [--dates 20 50 100] [--stages prepare fit prefit index evaluate]

By default 1, 4 and 16 Mpx times 20, 50 and 100 dates, of which each stage of each runs in a process of its own.

`prepare` reads GeoTIFFs (float32, deflate, tiles of 512) that are made in a temporary folder, in turns with the plain
loop (rasterio to int16 dB to zarr with its defaults), so that a busy machine slows both. The stages after it work on a
made-up stack of so many working pixels, with two orbits, two polarisations and four seasons, that is written quickly
and deleted. What a stage needs of those before it is made first, and not measured.

Memory is the peak above what the process held before: `own` is nobody's file; `mapped` counts the pages of mapped files
too, which the system drops as it needs room. Disk is the room that large arrays take in TMPDIR, beside the stack.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from made_up_area import Area, made_up, plain_loop, remove_made
from made_up_stack import made_up_cube
from peak import Peak
from size_stages import STAGES, Bench

from mlssm.jobs.area import open_area
from mlssm.scratch import scratch_folder

SIZES, DATES, ROUNDS = (1, 4, 16), (20, 50, 100), 2
PREPARE = "prepare"
USUAL = (PREPARE, "fit", "prefit", "index", "evaluate")
HEAD = (
    "| Mpx | dates | stage | CPU s | s a Mpx and date | own, MB | mapped, MB | disk, GB | "
    "ratio to the plain loop | bytes read / bytes of the files |"
)


def prepared(area: Area) -> None:
    """Prepare with multilook, from nothing."""
    config = area.config
    open_area(config.datamodule, "error", config.weather, config.retrieval, config.dask)


def cpu(work: Callable[[Area], object], area: Area) -> float:
    """CPU seconds of this process, all its threads together, for what is not there yet."""
    remove_made(area)
    start = time.process_time()
    work(area)
    return time.process_time() - start


def bytes_read() -> int:
    """That this process read so far, by the system's count."""
    return int(Path("/proc/self/io").read_text(encoding="utf-8").split()[1])


def line(cell: tuple[float, int, str], seconds: float, peak: Peak, ratio: str = "", read: str = "") -> str:
    """A line of the table."""
    megapixels, dates, stage = cell
    own, mapped, disk = peak.own / 1e6, peak.mapped / 1e6, peak.disk / 1e9
    numbers = f"{seconds:.1f} | {seconds / (megapixels * dates):.4f} | {own:.0f} | {mapped:.0f} | {disk:.1f}"
    return f"| {megapixels:g} | {dates} | {stage} | {numbers} | {ratio} | {read} |"


def measure_prepare(megapixels: float, dates: int) -> None:
    """Print the line of a cell's preparation."""
    with made_up(1024, 2) as small:  # imports, and what is made once
        plain_loop(small)
        prepared(small)
    with made_up(round((megapixels * 1e6) ** 0.5), dates) as area:
        before = bytes_read()
        with Peak() as peak:
            seconds = [cpu(prepared, area)]
        read = (bytes_read() - before) / sum(path.stat().st_size for path in area.images)
        loops = [cpu(plain_loop, area)]
        for _ in range(ROUNDS - 1):
            seconds.append(cpu(prepared, area))
            loops.append(cpu(plain_loop, area))
        best, loop = min(seconds), min(loops)
        print(line((megapixels, dates, PREPARE), best, peak, f"{best / loop:.2f}", f"{read:.2f}"), flush=True)


def measure(stage: str, folder: Path, megapixels: float, dates: int) -> None:
    """Print the line of a later stage on the stack of a folder."""
    run = STAGES[stage](Bench.of(folder, megapixels, dates))
    with Peak() as peak:
        start = time.process_time()
        kept = run()
        seconds = time.process_time() - start
    del kept
    print(line((megapixels, dates, stage), seconds, peak), flush=True)


def measure_cell(megapixels: float, dates: int, stages: list[str]) -> None:
    """Measure stages in processes of their own, so that none has what another left in memory."""
    size = [str(megapixels), "--dates", str(dates)]
    if PREPARE in stages:
        subprocess.run([sys.executable, __file__, *size, "--stages", PREPARE, "--in", "."], check=True)
    later = [stage for stage in stages if stage != PREPARE]
    if not later:
        return
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        made_up_cube(Path(folder), megapixels, dates)
        for stage in later:
            subprocess.run([sys.executable, __file__, *size, "--stages", stage, "--in", folder], check=True)


def main() -> None:
    """Measure cell by cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megapixels", nargs="*", type=float, default=list(SIZES))
    parser.add_argument("--dates", nargs="+", type=int, default=list(DATES))
    parser.add_argument("--stages", nargs="+", choices=[PREPARE, *STAGES], default=list(USUAL))
    parser.add_argument(
        "--in", dest="folder", type=Path, help="measure one stage of one cell in this process, of the stack here"
    )
    given = parser.parse_args()
    if given.folder is not None:
        logging.basicConfig(level=logging.ERROR)
        (megapixels,), (dates,), (stage,) = given.megapixels, given.dates, given.stages
        if stage == PREPARE:
            measure_prepare(megapixels, dates)
        else:
            measure(stage, given.folder, megapixels, dates)
        return
    print(f"{HEAD}\n|{'---|' * HEAD.count(' | ')}---|", flush=True)
    for megapixels in given.megapixels:
        for dates in given.dates:
            measure_cell(megapixels, dates, given.stages)


if __name__ == "__main__":
    main()
