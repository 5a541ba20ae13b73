"""What comes after an area is prepared, stage by stage, on a made-up stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from made_up_area import composed
from made_up_stack import MadeUpCube, made_up_cube, stack_of

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment, all_moments, label_map
from mlssm.data.dataset import PatchDataset
from mlssm.data.features import FeatureSource
from mlssm.data.layers import extent_layers, extent_places
from mlssm.data.moment import Moment
from mlssm.data.prefit import Told, fit_prefit
from mlssm.data.rebalancing import plan_training, training_pool
from mlssm.data.scaling import fit_spec
from mlssm.evaluation.evaluate import evaluate
from mlssm.patches.dates import seasons, split_dates
from mlssm.patches.inclusion import lattice_pixels
from mlssm.patches.index import build_index
from mlssm.patches.membership import Membership
from mlssm.response.bank import MANY_DATES
from mlssm.response.driver_maps import Drivers
from mlssm.response.extents import Backscatter
from mlssm.retrieval.fit import Retrieval, fit_retrieval
from mlssm.retrieval.masks import DateMasks, frozen_or_snowy
from mlssm.retrieval.stack import Stack
from mlssm.weather.field import WeatherField
from mlssm.workers import open_workers

# working pixels are the cube's; a network that costs little, as what is measured lies around it
TOLD = ("retrieval.multilook=moving", "datamodule.root=.", "model=reservoir", "model.lag=1", "evaluation.controls=[]")
TOLD += ("features.static=[elevation,slope]",)
# of scores, which cost by the patch: the index has those of the default
LARGE_PATCHES = "patches.size=64", "patches.dense_stride=32"
MONTH = 9  # that seasons begin with


@dataclass(frozen=True)
class Bench:
    """A made-up stack and what the stages share; each thing is made when it is first asked for."""

    cube: MadeUpCube
    config: TrainConfig

    @classmethod
    def of(cls, folder: Path, megapixels: float, dates: int) -> Bench:
        """Write its images into a folder unless they are there."""
        return cls(made_up_cube(folder, megapixels, dates), composed(*TOLD))

    @property
    def seasons(self) -> npt.NDArray[np.int64]:
        """Of each time."""
        return seasons(self.cube.local_days, MONTH)

    def training(self, held_out: int = 1) -> npt.NDArray[np.bool_]:
        """All but the last seasons."""
        return np.asarray(self.seasons <= self.seasons.max() - held_out)

    @cached_property
    def stack(self) -> Stack:
        """The images."""
        return stack_of(self.cube, self.config)

    @cached_property
    def field(self) -> WeatherField:
        """The weather at pixels."""
        places = extent_places(self.cube, self.stack.working)
        return WeatherField(self.cube.weather, self.cube.station_xy, places, self.config.weather)

    @property
    def clear(self) -> DateMasks:
        """No frost and no snow."""
        return DateMasks({}, (self.cube.manifest.shape,))

    @cached_property
    def retrieval(self) -> Retrieval:
        """Fitted labels."""
        return fit_retrieval(self.cube, self.stack, self.config.retrieval, self.training(), self.clear)

    @cached_property
    def inputs(self) -> tuple[FeatureSource, dict[int, Moment]]:
        """What makes inputs, and the weather of all dates."""
        moments = all_moments(self.field, self.cube.window_ends, self.cube.local_days, self.config.window)
        layers = extent_layers(self.cube, self.stack.working, self.config.features.static)
        spec = fit_spec(self.field, layers, moments, self.training(), self.config.features)
        return FeatureSource(self.field, layers, spec, 1), dict(enumerate(moments))

    @cached_property
    def membership(self) -> Membership:
        """Seasons held out."""
        split = split_dates(self.cube.local_days, self.config.split)
        return Membership.of(self.stack.working, split, self.config.patches, self.config.split)

    def indexed(self) -> tuple[pd.DataFrame, Any]:
        """The patch index, and the plan of an epoch."""
        config, times = self.config, np.arange(len(self.cube.times))
        labels = label_map(self.retrieval, *self.inputs)
        places = times, self.stack.working, self.membership, config.patches
        index = build_index(labels, *places)
        pool = training_pool(index, config.sampler)
        return index, plan_training(pool, config, labels, lambda: lattice_pixels(labels, *places))

    @cached_property
    def experiment(self) -> Experiment:
        """All that an evaluation reads."""
        (index, plan), (features, moments) = self.indexed(), self.inputs
        parts = self.config.patches.size, self.retrieval, features, moments
        chosen = {name: index[(index["split"] == name) & (index["pass"] == 1)] for name in ("train", "val", "test")}
        datasets: Mapping[str, PatchDataset] = {name: PatchDataset(rows, *parts) for name, rows in chosen.items()}
        known = self.cube, self.stack, self.field, self.cube.window_ends, self.retrieval, features, moments
        return Experiment(*known, index, datasets, plan, None, two_pass_everywhere=False)


Stage = Callable[[Bench], Callable[[], Any]]


def masks(bench: Bench) -> Callable[[], Any]:
    """Frost and snow of all dates."""
    days, field, morning = bench.cube.local_days, bench.field, bench.cube.morning
    return lambda: frozen_or_snowy(field, days, bench.config.retrieval, morning)


def fit(bench: Bench) -> Callable[[], Any]:
    """References, masks and the error of labels."""
    training = bench.training()
    return lambda: fit_retrieval(bench.cube, bench.stack, bench.config.retrieval, training, bench.clear)


def prefit(bench: Bench) -> Callable[[], Any]:
    """The closed form with a fixed driver, on two training seasons, and the maps that a network is fed with."""
    return _closed_form(bench, bench.training(2))


def nowcast(bench: Bench) -> Callable[[], Any]:
    """The same, with maps that know earlier images of the season."""
    return _closed_form(bench, bench.training(2), nowcast=True)


def bank(bench: Bench) -> Callable[[], Any]:
    """The closed form on three training seasons, on so many dates that a bank of drivers is weighed."""
    training = bench.training()
    if training.sum() < MANY_DATES:
        raise SystemExit(f"stage bank needs {MANY_DATES} training dates, not {training.sum()}: --dates 100")
    return _closed_form(bench, training)


def _closed_form(bench: Bench, training: npt.NDArray[np.bool_], *, nowcast: bool = False) -> Callable[[], Any]:
    cube = bench.cube
    source = Backscatter(cube, bench.stack, None, bench.clear, bench.config.retrieval)
    told = Told(training, bench.seasons, cube.window_ends, MONTH, nowcast=nowcast)
    drivers = Drivers(bench.field)

    def fit() -> Any:
        with open_workers(bench.config.dask):
            return fit_prefit(source, drivers, told)

    return fit


def features(bench: Bench) -> Callable[[], Any]:
    """Layers, their scaling, and the scaled layers."""
    assert bench.field
    return lambda: bench.inputs


def index(bench: Bench) -> Callable[[], Any]:
    """The patch index and the plan of an epoch."""
    assert bench.retrieval
    assert bench.inputs
    return bench.indexed


def evaluation(bench: Bench) -> Callable[[], Any]:
    """An untrained network alone, scored on the test season."""
    return _scored(bench, bare=True)


def baselines(bench: Bench) -> Callable[[], Any]:
    """All baselines, fitted on the training seasons, and scored beside the network on the test season."""
    return _scored(bench, bare=False)


def _scored(bench: Bench, *, bare: bool) -> Callable[[], Any]:
    bench = Bench(bench.cube, composed(*TOLD, *LARGE_PATCHES))
    experiment = bench.experiment
    network = bench.config.model.build(experiment.spec, spread=bench.config.loss.needs_spread).eval()
    torch.set_num_threads(1)
    return lambda: evaluate(experiment, network, bench.config, ("test",), bare=bare)


STAGES: dict[str, Stage] = {
    "masks": masks,
    "fit": fit,
    "features": features,
    "prefit": prefit,
    "nowcast": nowcast,
    "bank": bank,
    "index": index,
    "evaluate": evaluation,
    "baselines": baselines,
}
