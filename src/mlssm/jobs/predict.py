"""From a trained run to maps: what `predict.py` does."""

from __future__ import annotations

import datetime as dt
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlssm import __version__
from mlssm.config import DatamoduleConfig, PredictConfig
from mlssm.config.retrieval import channel_title
from mlssm.config.sources import AUTO
from mlssm.data.assemble import window_ends
from mlssm.data.features import FeatureSource
from mlssm.data.layers import extent_layers, extent_places
from mlssm.data.moment import Moment
from mlssm.errors import DataError, RunError
from mlssm.inference.certainty import ExtentCertainty
from mlssm.inference.mapper import Booleans, Days, Mapper, check_pixel, choose_device, fitting_layers
from mlssm.inference.prefit import DayMaps, Images, labelled_pixels
from mlssm.inference.restore import restore
from mlssm.inference.retrieved import known_retrievals
from mlssm.inference.tiles import plan_tiles
from mlssm.jobs.area import open_area
from mlssm.jobs.day_map import AGE, bands, blocks_of, certainty_tags, map_day
from mlssm.jobs.layers import layers_to_read
from mlssm.jobs.products import write_products
from mlssm.mapping.days import parse_days
from mlssm.mapping.geotiff import write_cog
from mlssm.mapping.preview import MapPanel, write_preview
from mlssm.progress import track
from mlssm.response.extents import Drivers
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.stack import Stack, load_stack
from mlssm.tracking.find import download, find_run
from mlssm.tracking.opening import open_store
from mlssm.tracking.tags import BUNDLE_FOLDER, SEASONS
from mlssm.weather.field import WeatherField

log = logging.getLogger(__name__)
# files that were fetched for training are there; a model does not choose what is asked for and written
FETCHED: dict[str, Any] = {"origin": None, "area": None, "dates": None}


def predict(config: PredictConfig) -> list[Path]:
    """Map SSM of each day: one Cloud-Optimised GeoTIFF and one PNG preview a day.

    Returns:
        The GeoTIFFs.

    Raises:
        MlssmError: The run, the model or the area do not allow it; the message says what to do.
    """
    days = parse_days(config.dates)
    plan_tiles(config.tile, config.tile, config.tile, config.overlap)  # refuses what does not fit before any work
    mapper = load_mapper(config)
    moments = known_moments(mapper, days)
    water = mapper.water()
    written = []
    for day in track(sorted(moments), "maps"):
        written.append(_write_map(mapper, config, day, moments[day], water))
        log.info("wrote %s", written[-1])
    write_products(mapper, written, config)
    return written


def known_moments(mapper: Mapper, days: Days) -> dict[np.datetime64, Moment]:
    """Weather and NDVI of the days that can be mapped; the log names those that cannot.

    Raises:
        DataError: No day can be mapped.
    """
    first, last = mapper.cube.weather.days[[0, -1]]
    lag = mapper.bundle.window.lag
    # a window that ends later than this has no weather in it at all
    near = days[(days >= first) & (days <= last + np.timedelta64(lag, "D"))]
    moments = {day: moment for day in near if (moment := mapper.moment(day)) is not None}
    record = f"the stations have {first} to {last}"
    if not moments:
        raise DataError(
            f"dates: none of the {len(days)} days ({_span(days)}) has all the weather that the model needs in its "
            f"window of {lag} days; {record}"
        )
    without = [str(day) for day in days if day not in moments]
    if without:
        shown = ", ".join(without[:5]) + (", ..." if len(without) > 5 else "")
        text = "%d of %d days are left out, as weather that the model needs is missing in their window (%s): %s"
        log.warning(text, len(without), len(days), record, shown)
    return moments


def _span(days: Days) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _write_map(
    mapper: Mapper, config: PredictConfig, day: np.datetime64, moment: Moment, water: Sequence[Booleans]
) -> Path:
    working, date = mapper.stack.working, day.astype(dt.date)
    found = map_day(mapper, config, day, moment, water)
    panels = [
        MapPanel(f"extent {number}", ssm, working.grid.crop(window))
        for number, (ssm, window) in enumerate(zip(found.values["ssm"], working.extents, strict=True), 1)
    ]
    if all(np.isnan(panel.values).all() for panel in panels):
        log.warning("the map of %s has no value: all its pixels are water, frozen, snowy or lack an input", date)
    path = config.output / f"ssm_{date:%Y%m%d}.tif"
    blocks, more = blocks_of(found.values["ssm"], mapper), bands(found, mapper, config)
    description = f"surface soil moisture, relative, {date}"
    tags = {**map_tags(mapper, date, moment), **certainty_tags(found, mapper, config, day)}
    write_cog(path, blocks, mapper.cube.grid, tags, description, more)
    write_preview(path.with_suffix(".png"), panels, date, "Surface soil moisture")
    return path


def map_tags(mapper: Mapper, date: dt.date, moment: Moment) -> dict[str, str]:
    """What a map says of its day and its model, beside its intervals."""
    model, working = mapper.bundle, mapper.stack.working
    return {
        "date": date.isoformat(),
        "time_zone": mapper.cube.manifest.time_zone,
        "state_at": "end of the day" if model.knows_the_day else "end of the day before",
        "run_id": mapper.run_id,
        "model": model.model.title,
        "lag_days": str(model.window.lag),
        "support_m": f"{working.window_pixels * mapper.cube.grid.pixel:g} ({model.images.multilook})",
        **_ndvi_tags(mapper, date),
        "software": f"mlssm {__version__}",
        **_prefit_tags(mapper, moment),
    }


def _ndvi_tags(mapper: Mapper, date: dt.date) -> dict[str, str]:
    """How old the latest NDVI image is, for a model that is fed with it."""
    if "ndvi" not in mapper.features.spec.static:
        return {}
    day, images = np.datetime64(date), mapper.cube.ndvi_days
    earlier = images[images < day]
    return {"ndvi_age_days": str((day - earlier[-1]).astype(int)) if earlier.size else "no earlier image"}


def _prefit_tags(mapper: Mapper, moment: Moment) -> dict[str, str]:
    """What the map knows of its pixels, and how old the latest image is that it has seen."""
    prefit = mapper.prefit
    if prefit is None:
        return {}
    known = sum(not extent.is_population for extent in prefit.extents)
    elsewhere = "" if known == len(prefit.extents) else "; elsewhere the mean extent's response"
    memory = f"in {known} of {len(prefit.extents)} extents{elsewhere}" if known else "none: the mean extent's response"
    tags = {"pixel_memory": memory}
    if not prefit.nowcast:
        return tags
    ages = np.concatenate([maps[AGE][np.isfinite(maps[AGE])] for maps in moment.maps])
    age = f"{np.median(ages):g} (median; {ages.min():g} to {ages.max():g})" if ages.size else "no earlier image"
    return {**tags, "kind": "nowcast", "previous_image_age_days": age}


def load_mapper(config: PredictConfig) -> Mapper:
    """Load a run's model and open the area to map.

    Raises:
        ConfigError: There is no such accelerator.
        RunError: There is no such run or model, or it does not fit the area.
        DataError: The area's files are missing or bad.
    """
    device = choose_device(config.accelerator)
    store = open_store(config.tracking)
    run = find_run(store, config.run)
    if SEASONS in run.tags:
        raise RunError(
            f"run {run.run_id} tests on every season in turn and has no model; name the run of one of its seasons, as "
            "seasons.csv lists them, or train with split=by_season"
        )
    with tempfile.TemporaryDirectory() as folder:
        restored = restore(download(store, run.run_id, BUNDLE_FOLDER, Path(folder)))
    model = restored.bundle
    cube = open_area(_area_config(model.datamodule, config), config.on_bad_file, model.weather)
    check_pixel(cube, model)
    stack = load_stack(cube, model.images)
    wanted = extent_layers(cube, stack.working, model.features.static)
    layers = fitting_layers(model.channels, wanted, model.features)
    field = WeatherField(cube.weather, cube.station_xy, extent_places(cube, stack.working), model.weather)
    features = FeatureSource(field, layers, model.channels, model.model.weather_ratio)
    prefit, labelled = None, labelled_pixels(restored.fitted, stack.working)
    retrievals = known_retrievals(restored.fitted, stack.working)
    if restored.fitted is not None and not _has_channel(stack, model.images.channel, restored.fitted):
        retrievals = [None for _ in retrievals]
    if restored.fitted is not None and restored.fitted["forecaster"] is not None:
        masks = frozen_or_snowy(field, cube.local_days, model.images, cube.morning)
        prefit = DayMaps(restored.fitted, Images(cube, stack, masks, window_ends(cube, model.window)), Drivers(field))
    certainty = None if config.intervals == "none" else ExtentCertainty.restored(restored.fitted, stack.working)
    network = restored.network.to(device)
    return Mapper(run.run_id, model, cube, stack, features, network, prefit, labelled, retrievals, certainty)


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


def _area_config(trained: DatamoduleConfig, config: PredictConfig) -> DatamoduleConfig:
    """The area that the run was trained on, or another one with the same kind of files.

    A model may come from anywhere, and must not choose where files are written: what it names counts below the working
    directory alone.
    """
    cubes = config.cubes or _below_here(trained.cubes, "cubes", "if it is yours")
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
