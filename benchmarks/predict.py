"""Pixels a second of daily maps: each day in blended tiles, as it was; windows that share days; a carried state.

    python benchmarks/predict.py [--size 512] [--days 30] [--lags 10 30] [--residuals convlstm multirate_convlstm]
        [--ways windows carried] [Hydra overrides]

Simulates a watershed of the size of a command's tiles in a temporary folder, fits the closed form there, draws random
weights (how fast a map is does not depend on what a network has learnt), and calibrates intervals on a small one. All
ways take turns in one process, on one core; its own processor time counts. What is mapped is a working pixel on a day.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from turns import fastest

from mlssm.bundle import Bundle
from mlssm.config import DaskConfig, PredictConfig, TrainConfig, parse
from mlssm.data.assemble import Experiment, assemble
from mlssm.data.prefit import LEVERAGE, memory_maps, prefit_maps
from mlssm.grid import Window
from mlssm.inference.carried_maps import carried_maps
from mlssm.inference.certainty import ExtentCertainty, Wanted
from mlssm.inference.extent import map_whole
from mlssm.inference.flags import WATER, DayFlags, flags
from mlssm.inference.mapper import window_end
from mlssm.inference.means import ExtentPart, extent_means
from mlssm.inference.opened import Opened, Place
from mlssm.inference.part_maps import part_maps
from mlssm.inference.prefit import fitted_state
from mlssm.inference.square import PartPlace
from mlssm.inference.surround import Surround
from mlssm.jobs.area import open_area
from mlssm.jobs.calibrate import calibrate
from mlssm.jobs.stream import days_together
from mlssm.jobs.tile import TileJob, tile_bands
from mlssm.workers import open_workers
from patches import compose_config

ROUNDS, FEW_DAYS = 2, 4
LAGS = 10, 30
RESIDUALS = "convlstm", "multirate_convlstm"
TILE, OVERLAP = 128, 32  # of the way before
LIMIT_GFLOPS = 84.0  # of a core: 2048 x 2048 matrices
WAYS = "windows", "carried"
SMALL = 200  # pixels along the watershed that intervals are calibrated on
AREA = ("retrieval.multilook=moving", "retrieval.multilook_m=90", "datamodule.simulation.seasons=4")
AREA += ("datamodule.simulation.revisit_days=24", "datamodule.simulation.stations=12", "split=by_season")


@dataclass(frozen=True)
class Opening(Place):
    """A run that is open already."""

    own: Opened | None = None

    def opened(self) -> Opened:
        """It."""
        assert self.own is not None
        return self.own


@dataclass(frozen=True)
class Job:
    """A model on an extent, and the days that are mapped."""

    ways: tuple[Opened, Opened]
    days: npt.NDArray[np.datetime64]
    predict: PredictConfig

    @property
    def opened(self) -> Opened:
        """The model, by windows."""
        return self.ways[False]

    @property
    def shape(self) -> tuple[int, int]:
        """Of the extent."""
        return self.opened.shapes[0]

    @property
    def place(self) -> PartPlace:
        """All of it."""
        return PartPlace(*[Window(0, 0, *self.shape)] * 2, self.shape)

    @property
    def steps(self) -> int:
        """Of a window."""
        return self.opened.bundle.window.steps

    def on(self, *, carried: bool) -> Opened:
        """The model, with or without a carried state."""
        return self.ways[carried]

    @property
    def work(self) -> int:
        """Working pixels on all days."""
        return self.shape[0] * self.shape[1] * len(self.days)


def fitted(config: TrainConfig) -> tuple[Experiment, nn.Module]:
    """An area with all but the network fitted, and a network whose weights are random."""
    cube = open_area(config.datamodule, config.on_bad_file, config.weather, config.retrieval, config.dask)
    experiment = assemble(cube, config)
    torch.manual_seed(0)
    network = config.model.build(experiment.spec, spread=False).eval()
    for values in network.parameters():
        nn.init.normal_(values, std=0.1)
    return experiment, network


def certain(config: TrainConfig) -> dict[str, Any]:
    """How sure maps are, calibrated on an area."""
    return calibrate(*fitted(config), config, None).state()


def described(config: TrainConfig, experiment: Experiment, kept: dict[str, Any] | None = None) -> Bundle:
    """What a bundle says of a model."""
    told = {"crs": experiment.cube.grid.crs, "pixel_m": experiment.stack.working.grid.pixel, "pass_is_evening": True}
    return Bundle.of(config, experiment.spec, label_digest="", cube_digest="", fitted=kept, **told)


def prepare(config: TrainConfig, small: TrainConfig, days: int) -> Job:
    """Fit all but the network, and calibrate on a small area."""
    experiment, network = fitted(config)
    state, cube, stack = {**fitted_state(experiment), **certain(small)}, experiment.cube, experiment.stack
    certainty = ExtentCertainty.restored(state, stack.working)
    opened = Opened("run", described(config, experiment), cube, stack, network, state, certainty)
    first = cube.local_days[-1] - np.timedelta64(days, "D")
    return Job((opened, replace(opened, carried=True)), first + np.arange(days), asked(config, "."))


def asked(config: TrainConfig, output: str) -> PredictConfig:
    """What a command is told."""
    told = {"run": "run", "output": output, "root": None, "tile": TILE, "overlap": OVERLAP, "accelerator": "cpu"}
    products = {"viewer": False, "stac": False, "zones": None, "road_width_m": 30, "netcdf": False, "lhasa": False}
    values = {**told, "dates": None, "thresholds": [0.6, 0.8], "products": {**products, "root_zone_days": None}}
    values |= {"tracking": config.tracking.model_dump(), "on_bad_file": "error"}
    return parse(PredictConfig, values)


def network_before(job: Job) -> None:
    """Each day by itself, in blended tiles; the closed form is there."""
    mapper, moments = _whole(job)
    for moment in moments:
        map_whole(mapper.network, mapper.features, 0, moment, TILE, OVERLAP, job.opened.bundle.model.margin)


def network_windows(job: Job) -> None:
    """Windows of their own that share what days have in common; the closed form is there."""
    mapper, moments = _whole(job)
    part_maps(mapper, job.place, moments, _surround(job, job.steps), None)


def network_carried(job: Job) -> None:
    """A state that is carried from day to day; the closed form is there."""
    mapper, _ = _whole(job)
    for days in days_together(job.on(carried=True), job.days):
        chains = job.on(carried=True).chains(days)
        surround = _surround(job, max(chain.days for chain in chains))
        for _ in carried_maps(mapper, job.place, chains, surround, None):
            pass


def all_before(job: Job) -> None:
    """The same with the closed form, the index of applicability, intervals and flags of each day."""
    opened, (mapper, _) = job.opened, _whole(job)
    certainty, model = opened.certainty, opened.bundle.model
    assert certainty is not None
    assert opened.form is not None
    (form,) = opened.form.extents
    water = mapper.water()
    for day in job.days:
        moment = opened.moment(day)
        assert moment is not None
        (driver,) = mapper.prefit.drivers.driving(form.bank, form.station, 0, np.array([day]))  # type: ignore[union-attr]
        maps = dict(prefit_maps(form.form.forecast(driver), memory_maps(form.memory), None, opened.form.phi))
        assert form.leverage is not None
        maps[LEVERAGE] = np.broadcast_to(form.leverage.at(np.asarray(driver)).astype(np.float32), job.shape)
        known = type(moment)(moment.window, day, (maps,))
        found = map_whole(
            mapper.network, mapper.features, 0, known, TILE, OVERLAP, model.margin, certainty.applicability
        )
        certainty.of(found, 0, known, Wanted(0.9, (0.6, 0.8)))
        mapper.frozen(day)
        flags(DayFlags(False, False), {WATER: water[0]}, found.ssm, {})


def all_now(job: Job, *, carried: bool) -> None:
    """From the area's files to the bands of all days, with the closed form's means over the extent."""
    opened, part = job.on(carried=carried), ExtentPart(0, Window(0, 0, *job.shape))
    place = Opening("run", *[opened.cube.path] * 2, own=opened)
    with open_workers(DaskConfig(workers=1)) as workers:
        for days in days_together(opened, job.days):
            means = extent_means(place, [part], opened.step_days(days), workers)
            for _ in tile_bands(opened, TileJob(place, job.predict, days, means, opened.cube.path), part):
                pass


_KEPT: dict[tuple[int, int], Any] = {}


def _whole(job: Job) -> Any:
    """The extent and its days, opened once: the ways before read it at the start of a command, too."""
    key = id(job.ways), len(job.days)
    if key not in _KEPT:
        if any(own != key[0] for own, _ in _KEPT):
            _KEPT.clear()
        days = np.unique(np.concatenate([job.on(carried=True).step_days(job.days), job.days]))
        mapper = job.opened.part(0, Window(0, 0, *job.shape), days)
        form, bundle = mapper.prefit, mapper.bundle
        maps = {day: form.on(day, window_end(bundle, day)) for day in days}
        made: Any = SimpleNamespace(on=lambda day, _: maps[day], last_day=form.last_day, drivers=form._drivers)
        known = replace(mapper, prefit=made)
        _KEPT[key] = known, [known.moment(day) for day in job.days]
    return _KEPT[key]


def _surround(job: Job, steps: int) -> Surround:
    return Surround.of(job.opened.bundle.model, steps, TILE, OVERLAP)


def gflop(job: Job) -> float:
    """Operations of the network for a pixel on a day, 1e9, if nothing is shared and nothing seen twice."""
    from torch.utils.flop_counter import FlopCounterMode

    opened, side = job.opened, 64
    model, steps, cell = opened.bundle.channels, opened.bundle.window.steps, opened.bundle.model.weather_ratio
    weather = torch.zeros(1, steps, len(model.dynamic), side // cell, side // cell)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        opened.network(weather, torch.zeros(1, len(model.static), side, side))
    return float(counter.get_total_flops()) / side**2 / 1e9


def show(name: str, job: Job, before: Callable[[Job], None], ways: dict[str, Callable[[Job], None]]) -> None:
    """Print pixels a second of all ways, and how many times those of before the others make."""
    few = replace(job, days=job.days[:FEW_DAYS])  # nothing is shared there: days cost alike
    jobs = {"before": (few, before), **{label: (job, way) for label, way in ways.items()}}
    seconds = fastest({label: partial(way, own) for label, (own, way) in jobs.items()}, ROUNDS)
    speed = {label: own.work / seconds[label] for label, (own, _) in jobs.items()}
    found = ", ".join(f"{label} {speed[label]:,.0f} (x {speed[label] / speed['before']:.1f})" for label in ways)
    print(f"  {name:10} before {speed['before']:,.0f}, {found} pixels/s of a core", flush=True)


def main() -> None:
    """Print all ways for each model and lag, and the memory that they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=512, help="pixels along the watershed")
    parser.add_argument("--days", type=int, default=30, help="days that are mapped")
    parser.add_argument("--lags", type=int, nargs="+", default=LAGS, help="days of a window")
    parser.add_argument("--residuals", nargs="+", choices=RESIDUALS, default=RESIDUALS, help="networks")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="that are compared with the one before")
    options, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        for residual, lag in itertools.product(options.residuals, options.lags):
            model = f"response.residual={residual}", f"model.lag={lag}", *overrides
            configs = (configured(Path(folder), size, *model) for size in (options.size, SMALL))
            compare(prepare(*configs, options.days), options.ways, f"response with {residual}, lag {lag}")


def configured(folder: Path, size: int, *overrides: str) -> TrainConfig:
    """A response model on a watershed of so many pixels, in a folder of its own."""
    places = f"datamodule.root={folder}/{size}", f"datamodule.cubes={folder}/cubes"
    return compose_config(*places, f"datamodule.simulation.size={size}", *AREA, "model=response", *overrides)


def compare(job: Job, ways: Sequence[str], title: str) -> None:
    """Print the pixels a second of the network, and of all bands."""
    limit = LIMIT_GFLOPS / gflop(job)
    shape = f"{job.shape[0]} x {job.shape[1]} x {len(job.days)} days"
    print(f"{title}, {shape}; a window's limit is {limit:,.0f} pixels/s", flush=True)
    network = {"windows": network_windows, "carried": network_carried}
    show("network", job, network_before, {name: network[name] for name in ways})
    bands = {name: partial(all_now, carried=name == "carried") for name in ways}
    show("all bands", job, all_before, bands)


if __name__ == "__main__":
    main()
