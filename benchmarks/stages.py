"""What an extent costs between its multilooked images and its scores: seconds and memory of each stage.

    python benchmarks/stages.py FOLDER [--megapixels 4] [--dates 50] [--stages masks fit prefit index evaluation]

Each stage runs in a process of its own, on a synthetic stack that is written into FOLDER as memory-mapped files. Its
seconds are of the processor; its memory is the most that was in use and is nobody's file (`RssAnon` of Linux), above
what it was before the stage began. Pages of mapped files are the system's to drop, and do not count.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mlssm.config import TrainConfig, parse
from mlssm.cube import Cube
from mlssm.grid import Window
from mlssm.manifest import FORMAT, Manifest
from mlssm.weather.stations import VARIABLES, StationWeather

CONF = Path(__file__).resolve().parents[1] / "conf"
PIXEL, SEASONS, STATIONS = 30.0, 4, 6
OVERRIDES = ("retrieval.multilook=moving", "datamodule.root=.", "patches.size=64", "patches.dense_stride=32")
Packed = npt.NDArray[np.int16]


@dataclass(frozen=True)
class SyntheticCube(Cube):
    """A cube whose images are memory-mapped files of a folder: as large as is asked for, and made in seconds."""

    dates: int = 20
    images: dict[str, Packed] = field(default_factory=dict)

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Acquisitions, spread evenly over the seasons from September on."""
        days = np.linspace(10, 365 * SEASONS - 10, self.dates).astype("timedelta64[D]")
        return np.datetime64("2018-09-01T14:00:00", "s") + days.astype("timedelta64[s]")

    @property
    def local_days(self) -> npt.NDArray[np.datetime64]:
        """In the morning."""
        return self.times.astype("datetime64[D]")

    @property
    def window_ends(self) -> npt.NDArray[np.datetime64]:
        """The day before."""
        return self.local_days - 1

    @property
    def orbits(self) -> npt.NDArray[np.int64]:
        """Two, in turn."""
        return np.where(np.arange(self.dates) % 2, 137, 64).astype(np.int64)

    @property
    def platforms(self) -> tuple[str, ...]:
        """One."""
        return ("S1A",) * self.dates

    @property
    def weather(self) -> StationWeather:
        """Of a few stations, some of them with frost in winter."""
        random = np.random.default_rng(1)
        days = np.datetime64("2018-06-01", "D") + np.arange(365 * (SEASONS + 1))
        values = random.gamma(0.3, 8, (len(days), STATIONS, len(VARIABLES)))
        cold = 12 - 11 * np.cos(2 * np.pi * np.arange(len(days)) / 365)[:, None]
        for name in ("temperature", "min_temperature"):
            values[:, :, VARIABLES.index(name)] = cold - 6 + random.normal(0, 2, (len(days), STATIONS))
        values[:, :, VARIABLES.index("snow_depth")] = 0
        place = np.zeros(STATIONS)
        return StationWeather(
            days, self.manifest.stations, place - 120, place + 35, 100.0 * np.arange(STATIONS), values
        )

    @property
    def station_xy(self) -> npt.NDArray[np.float64]:
        """Along a diagonal of the extent."""
        height, width = self.manifest.shape
        share = (np.arange(STATIONS) + 0.5) / STATIONS * PIXEL
        return np.column_stack([share * width, 4_000_000 - share[::-1] * height])

    def backscatter(self, time: int, polarisation: str, extent: Window) -> npt.NDArray[np.float32]:
        """From the files."""
        from mlssm.cube import BACKSCATTER_SCALE, unpack

        return unpack(self.images[polarisation][time][extent.slices], BACKSCATTER_SCALE)

    def static(self, feature: str, extent: Window) -> npt.NDArray[np.float32]:
        """A ramp."""
        rows = np.arange(extent.row, extent.row + extent.height, dtype=np.float32)[:, None]
        return np.broadcast_to(rows, extent.shape) + np.zeros(extent.shape, np.float32)

    def dated_days(self, name: str) -> npt.NDArray[np.datetime64]:
        """None."""
        return np.zeros(0, "datetime64[D]")


def synthetic(folder: Path, megapixels: float, dates: int) -> SyntheticCube:
    """An extent, whose images are written into a folder unless they are there."""
    side = round(math.sqrt(megapixels * 1e6) / 64) * 64
    manifest = Manifest(
        format=FORMAT, mlssm="benchmark", digest="0", files={}, skipped=(), crs="EPSG:32611", origin=(0, 4_000_000),
        pixel=PIXEL, shape=(side, side), extents=((0, 0, side, side),), time_zone="America/Los_Angeles",
        polarisations=("VV", "VH"), features=("elevation", "slope"), orbits=(), looks=10,
        stations=tuple(f"S{number}" for number in range(STATIONS)), variables=VARIABLES, left_out=(), weather_notes=(),
    )  # fmt: skip
    paths = {name: folder / f"{name}-{side}-{dates}.npy" for name in ("VV", "VH", "count")}
    if not all(path.is_file() for path in paths.values()):
        _write(paths, (dates, side, side))
    images = {name: np.load(paths[name], mmap_mode="r") for name in ("VV", "VH")}
    return SyntheticCube(folder / f"{side}-{dates}.zarr", manifest, dates, images)


def _write(paths: dict[str, Path], shape: tuple[int, int, int]) -> None:
    """Backscatter that follows one moisture, with a span of the pixel's own, and speckle."""
    random = np.random.default_rng(0)
    moisture, (_, height, width) = random.beta(1, 2, shape[0]), shape
    span, speckle = random.uniform(100, 900, (height, width)), random.normal(0, 60, (height, width))
    for name, level in (("VV", -1500), ("VH", -2200)):
        images = np.lib.format.open_memmap(paths[name], "w+", np.int16, shape)
        for date, wet in enumerate(moisture):
            images[date] = level + span * wet + np.roll(speckle, (17 * date, 31 * date + level), (0, 1))
        images.flush()
    counts = np.lib.format.open_memmap(paths["count"], "w+", np.uint16, shape)
    counts[:] = 9
    counts.flush()


@dataclass(frozen=True)
class Bench:
    """A synthetic extent and what the stages share."""

    cube: SyntheticCube
    config: TrainConfig
    count: npt.NDArray[np.uint16]

    @classmethod
    def of(cls, folder: Path, megapixels: float, dates: int) -> Bench:
        """Write it unless it is there."""
        cube = synthetic(folder, megapixels, dates)
        with initialize_config_dir(str(CONF), version_base="1.3"):
            values = OmegaConf.to_container(compose("train", list(OVERRIDES)), resolve=True)
        assert isinstance(values, dict)
        config = parse(TrainConfig, {str(key): value for key, value in values.items()})
        side = cube.manifest.shape[0]
        return cls(cube, config, np.load(folder / f"count-{side}-{dates}.npy", mmap_mode="r"))

    @property
    def training(self) -> npt.NDArray[np.bool_]:
        """All but the last season."""
        from mlssm.patches.dates import seasons

        season = seasons(self.cube.local_days, 9)
        return np.asarray(season < season.max())

    def stack(self) -> Any:
        """The images as a stack."""
        from mlssm.retrieval.stack import ExtentStack, Stack
        from mlssm.retrieval.working_grid import working_grid

        images = self.cube.images
        extent = ExtentStack(images["VV"], self.count, 0.7, ((0.3, images["VH"]),))
        return Stack(working_grid(self.cube, self.config.retrieval), (extent,), {"VV": 0.7, "VH": 0.3})

    def field(self) -> Any:
        """The weather at pixels."""
        from mlssm.data.layers import extent_places
        from mlssm.retrieval.working_grid import working_grid
        from mlssm.weather.field import WeatherField

        places = extent_places(self.cube, working_grid(self.cube, self.config.retrieval))
        return WeatherField(self.cube.weather, self.cube.station_xy, places, self.config.weather)

    def clear(self) -> Any:
        """No frost and no snow."""
        from mlssm.retrieval.masks import DateMasks

        return DateMasks({}, (self.cube.manifest.shape,))

    def retrieval(self) -> Any:
        """Fitted labels."""
        from mlssm.retrieval.fit import fit_retrieval

        return fit_retrieval(self.cube, self.stack(), self.config.retrieval, self.training, self.clear())


Stage = Callable[[Bench], Callable[[], Any]]


def masks(bench: Bench) -> Callable[[], Any]:
    """Frost and snow of all dates."""
    from mlssm.retrieval.masks import frozen_or_snowy

    field, days = bench.field(), bench.cube.local_days
    return lambda: frozen_or_snowy(field, days, bench.config.retrieval, bench.cube.morning)


def fit(bench: Bench) -> Callable[[], Any]:
    """References, masks and the error of labels."""
    from mlssm.retrieval.fit import fit_retrieval

    stack, clear = bench.stack(), bench.clear()
    return lambda: fit_retrieval(bench.cube, stack, bench.config.retrieval, bench.training, clear)


def prefit(bench: Bench) -> Callable[[], Any]:
    """The closed-form response, and the maps that a network is fed with."""
    from mlssm.data.prefit import Told, fit_prefit
    from mlssm.patches.dates import seasons
    from mlssm.response.extents import Backscatter, Drivers

    cube, stack = bench.cube, bench.stack()
    source = Backscatter(cube, stack, None, bench.clear(), bench.config.retrieval)
    told = Told(bench.training, seasons(cube.local_days, 9), cube.window_ends, 9, nowcast=False)
    drivers = Drivers(bench.field())
    return lambda: fit_prefit(source, drivers, told)


def _features(bench: Bench) -> tuple[Any, Any]:
    """What makes inputs, and the weather of all dates."""
    from mlssm.data.assemble import all_moments
    from mlssm.data.features import FeatureSource
    from mlssm.data.layers import extent_layers
    from mlssm.data.scaling import fit_spec

    cube, config, field = bench.cube, bench.config, bench.field()
    moments = all_moments(field, cube.window_ends, cube.local_days, config.window)
    layers = extent_layers(cube, bench.stack().working, ("elevation", "slope"))
    spec = fit_spec(field, layers, moments, bench.training, config.features)
    return FeatureSource(field, layers, spec, 1), dict(enumerate(moments))


def features(bench: Bench) -> Callable[[], Any]:
    """Layers, their scaling, and the scaled layers."""
    return lambda: _features(bench)


def _index(bench: Bench, retrieval: Any, source: Any, moments: Any) -> Any:
    from mlssm.data.assemble import label_map
    from mlssm.data.rebalancing import plan_training, training_pool
    from mlssm.patches.dates import split_dates
    from mlssm.patches.inclusion import lattice_pixels
    from mlssm.patches.index import build_index
    from mlssm.patches.membership import Membership

    config, working = bench.config, retrieval.stack.working
    membership = Membership.of(working, split_dates(bench.cube.local_days, config.split), config.patches, config.split)
    labels, times = label_map(retrieval, source, moments), np.arange(len(bench.cube.times))
    index = build_index(labels, times, working, membership, config.patches)
    pool = training_pool(index, config.sampler)
    places = times, working, membership, config.patches
    plan_training(pool, config, labels, lambda: lattice_pixels(labels, *places))
    return index


def index(bench: Bench) -> Callable[[], Any]:
    """The patch index and the plan of an epoch."""
    retrieval, parts = bench.retrieval(), _features(bench)
    return lambda: _index(bench, retrieval, *parts)


@dataclass(frozen=True)
class Constant:
    """A model that costs nothing, so that what is left is the scoring."""

    name: str

    def predict(self, places: Sequence[Any], batch: Any) -> Any:
        """The label of a neighbour."""
        return batch.target.roll(1, -1).nan_to_num(0.5).double()


def evaluation(bench: Bench) -> Callable[[], Any]:
    """The scores of nine models on the test season, by threads."""
    from mlssm.config import DaskConfig
    from mlssm.data.dataset import PatchDataset
    from mlssm.evaluation.evaluate import Settings, evaluate_split
    from mlssm.evaluation.parts import open_crew
    from mlssm.scores.cells import Layout

    retrieval, parts = bench.retrieval(), _features(bench)
    found = _index(bench, retrieval, *parts)
    test = PatchDataset(found[(found["split"] == "test") & (found["pass"] == 1)], 64, retrieval, *parts)
    layout = Layout.of_metres([bench.cube.manifest.shape], bench.config.evaluation.block_m, PIXEL)
    settings = Settings(layout, 16, bench.config.ssm_bins, bench.config.evaluation.wet_thresholds)
    models = [Constant(f"model {number}") for number in range(9)]

    def scored() -> Any:
        with open_crew(DaskConfig(), bench.cube.path) as crew:
            return evaluate_split(models, test, settings, crew)

    return scored


STAGES: dict[str, Stage] = {each.__name__: each for each in (masks, fit, features, prefit, index, evaluation)}


@contextmanager
def peak() -> Iterator[list[float]]:
    """Fills a list with the most memory in use above what is in use now, MB, looked at every few milliseconds."""
    most, stop, found = [_anonymous()], threading.Event(), []  # type: list[float], threading.Event, list[float]
    begin = most[0]

    def watch() -> None:
        while not stop.wait(0.003):
            most[0] = max(most[0], _anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
        found.append((max(most[0], _anonymous()) - begin) / 1e6)


def _anonymous() -> float:
    """Bytes of this process that are nobody's file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return float(line.split()[1]) * 1024
    raise RuntimeError("this system's /proc/self/status has no RssAnon")


def measure(stage: str, folder: Path, megapixels: float, dates: int) -> dict[str, Any]:
    """One stage, in this process."""
    logging.basicConfig(level=logging.ERROR)
    bench = Bench.of(folder, megapixels, dates)
    run = STAGES[stage](bench)
    with peak() as most:
        begin = time.process_time()
        kept = run()
        seconds = time.process_time() - begin
    del kept
    per = seconds / (megapixels * dates)
    return {"stage": stage, "Mpx": megapixels, "dates": dates, "cpu_s": round(seconds, 2),
            "s_per_mpx_date": round(per, 4), "peak_mb": round(most[0])}  # fmt: skip


def main() -> None:
    """Print a line a stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the synthetic images are kept")
    parser.add_argument("--megapixels", type=float, default=4.0)
    parser.add_argument("--dates", type=int, default=50)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--here", action="store_true", help="one stage, in this process")
    told = parser.parse_args()
    if told.here:
        print(json.dumps(measure(told.stages[0], told.folder, told.megapixels, told.dates)))
        return
    told.folder.mkdir(parents=True, exist_ok=True)
    Bench.of(told.folder, told.megapixels, told.dates)
    for stage in told.stages:
        size = ["--megapixels", str(told.megapixels), "--dates", str(told.dates)]
        command = [sys.executable, __file__, str(told.folder), "--here", "--stages", stage, *size]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
