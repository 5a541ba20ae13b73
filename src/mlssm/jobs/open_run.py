"""Which trained run is used, and the extent that it maps."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlssm.bundle import load
from mlssm.config import DatamoduleConfig, OfRun, PredictConfig, StateOfMaps
from mlssm.config.retrieval import channel_title
from mlssm.config.sources import AUTO
from mlssm.config.weather_source import WeatherSource
from mlssm.errors import ConfigError, DataError, RunError
from mlssm.inference.mapper import check_pixel, choose_device
from mlssm.inference.opened import Opened, Place
from mlssm.jobs.announcement import announce
from mlssm.jobs.area import open_area
from mlssm.jobs.layers import layers_to_read
from mlssm.retrieval.stack import Stack
from mlssm.tracking.find import artifact, download, find_run
from mlssm.tracking.opening import open_store
from mlssm.tracking.tags import BUNDLE_FOLDER, SEASONS

log = logging.getLogger(__name__)
# files that were fetched for training are there; a model does not choose what is asked for and written
FETCHED: dict[str, Any] = {"origin": None, "area": None, "dates": None}


def find_place(
    config: OfRun, folder: Path | None, *, certain: bool = True, state: StateOfMaps | None = "window"
) -> Place:
    """Fetch a run's model and prepare the area to map.

    Args:
        config: Which run and extent.
        folder: Where the model goes; None: it stays where it is, if the store is on this machine.
        certain: Whether it is asked how sure maps are.
        state: See `Place`.

    Raises:
        ConfigError: There is no such accelerator.
        RunError: There is no such run or model, or it does not fit the area.
        DataError: The area's files are missing or bad.
    """
    choose_device(config.accelerator)  # refuses what is not there before any work
    store = open_store(config.tracking, to_read=True)
    run = find_run(store, config.run)
    if SEASONS in run.tags:
        raise RunError(
            f"run {run.run_id} tests on every season in turn and has no model; name the run of one of its seasons, as "
            "seasons.csv lists them, or train with split=by_season"
        )
    if folder is None:
        bundle = artifact(store, run.run_id, BUNDLE_FOLDER)
    else:
        bundle = download(store, run.run_id, BUNDLE_FOLDER, folder)
    model, _ = load(bundle)
    announce(run, model)
    area = _area_config(model.datamodule, config)
    try:
        cube = open_area(area, config.on_bad_file, model.weather, model.images, config.dask)
    except ConfigError:
        # the window is no whole number of the area's pixels: what matters is that they are not the model's
        check_pixel(open_area(area, config.on_bad_file, model.weather), model)
        raise
    check_pixel(cube, model)
    return Place(run.run_id, bundle, cube.path, config.accelerator, certain, state)


def check_fit(opened: Opened) -> None:
    """Refuse an extent that the model cannot map.

    Raises:
        RunError: Channels of inputs or images are not the model's.
    """
    opened.features  # noqa: B018 - refuses layers that do not fit
    if opened.fitted is not None:
        _has_channel(opened.stack, opened.bundle.images.channel, opened.fitted)


def _has_channel(stack: Stack, wanted: Mapping[str, float], fitted: Mapping[str, Any]) -> bool:
    """Whether images are in the channel that the model's references were fitted to; where not, none can be retrieved.

    Raises:
        RunError: They are not, and the model sees earlier images.
    """
    if dict(stack.channel) == dict(wanted):
        return True
    told = f"the model's references are of {channel_title(wanted)}, and the area's images have "
    told += f"{channel_title(stack.channel)} alone"
    if fitted.get("nowcast", fitted["retrieval"]):
        raise RunError(f"{told}; add the missing ones, or take a model with features.previous=none: it sees no images")
    log.warning("%s: nothing is retrieved from them", told)
    return False


def _area_config(trained: DatamoduleConfig, config: OfRun) -> DatamoduleConfig:
    """The area that the run was trained on, or another one with the same kind of files.

    A model may come from anywhere, and must not choose where files are written: what it names counts below the working
    directory alone.
    """
    cubes = config.cubes or _below_here(trained.cubes, "cubes", "if it is yours")
    if isinstance(config, PredictConfig) and config.forecast is not None:
        weather = WeatherSource(**{**dict(trained.weather), "forecast": config.forecast})
        trained = trained.model_copy(update={"weather": weather})
    if config.root is None:
        if trained.simulation is not None:
            _below_here(trained.root, "root", "to map the files that are there")
        layers = layers_to_read(trained.layers, config.layers, trained.root)
        return trained.model_copy(update={"cubes": cubes, "layers": layers, **FETCHED})
    if not config.root.is_dir():
        raise DataError(f"root={config.root} is not a folder; set it to the folder of the area to map")
    for name in ("dem", "soil", "ndvi"):
        source = getattr(trained, name)
        known = source is not None and source.folder != AUTO
        if known and not (config.root / source.folder).exists():
            raise RunError(
                f"the model was trained with {name}, and root={config.root} has no {source.folder}; add it, "
                f"or train without it: datamodule.{name}=null"
            )
    name = "opera_rtc" if trained.name == "simulated" else trained.name
    layers = layers_to_read(trained.layers, config.layers, config.root)
    changed = {"root": config.root, "cubes": cubes, "name": name, "simulation": None, "layers": layers, **FETCHED}
    return trained.model_copy(update=changed)


def _below_here(path: Path, key: str, when: str) -> Path:
    """A folder that a model names and that would be written into.

    Raises:
        RunError: It is not below the working directory.
    """
    # without resolving links: one below here is the user's own
    if not Path(os.path.normpath(path.absolute())).is_relative_to(Path.cwd()):
        raise RunError(
            f"the model names datamodule.{key}={path}, which is not below the working directory, and nothing is "
            f"written where a model says; {when}, give {key}={path}"
        )
    return path
