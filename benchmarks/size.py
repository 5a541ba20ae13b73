"""What an area costs by its size: CPU seconds against a plain loop, memory, and bytes that are read.

    python benchmarks/size.py [MEGAPIXELS ...] [--dates 20 50 100] [--stages prepare]

By default 1, 4 and 16 Mpx times 20, 50 and 100 dates, of which each cell runs in a process of its own. GeoTIFFs
(float32, deflate, tiles of 512) are made in a temporary folder and deleted. A stage runs in turns with the plain loop
(rasterio to int16 dB to zarr with its defaults), so that a busy machine slows both; memory is the peak above imports.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import zarr
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rasterio.transform import Affine

from mlssm.config import TrainConfig, parse
from mlssm.jobs.area import open_area

CONF = Path(__file__).resolve().parents[1] / "conf"
SIZES, DATES, ROUNDS = (1, 4, 16), (20, 50, 100), 2
FIRST, REVISIT = dt.date(2019, 1, 1), 6
HEAD = "| Mpx | dates | stage | CPU s | plain loop, s | ratio | peak, MB | bytes read / bytes of the files |"


@dataclass(frozen=True)
class Area:
    """A made-up area.

    Attributes:
        folder: Of all of it.
        images: Its files.
        config: How it is prepared: blocks of 50 m of pixels of 10 m.
    """

    folder: Path
    images: tuple[Path, ...]
    config: TrainConfig


def prepared(area: Area) -> None:
    """Prepare with multilook, from nothing."""
    config = area.config
    shutil.rmtree(config.datamodule.cubes, ignore_errors=True)
    open_area(config.datamodule, "error", config.weather, config.retrieval, config.dask)


# a function a stage, that works on what those before it left; measured in this order
STAGES: dict[str, Callable[[Area], None]] = {"prepare": prepared}


@contextmanager
def made_up(side: int, dates: int) -> Iterator[Area]:
    """An area of speckle, with one station, that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "area"
        for each in ("backscatter", "weather"):
            (root / each).mkdir(parents=True)
        ground = np.random.default_rng(0).gamma(4, 0.02, (side, side)).astype(np.float32)
        images = tuple(_image(root, number, ground) for number in range(dates))
        _weather(root, REVISIT * dates + 60)
        yield Area(folder, images, _config(root, folder / "cubes"))


def _image(root: Path, number: int, ground: npt.NDArray[np.float32]) -> Path:
    day = FIRST + dt.timedelta(REVISIT * number)
    path = root / "backscatter" / f"VV_{day:%Y%m%d}T015902_137.tif"
    place = {"crs": "EPSG:32611", "transform": Affine(10, 0, 240000, 0, -10, 3816000), "nodata": np.nan}
    shape = {"count": 1, "dtype": "float32", "height": ground.shape[0], "width": ground.shape[1]}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", **place, **shape, **tiles) as file:
        file.write(np.roll(ground, 7919 * number) * np.float32(1 + 0.003 * number), 1)
    return path


def _weather(root: Path, days: int) -> None:
    lines = ["STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP,TMAX,TMIN,AWND,RHAV"]
    for day in range(days):
        values = f"{7 * day % 50},{180 + day % 9},{80 + day % 7},{20 + day % 3},60"
        lines.append(f"S0,{FIRST - dt.timedelta(40) + dt.timedelta(day)},34.4,-119.8,10,{values}")
    (root / "weather" / "S0.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _config(root: Path, cubes: Path) -> TrainConfig:
    overrides = ["datamodule=geotiff", f"datamodule.root={root}", f"datamodule.cubes={cubes}"]
    overrides += ["datamodule.backscatter.units=linear", "retrieval.multilook_m=50"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("train", overrides), resolve=True)
    assert isinstance(values, dict)
    return parse(TrainConfig, {str(key): value for key, value in values.items()})


def plain_loop(area: Area) -> None:
    """What anybody would write: each image read whole, taken to dB, packed, and put into a zarr array."""
    with rasterio.open(area.images[0]) as first:
        shape = (len(area.images), *first.shape)
    path = area.folder / "plain.zarr"
    array = zarr.create_array(path, shape=shape, chunks=(1, 1024, 1024), dtype="int16", fill_value=-32768)
    for number, image in enumerate(area.images):
        with rasterio.open(image) as file:
            power = file.read(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.clip(np.round(1000 * np.log10(power)), -32767, 32767)
        array[number] = np.where(np.isfinite(steps), steps, -32768).astype(np.int16)
    shutil.rmtree(path)


def cpu(work: Callable[[Area], None], area: Area) -> float:
    """CPU seconds of this process, all its threads together."""
    start = time.process_time()
    work(area)
    return time.process_time() - start


def bytes_read() -> int:
    """That this process read so far, by the system's count."""
    return int(Path("/proc/self/io").read_text(encoding="utf-8").split()[1])


class Peak:
    """The most memory that this process holds inside a block, above what it held before, bytes."""

    def __enter__(self) -> Peak:
        """Begin to look."""
        self._before, self.above, self._done = self._now(), 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.01):
            self.above = max(self.above, self._now() - self._before)

    @staticmethod
    def _now() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(megapixels: float, dates: int, stages: list[str]) -> None:
    """Print the lines of one cell of the table."""
    side = round((megapixels * 1e6) ** 0.5)
    with made_up(1024, 2) as small:  # imports, and what is made once
        for each in (plain_loop, *STAGES.values()):
            each(small)
    with made_up(side, dates) as area:
        size = sum(path.stat().st_size for path in area.images)
        for name, stage in STAGES.items():
            before = bytes_read()
            with Peak() as peak:
                seconds = [cpu(stage, area)]
            read = (bytes_read() - before) / size
            if name not in stages:
                continue
            loops = [cpu(plain_loop, area)]
            for _ in range(ROUNDS - 1):
                seconds.append(cpu(stage, area))
                loops.append(cpu(plain_loop, area))
            best, loop = min(seconds), min(loops)
            cells = f"{best:.1f} | {loop:.1f} | {best / loop:.2f} | {peak.above / 1e6:.0f} | {read:.2f}"
            print(f"| {megapixels:g} | {dates} | {name} | {cells} |", flush=True)


def main() -> None:
    """Measure each cell in a process of its own, so that none has what another left in memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megapixels", nargs="*", type=float, default=list(SIZES))
    parser.add_argument("--dates", nargs="+", type=int, default=list(DATES))
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--alone", action="store_true", help="measure one cell in this process")
    given = parser.parse_args()
    if given.alone:
        measure(given.megapixels[0], given.dates[0], given.stages)
        return
    print(f"{HEAD}\n|{'---|' * HEAD.count(' | ')}---|", flush=True)
    for megapixels in given.megapixels:
        for dates in given.dates:
            cell = [str(megapixels), "--dates", str(dates), "--stages", *given.stages, "--alone"]
            subprocess.run([sys.executable, __file__, *cell], check=True)


if __name__ == "__main__":
    main()
