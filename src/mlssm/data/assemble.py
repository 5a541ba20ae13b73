"""From a cube and a configuration to everything that training, evaluation and mapping need."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import FeaturesConfig, TrainConfig, WeatherConfig, WindowConfig
from mlssm.crew import Crew, open_crew
from mlssm.cube import Cube
from mlssm.data.dataset import PatchDataset
from mlssm.data.features import RAIN, FeatureSource
from mlssm.data.layers import extent_layers, extent_places
from mlssm.data.moment import Moment
from mlssm.data.plan import SamplingPlan
from mlssm.data.prefit import Prefit, Told, fit_prefit, wanted_maps
from mlssm.data.rebalancing import plan_training, training_pool, with_inclusion
from mlssm.data.scaling import fit_spec
from mlssm.data.spec import FeatureSpec
from mlssm.data.usable import UsableLabels
from mlssm.errors import ConfigError, SplitError
from mlssm.patches.dates import seasons, split_dates
from mlssm.patches.inclusion import lattice_pixels
from mlssm.patches.index import LabelMap, build_index
from mlssm.patches.membership import Membership
from mlssm.response.driver_maps import Drivers
from mlssm.response.extents import Backscatter
from mlssm.retrieval.fit import Retrieval, fit_retrieval
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.stack import Stack, load_stack
from mlssm.weather.bridging import bridge, bridged_days, named_days
from mlssm.weather.field import WeatherField
from mlssm.weather.stations import VARIABLES
from mlssm.workers import Workers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    """What one training is made from.

    Attributes:
        cube: The area.
        stack: Its multilooked backscatter.
        field: Its weather at pixels.
        ends: Last day of the antecedent window of each time.
        retrieval: Its labels, fitted on training dates.
        features: Makes the model's inputs.
        moments: Weather and NDVI of each usable time.
        index: The patch index.
        datasets: Patches by "train", "val" and "test": what training draws from, and the regular grid of the others.
        plan: How training draws its patches, and what each weighs.
        prefit: The closed-form response, fitted on the training dates; None where nothing asks for it.
        two_pass_everywhere: Whether the index has the second pass in validation and test too.
    """

    cube: Cube
    stack: Stack
    field: WeatherField
    ends: npt.NDArray[np.datetime64]
    retrieval: Retrieval
    features: FeatureSource
    moments: Mapping[int, Moment]
    index: pd.DataFrame
    datasets: Mapping[str, PatchDataset]
    plan: SamplingPlan
    prefit: Prefit | None
    two_pass_everywhere: bool

    @property
    def spec(self) -> FeatureSpec:
        """The model's channels."""
        return self.features.spec


def assemble(cube: Cube, config: TrainConfig) -> Experiment:
    """Fit labels and scaling on the training dates, and find the patches.

    Raises:
        ConfigError: A value does not fit the data.
        DataError: The cube lacks what is asked for.
        SplitError: Too little is left of a split.
    """
    with open_crew(config.dask, cube.path) as crew:
        return _assembled(cube, config, crew)


def _assembled(cube: Cube, config: TrainConfig, crew: Crew) -> Experiment:
    stack = load_stack(cube, config.retrieval, config.dask)
    field = weather_field(cube, stack, config.weather)
    moments = all_moments(field, window_ends(cube, config.window), cube.local_days, config.window)
    usable = _usable(moments, cube, config)
    date_split = np.full(len(cube.times), "none", dtype="<U5")
    date_split[usable] = split_dates(cube.local_days[usable], config.split)
    training = (date_split == "train") | (date_split == "any")
    masks = frozen_or_snowy(field, cube.local_days, config.retrieval, cube.morning, crew)
    retrieval = fit_retrieval(cube, stack, config.retrieval, training, masks, crew, config.tracks)
    membership = Membership.of(stack.working, date_split, config.patches, config.split)
    layers = extent_layers(cube, stack.working, config.features.static)
    known, prefit = Known(cube, stack, field, membership, retrieval), None
    if names := prefit_names(config):
        prefit = _fit_prefit(known, config, training & usable, crew.workers)
        moments = [replace(each, maps=prefit.maps[time]) for time, each in enumerate(moments)]
    kept = [moments[time] for time in np.flatnonzero(usable)]
    spec = fit_spec(field, layers, kept, training[usable], config.features, names)
    features = FeatureSource(field, layers, spec, config.model.weather_ratio)
    by_time = {int(time): moments[time] for time in np.flatnonzero(usable)}
    labels, times = label_map(retrieval, features, by_time), np.flatnonzero(usable)
    everywhere = config.evaluation.two_pass
    placed = stack.working, membership, config.patches
    index = build_index(labels, times, *placed, two_pass_everywhere=everywhere, crew=crew)
    pool = training_pool(index, config.sampler)
    plan = plan_training(pool, config, labels, lambda: lattice_pixels(labels, times, *placed, crew), crew)
    parts = config.patches.size, retrieval, features, by_time, config.control
    margin = config.model.margin  # where it scores: in training it costs more than it gives
    datasets = {"train": PatchDataset(pool, *parts, plan, None if prefit is None else prefit.targets)}
    for name in ("val", "test"):
        datasets[name] = PatchDataset(index[(index["split"] == name) & (index["pass"] == 1)], *parts, margin=margin)
    _report(datasets)
    index = with_inclusion(index, plan, config.sampler)
    ends = window_ends(cube, config.window)
    return Experiment(cube, stack, field, ends, retrieval, features, by_time, index, datasets, plan, prefit, everywhere)


@dataclass(frozen=True)
class Known:
    """What a prefit is made from."""

    cube: Cube
    stack: Stack
    field: WeatherField
    membership: Membership
    retrieval: Retrieval


def prefit_names(config: TrainConfig) -> tuple[str, ...]:
    """Which maps of the response the network is fed with; none: it is not fitted."""
    return wanted_maps(response=config.model.needs_response, nowcast=config.features.previous == "nowcast")


def _fit_prefit(known: Known, config: TrainConfig, training: npt.NDArray[np.bool_], workers: Workers) -> Prefit:
    """Fit the response; where space is split, on the labels of training pixels alone."""
    pixels = known.membership.training_pixels(known.stack.working, config.patches.size)
    source = Backscatter.of(
        known.cube,
        known.stack,
        known.retrieval.masks,
        config.retrieval,
        pixels,
        known.retrieval.speckle,
        workers,
    )
    start_month, nowcast = config.split.start_month, config.features.previous == "nowcast"
    of_each = seasons(known.cube.local_days, start_month)
    told = Told(training, of_each, window_ends(known.cube, config.window), start_month, nowcast=nowcast)
    prefit = fit_prefit(source, Drivers(known.field), told)
    if nowcast:
        text = "nowcast: %.0f %% of pixels and dates have no earlier image of their season, and keep the plain forecast"
        log.info(text, 100 * prefit.without_previous)
    return prefit


def usable_days(cube: Cube, config: TrainConfig) -> npt.NDArray[np.datetime64]:
    """Local day of each acquisition that has the weather that the configuration asks for, in the order of time.

    Raises:
        SplitError: None has.
    """
    stack = load_stack(cube, config.retrieval, config.dask)
    field = weather_field(cube, stack, config.weather)
    moments = all_moments(field, window_ends(cube, config.window), cube.local_days, config.window)
    return np.asarray(cube.local_days[_usable(moments, cube, config)])


def weather_field(cube: Cube, stack: Stack, config: WeatherConfig) -> WeatherField:
    """The weather at the pixels of all extents, short gaps closed, which the log tells."""
    weather = bridge(cube.weather, config.bridge_days)
    gaps = bridged_days(cube.weather, weather)
    if gaps:
        log.info("no station has it, and it is drawn from the days around: %s", named_days(gaps))
    return WeatherField(weather, cube.station_xy, extent_places(cube, stack.working), config, gaps)


def two_pass_grid(experiment: Experiment, split: str) -> PatchDataset:
    """The patches of both passes of a split, for evaluation: without a control, which each model applies by itself.

    Raises:
        ConfigError: The index has no second pass in that split.
    """
    if split != "train" and not experiment.two_pass_everywhere:
        raise ConfigError(
            f"the patch index has no second pass in the {split} split; set evaluation.two_pass=true to score on it"
        )
    train = experiment.datasets["train"]
    rows = experiment.index[experiment.index["split"] == split]
    margin = experiment.datasets["test"].margin
    return PatchDataset(rows, train.size, train.retrieval, train.features, train.moments, margin=margin)


def label_map(retrieval: Retrieval, features: FeatureSource, moments: Mapping[int, Moment]) -> LabelMap:
    """SSM of an extent at a time where it has all inputs too, NaN elsewhere, [height, width]."""
    # the maps of a prefit are large, and say nothing of where inputs are
    return UsableLabels(retrieval, features.pixels, {time: replace(each, maps=()) for time, each in moments.items()})


def all_moments(
    field: WeatherField, ends: npt.NDArray[np.datetime64], days: npt.NDArray[np.datetime64], window: WindowConfig
) -> list[Moment]:
    """Weather window of each date.

    Args:
        field: The weather.
        ends: Last day of each window.
        days: The local days.
        window: Lag and kind of window.
    """
    windows = field.windows(ends, window.lag, window.mode)
    return [Moment(values, day) for values, day in zip(windows, days, strict=True)]


def window_ends(cube: Cube, window: WindowConfig) -> npt.NDArray[np.datetime64]:
    """Last day of the antecedent window of each acquisition, [time]."""
    return cube.local_days if window.end == "image_day" else cube.window_ends


def has_weather(moment: Moment, weather: WeatherConfig, features: FeaturesConfig) -> bool:
    """Whether a date can be used: rain is known on enough days of its window, and under `drop` all weather on all."""
    known = np.asarray(np.isfinite(moment.window).any(axis=1))  # [step, variable]
    if known[:, RAIN].mean() < weather.min_coverage:
        return False
    if features.on_missing == "fill":
        return True
    return bool(known[:, [VARIABLES.index(name) for name in features.dynamic]].all())


def _usable(moments: list[Moment], cube: Cube, config: TrainConfig) -> npt.NDArray[np.bool_]:
    usable = np.array([has_weather(moment, config.weather, config.features) for moment in moments], bool)
    if prefit_names(config):  # the closed form needs the rain of the very last day
        usable &= window_ends(cube, config.window) <= cube.weather.days[-1]
    dropped = [str(day) for day in cube.local_days[~usable]]
    first, last = cube.weather.days[0], cube.weather.days[-1]
    if not usable.any():
        raise SplitError(
            f"none of the {len(usable)} dates has weather in its window of {config.window.lag} days; the stations have "
            f"{first} to {last}, the images {cube.local_days[0]} to {cube.local_days[-1]}"
        )
    if dropped:
        shown = ", ".join(dropped[:5]) + (", ..." if len(dropped) > 5 else "")
        log.warning("%d dates without weather in their window are dropped: %s", len(dropped), shown)
    return usable


def _report(datasets: Mapping[str, PatchDataset]) -> None:
    parts = (f"{name} {len(data)} patches on {len(data.times)} dates" for name, data in datasets.items() if len(data))
    log.info("split: %s", ", ".join(parts))
