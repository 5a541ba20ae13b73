"""Fixtures that the whole suite shares."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import gc
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import yaml
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hypothesis import HealthCheck, settings
from omegaconf import OmegaConf
from rasterio.transform import Affine

from mlssm.config import DatamoduleConfig, TrainConfig, parse
from mlssm.grid import Grid

if TYPE_CHECKING:  # the process that hands out the tests runs none, and the workers wait for it
    from mlssm.cube import Cube
    from mlssm.data.assemble import Experiment

# two workers share the cores: threads that wait for each other cost more than they bring, also in what tests start
os.environ["OMP_NUM_THREADS"] = "1"
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # Hydra reads dozens of files for each command
# a busy machine is no fault of what is tested
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
os.fsync = lambda handle: None  # no test cuts the power, and to wait for the disk is a fifth of a preparation's time
gc.disable()  # to look for garbage among what is being imported is a fifth of the imports' time

TESTS = Path(__file__).parent
TOGETHER = ("evaluation", "tracking")  # rooms whose modules share what takes seconds to make: one process tests each


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}

    def turn(item: pytest.Item) -> tuple[bool, ...]:
        room = item.path.relative_to(TESTS).parts[0]
        return room not in TOGETHER, room != "integration", item.path not in slow

    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give workers a module, or one of the rooms `TOGETHER`, at a time, in the order of collection."""
    from xdist.scheduler import LoadScopeScheduling

    class Rooms(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return next((room for room in TOGETHER if module.startswith(f"tests/{room}/")), module)

    config.option.loadscopereorder = False  # by the number of tests
    return Rooms(config, log)


def pytest_collection_finish() -> None:
    """Leave what the imports made out of later collections of garbage, each of which takes half a second with it."""
    gc.freeze()
    gc.set_threshold(700, 10, 1_000)  # whole collections only between modules, see `without_garbage`
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def without_garbage() -> Iterator[None]:
    """Find what is not closed in the module that left it so, and leave what it imported out of later collections."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def sqlite_without_sync() -> None:
    """Let commits not wait for the disk, either: MLflow makes dozens for each run."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def connected(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connected)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what one worker makes and the others find."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


SHARED = Path(__file__).resolve().parents[2] / "shared"
CONF = Path(__file__).resolve().parents[1] / "conf"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real input and reference numbers beside the checkout; without it a test skips."""
    if not (SHARED / "santa_barbara").is_dir():
        pytest.skip(f"real input is not at {SHARED.name}/ beside the checkout")
    return SHARED


def compose_plain(primary: str, *overrides: str) -> dict[str, Any]:
    """What Hydra composes from `conf/`, as plain containers."""
    return copy.deepcopy(_composed_once(primary, overrides))


@functools.cache
def _composed_once(primary: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose(primary, list(overrides)), resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


@pytest.fixture(scope="session")
def composed() -> Callable[..., dict[str, Any]]:
    """Composes the shipped configuration: the primary one's name, then overrides."""
    return compose_plain


@pytest.fixture(scope="session")
def conf_folder() -> str:
    """The folder of the shipped configuration."""
    return str(CONF)


@pytest.fixture(scope="session")
def opera_conf() -> dict[str, Any]:
    """The shipped configuration of `datamodule=opera_rtc`, its root to be replaced."""
    conf = compose_plain("train", "datamodule=opera_rtc", "datamodule.root=.")["datamodule"]
    assert isinstance(conf, dict)
    return conf


@dataclass(frozen=True)
class AreaFiles:
    """Writes the files of a small area, as their producers deliver them.

    Attributes:
        root: The area's folder.
        conf: The shipped configuration of `datamodule=opera_rtc`.
    """

    root: Path
    conf: dict[str, Any]

    def raster(
        self,
        name: str,
        values: npt.ArrayLike,
        corner: tuple[float, float] = (240000, 3816000),
        pixel: float = 30,
        crs: str | None = "EPSG:32611",
        nodata: float | None = np.nan,
        **profile: Any,
    ) -> Path:
        """Write one band; `corner` is the upper left in the CRS."""
        path, band = self.root / name, np.asarray(values)
        path.parent.mkdir(parents=True, exist_ok=True)
        fixed = {"driver": "GTiff", "count": 1, "dtype": band.dtype.name, "nodata": nodata, "crs": crs}
        fixed |= {"height": band.shape[0], "width": band.shape[1]}
        fixed |= {"transform": Affine(pixel, 0, corner[0], 0, -pixel, corner[1])}
        with rasterio.open(path, "w", **fixed | profile) as file:
            file.write(band, 1)
        return path

    def image(
        self,
        values: npt.ArrayLike,
        time: str = "20230101T015902",
        pol: str = "VV",
        burst: str = "T137-292319-IW2",
        processed: str = "20230201T000000",
        **place: Any,
    ) -> Path:
        """Write one burst in linear power, under an OPERA RTC-S1 name."""
        name = f"OPERA_L2_RTC-S1_{burst}_{time}Z_{processed}Z_S1A_30_v1.0_{pol}.tif"
        return self.raster(f"sentinel1/{name}", np.asarray(values, np.float32), **place)

    def weather(self, first: str = "2022-12-01", days: int = 40) -> Path:
        """Write two stations with all elements."""
        path = self.root / "weather"
        path.mkdir(parents=True, exist_ok=True)
        for number, (lat, lon) in enumerate([(34.42, -119.85), (34.46, -119.80)]):
            lines = ["STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP,TMAX,TMIN,AWND,RHAV"]
            for day in range(days):
                date = dt.date.fromisoformat(first) + dt.timedelta(day)
                weather = f"{7 * day % 50},{180 + (day + number) % 9},{80 + day % 7},{20 + day % 3},60"
                lines.append(f"S{number},{date},{lat},{lon},{10 + 50 * number},{weather}")
            (path / f"S{number}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def config(self, **changes: Any) -> DatamoduleConfig:
        """The area's configuration, DEM, soil and NDVI left out; a section's changes are merged into it."""
        values = self.conf | {"root": self.root, "cubes": self.root.parent / "cubes", "dem": None}
        for key, change in changes.items():
            values[key] = values[key] | change if isinstance(change, dict) else change
        return parse(DatamoduleConfig, values)


@pytest.fixture(scope="session")
def area_files_in(opera_conf: dict[str, Any]) -> Callable[[Path], AreaFiles]:
    """Writes a small area's files in a folder."""
    return lambda folder: AreaFiles(folder / "area", opera_conf)


@pytest.fixture
def area_files(tmp_path: Path, area_files_in: Callable[[Path], AreaFiles]) -> AreaFiles:
    """Writes a small area's files in the test's folder."""
    return area_files_in(tmp_path)


@pytest.fixture
def small_grid() -> Grid:
    """24 x 24 pixels of 30 m where `area_files` writes by default."""
    return Grid("EPSG:32611", (240000, 3816000), 30, 24, 24)


@pytest.fixture(scope="session")
def speckled() -> npt.NDArray[np.float32]:
    """Linear power of 24 x 24 pixels, all positive."""
    return np.random.default_rng(0).gamma(4, 0.02, (24, 24)).astype(np.float32)


@pytest.fixture(scope="session")
def shepard() -> Callable[..., npt.NDArray[np.float64]]:
    """Interpolates a window of stations [T, S, V] to pixels [T, V, h, w] by Shepard's formula, value by value."""
    return interpolated


def interpolated(
    window: npt.NDArray[np.float64],
    variables: tuple[str, ...],
    stations: tuple[npt.NDArray[np.float64], ...],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    elevation: npt.NDArray[np.floating[Any]],
) -> npt.NDArray[np.float64]:
    """The eight nearest stations with a value, by the inverse square of their distance; 6.5 K/km for temperatures."""
    east, north, height = stations
    found = np.full((len(window), len(variables), len(y), len(x)), np.nan)
    for step, kind, row, col in np.ndindex(found.shape):
        values = window[step, :, kind].copy()
        if "temperature" in variables[kind]:
            values += 0.0065 * np.nan_to_num(height - elevation[row, col])  # what is unknown counts as level
        known = np.flatnonzero(np.isfinite(values))
        squares = (east[known] - x[col]) ** 2 + (north[known] - y[row]) ** 2
        nearest = np.argsort(squares)[:8]
        if known.size:
            found[step, kind, row, col] = np.average(values[known][nearest], weights=1 / squares[nearest])
    return found


def cut_in_half(path: Path) -> None:
    """Truncate a file, as a broken download leaves it."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.fixture
def truncate() -> Any:
    """Cuts a file in half."""
    return cut_in_half


@pytest.fixture(scope="session")
def train_config() -> Callable[..., TrainConfig]:
    """The shipped training configuration, with overrides."""
    return lambda *overrides: parse(TrainConfig, compose_plain("train", *overrides))


@dataclass(frozen=True)
class Watershed:
    """An area's cube, and what Hydra is told to find it.

    Attributes:
        cube: The cube.
        overrides: Of the shipped configuration.
    """

    cube: Cube
    overrides: tuple[str, ...]

    @property
    def root(self) -> Path:
        """The folder of its files."""
        return self.config().datamodule.root

    def config(self, *more: str) -> TrainConfig:
        """The configuration, with more overrides."""
        return parse(TrainConfig, compose_plain("train", *self.overrides, *more))

    def experiment(self, *more: str) -> Experiment:
        """Labels, features and patches under more overrides."""
        from mlssm.data.assemble import assemble

        return assemble(self.cube, self.config(*more))


# what tests of labels, patches and features count on, whatever the shipped defaults are
PINNED = (
    *(
        "model=convlstm",
        "model.lag=3",
        "model.window=sequence",
        "split=by_season",
        "sampler=natural",
        "weather.min_coverage=0.75",
        "weather.bridge_days=0",
    ),
    *(
        "retrieval.multilook=block",
        "retrieval.min_valid_fraction=0.5",
        "retrieval.min_dates=5",
        "retrieval.per_orbit=true",
    ),
    *("retrieval.polarisation=VV", "retrieval.min_sensitivity_speckle=0"),
    *("retrieval.double_bounce_above_db=null", "retrieval.edge_below_db=null"),
    *("retrieval.min_sensitivity_db=2", "retrieval.water_below_db=-20", "retrieval.incidence_slope=false"),
    *("features.on_missing=fill", "patches.min_valid_fraction=0.1", "patches.high_ssm=0.6"),
)


def open_watershed(*changes: str) -> Watershed:
    """Simulate and prepare, unless that is done."""
    from mlssm.jobs.area import open_area

    overrides = (*PINNED, *changes)
    config = parse(TrainConfig, compose_plain("train", *overrides))
    return Watershed(open_area(config.datamodule, "error"), overrides)


@pytest.fixture(scope="session")
def watersheds(common: Path) -> Callable[..., Watershed]:
    """Simulated watersheds of three seasons and 60 x 60 pixels without vegetation, with changes; each made once."""

    @functools.cache
    def make(*changes: str) -> Watershed:
        simulation = {"size": 60, "seasons": 3, "revisit_days": 20, "stations": 4, "vegetation_attenuation": 0}
        small = [f"datamodule.simulation.{key}={value}" for key, value in simulation.items()]
        folder = common / "watersheds" / hashlib.sha256(repr(changes).encode()).hexdigest()[:8]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            return open_watershed(
                *small, f"datamodule.root={folder / 'area'}", f"datamodule.cubes={folder / 'cubes'}", *changes
            )

    return make


@pytest.fixture(scope="session")
def watershed(watersheds: Callable[..., Watershed]) -> Watershed:
    """The simulated watershed with speckle."""
    return watersheds()


@pytest.fixture(scope="session")
def silent_watershed(watersheds: Callable[..., Watershed]) -> Watershed:
    """The same without speckle."""
    return watersheds("datamodule.simulation.speckle=false")


@pytest.fixture(scope="session")
def santa_barbara(shared: Path, common: Path) -> Watershed:
    """The real area, prepared."""
    places = [f"datamodule.root={shared / 'santa_barbara'}", f"datamodule.cubes={common / 'real'}"]
    with FileLock(common / "real.lock"):
        return open_watershed("datamodule=opera_rtc", *places)
