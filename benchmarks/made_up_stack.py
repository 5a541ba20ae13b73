"""A multilooked stack that is made up in seconds, as files that lie in memory as they are read, and its weather."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlssm.config import TrainConfig
from mlssm.cube import BACKSCATTER_SCALE, Cube, unpack
from mlssm.grid import Window
from mlssm.manifest import FORMAT, Manifest
from mlssm.retrieval.stack import ExtentStack, Stack
from mlssm.retrieval.working_grid import working_grid
from mlssm.scratch import watched
from mlssm.weather.stations import VARIABLES, StationWeather

PIXEL, SEASONS, STATIONS = 30.0, 4, 6
LEVELS = {"VV": -1500, "VH": -2200}  # steps of 0.01 dB
LOOKS = np.uint16(9)  # that a value averages
FIRST = np.datetime64("2018-09-01T14:00:00", "s")
Packed = npt.NDArray[np.int16]


@dataclass(frozen=True)
class MadeUpCube(Cube):
    """A cube whose images are memory-mapped files: as large as is asked for; working pixels are its own."""

    dates: int = 20
    images: dict[str, Packed] = field(default_factory=dict)

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Acquisitions, spread evenly over the seasons from September on."""
        return FIRST + np.linspace(10, 365 * SEASONS - 10, self.dates).astype("timedelta64[D]")

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
        return unpack(self.images[polarisation][time][extent.slices], BACKSCATTER_SCALE)

    def static(self, feature: str, extent: Window) -> npt.NDArray[np.float32]:
        """A ramp."""
        rows = np.arange(extent.row, extent.row + extent.height, dtype=np.float32)[:, None]
        return np.broadcast_to(rows, extent.shape) + np.zeros(extent.shape, np.float32)

    def dated_days(self, name: str) -> npt.NDArray[np.datetime64]:
        """None."""
        return np.zeros(0, "datetime64[D]")


def made_up_cube(folder: Path, megapixels: float, dates: int) -> MadeUpCube:
    """A cube of one extent, whose images are written into a folder unless they are there."""
    side = round(math.sqrt(megapixels * 1e6) / 64) * 64
    manifest = Manifest(
        format=FORMAT, mlssm="benchmark", digest="0", files={}, skipped=(), crs="EPSG:32611", origin=(0, 4_000_000),
        pixel=PIXEL, shape=(side, side), extents=((0, 0, side, side),), time_zone="America/Los_Angeles",
        polarisations=("VV", "VH"), features=("elevation", "slope"), orbits=(), looks=10,
        stations=tuple(f"S{number}" for number in range(STATIONS)), variables=VARIABLES, left_out=(), weather_notes=(),
    )  # fmt: skip
    paths = {name: folder / f"{name}-{side}-{dates}.npy" for name in LEVELS}
    if not all(path.is_file() for path in paths.values()):
        _write(paths, (dates, side, side))
    images = {name: watched(np.load(path, mmap_mode="r")) for name, path in paths.items()}
    return MadeUpCube(folder / f"{side}-{dates}.zarr", manifest, dates, images)


def _write(paths: dict[str, Path], shape: tuple[int, int, int]) -> None:
    """Backscatter that follows one moisture, with a span of the pixel's own, and speckle."""
    random = np.random.default_rng(0)
    moisture, (_, height, width) = random.beta(1, 2, shape[0]), shape
    span, speckle = random.uniform(100, 900, (height, width)), random.normal(0, 60, (height, width))
    for name, level in LEVELS.items():
        images = np.lib.format.open_memmap(paths[name], "w+", np.int16, shape)
        for date, wet in enumerate(moisture):
            images[date] = level + span * wet + np.roll(speckle, (17 * date, 31 * date + level), (0, 1))
        images.flush()


def stack_of(cube: MadeUpCube, config: TrainConfig) -> Stack:
    """Its images as a stack, as if they had been multilooked."""
    images = cube.images
    extent = ExtentStack(images["VV"], np.broadcast_to(LOOKS, images["VV"].shape), 0.7, ((0.3, images["VH"]),))
    return Stack(working_grid(cube, config.retrieval), (extent,), {"VV": 0.7, "VH": 0.3})
