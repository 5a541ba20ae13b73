"""A trained run's daily maps against soil moisture that was measured in the ground: what `evaluate.py` does."""

from __future__ import annotations

import hashlib
import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from hydra.core.hydra_config import HydraConfig

from mlssm.checksums import files_below
from mlssm.config import EvaluateConfig
from mlssm.config.datamodule import day_range
from mlssm.errors import DataError, RunError
from mlssm.evaluation.ground.matched import Matched, StationRain, common_days, matched
from mlssm.evaluation.ground.page import Told, ground_figures, ground_page
from mlssm.evaluation.ground.scores import HowToScore
from mlssm.evaluation.ground.tables import ALL, MODEL, RAIN, Scored, places_table, pooled_table, station_table
from mlssm.evaluation.page import render
from mlssm.inference.around import Pixel, pixel_at, retrieved_at
from mlssm.inference.opened import Opened
from mlssm.inference.pixels import pixel_series
from mlssm.jobs.open_run import check_fit, find_place
from mlssm.patches.dates import seasons
from mlssm.scores.bootstrap import Resampling
from mlssm.sources.faults import BadFiles
from mlssm.sources.insitu.read import read_ground
from mlssm.sources.insitu.stations import HOURS, Clock, Station, daily_stations
from mlssm.spreadsheet import as_csv
from mlssm.terminal import print_table
from mlssm.tracking.find import Run, download, find_run
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.opening import open_store
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store
from mlssm.tracking.tags import EVALUATES
from mlssm.weather.clock import circular_mean

log = logging.getLogger(__name__)
PAGE = "report.html"
INDEX = "patches.parquet"
MOST_NAMED = 10
Days = npt.NDArray[np.datetime64]


def evaluate(config: EvaluateConfig, values: Mapping[str, Any]) -> str:
    """Compare the maps at the stations' pixels, and keep tables, figures and a page in a run of its own.

    Returns:
        The run's id.

    Raises:
        ConfigError: The measurements are not there, or what they are is not told.
        DataError: No station lies in the area, or none has a day that can be mapped.
        RunError: The run, or its model, does not allow it.
    """
    sensors = read_ground(config.insitu, config.csv, config.depth_m, BadFiles(config.on_bad_file))
    store = open_store(config.tracking)
    with tempfile.TemporaryDirectory() as bundle:
        place = find_place(config, Path(bundle))
        opened, trained = place.opened(), find_run(store, place.run_id)
        check_fit(opened)
    stations = daily_stations(sensors, clock_of(opened))
    inside, left_out = inside_area(stations, opened)
    found, short = _matched(config, opened, training_seasons(store, opened, trained), inside)
    how = _how(config)
    scored = [Scored.of(each, how, config.least_images) for each in found]
    digests = {"cube": opened.cube.manifest.digest, "insitu": digest_of(config.insitu)}
    name = config.tracking.run_name or f"{config.insitu.name} against {trained.name}"
    tags, folder = {EVALUATES: trained.run_id}, Path(HydraConfig.get().runtime.output_dir)
    with tracked_run(store, name, values, digests, None, "evaluation", folder=folder, tags=tags) as run:
        _keep(run, scored, _told(config, opened, trained, (*left_out, *short)), how)
        report = run.local_artifact(PAGE)
        places = () if report is None else (f"Report: {report}",)
        print(*places, f"MLflow run {run.run_id}", f"See it with: {run.ui_command}", sep="\n")
        return run.run_id


def clock_of(opened: Opened) -> Clock:
    """When the model's maps hold: at the hour of the passes on the side of noon that the model was trained on."""
    cube, bundle = opened.cube, opened.bundle
    zone = ZoneInfo(cube.manifest.time_zone)
    chosen = cube.times[cube.morning != bundle.pass_is_evening]
    if not len(chosen):
        return Clock(zone, 18.0 if bundle.pass_is_evening else 6.0, bundle.knows_the_day)
    local = pd.DatetimeIndex(chosen).tz_localize("UTC").tz_convert(zone)
    return Clock(zone, circular_mean(np.array(local.hour + local.minute / 60, float)), bundle.knows_the_day)


@dataclass(frozen=True)
class Placed:
    """A station in the area: its place in metres, its pixel, and how far that one's middle is."""

    station: Station
    x: float
    y: float
    pixel: Pixel
    distance_m: float


def inside_area(stations: Sequence[Station], opened: Opened) -> tuple[list[Placed], list[str]]:
    """The stations where the area has images, and a sentence on those that are not.

    Raises:
        DataError: None is.
    """
    working = opened.stack.working
    found, outside = [], []
    for station in stations:
        degrees = np.array([station.longitude]), np.array([station.latitude])
        x, y = (float(each[0]) for each in working.grid.project(*degrees))
        pixel = pixel_at(working, x, y)
        if pixel is None:
            outside.append(station)
            continue
        columns, rows = working.grid.centres(working.extents[pixel.extent])
        found.append(Placed(station, x, y, pixel, math.hypot(x - columns[pixel.col], y - rows[pixel.row])))
    if not found:
        raise DataError(_none_inside(outside, opened))
    if not outside:
        return found, []
    text = f"{len(outside)} of {len(stations)} stations lie outside of the area and are left out: {_named(outside)}."
    log.warning(text)
    return found, [text]


def _none_inside(stations: Sequence[Station], opened: Opened) -> str:
    longitude, latitude = opened.cube.grid.geographic_centre()
    nearest = min(stations, key=lambda each: (each.latitude - latitude) ** 2 + (each.longitude - longitude) ** 2)
    return (
        f"none of the {len(stations)} stations lies in the area around {longitude:.3f}, {latitude:.3f} degrees (the "
        f"nearest is {nearest.name} at {nearest.longitude:.3f}, {nearest.latitude:.3f}); give stations that do, or "
        "another area by root=DIR"
    )


def _named(stations: Sequence[Station]) -> str:
    names = [station.name for station in stations[:MOST_NAMED]]
    return ", ".join(names) + (", ..." if len(stations) > MOST_NAMED else "")


def _matched(
    config: EvaluateConfig, opened: Opened, known: TrainingSeasons | None, inside: Sequence[Placed]
) -> tuple[list[Matched], list[str]]:
    """What is known of the stations, and a sentence on those that are too short."""
    bundle, cube = opened.bundle, opened.cube
    days = days_to_map(config, opened, [each.station for each in inside])
    mapped = pixel_series(opened, [each.pixel for each in inside], days, config.reach, config.interval)
    held_out = None if known is None else ~np.isin(seasons(days, known.start_month), known.seasons)
    weather = bundle.weather.neighbours, bundle.weather.power
    found = []
    for each in inside:
        images = retrieved_at(opened, each.pixel)
        rain = StationRain.at(cube.weather, cube.station_xy, each.x, each.y, *weather)
        training = None if known is None else np.isin(seasons(images[0], known.start_month), known.seasons)
        series = mapped[each.pixel], images, rain, 0 if bundle.knows_the_day else 1
        found.append(matched(each.station, each.distance_m, days, *series, training, held_out))
    if not common_days(found):
        first, last = cube.weather.days[[0, -1]]
        raise DataError(
            f"no day has both a map and a good value of a station: stations have {days[0]} to {days[-1]}, the weather "
            f"{first} to {last}, or their pixels are water, frozen or lack an input"
        )
    short = [each.station for each in found if common_days([each]) < config.least_days]
    if not short:
        return found, []
    text = f"{len(short)} stations have fewer than {config.least_days} days with a map, and no score: {_named(short)}."
    log.warning(text)
    return found, [text]


def days_to_map(config: EvaluateConfig, opened: Opened, stations: Sequence[Station]) -> Days:
    """All days on which some station has a value, within the wanted ones and those of the weather.

    Raises:
        DataError: There is none.
    """
    measured = [station.moisture.index.to_numpy().astype("datetime64[D]") for station in stations]
    days = np.unique(np.concatenate(measured)) if measured else np.zeros(0, "datetime64[D]")
    first, last = opened.cube.weather.days[[0, -1]]
    lag = opened.bundle.window.lag
    # the images tell what rain is fitted to; a window that ends later has no weather
    kept = days[(days >= first) & (days <= last + np.timedelta64(lag, "D"))]
    if config.dates is not None:
        wanted = np.array(day_range(config.dates), "datetime64[D]")
        kept = kept[(kept >= wanted[0]) & (kept <= wanted[1])]
    if not kept.size:
        span = f"{days[0]} to {days[-1]}" if days.size else "no good value"
        raise DataError(
            f"the stations in the area have {span}, the weather {first} to {last}: no day of theirs remains"
        )
    return np.asarray(kept, "datetime64[D]")


@dataclass(frozen=True)
class TrainingSeasons:
    """The seasons that a model was trained on, by the year and month in which they begin."""

    seasons: npt.NDArray[np.int64]
    start_month: int


def training_seasons(store: Store, opened: Opened, trained: Run) -> TrainingSeasons | None:
    """The seasons of the training's dates, from its patch index; None where that is not kept, or of other images."""
    month = trained.params.get("split.start_month")
    if month is None or opened.cube.manifest.digest != opened.bundle.cube_digest:
        log.info("which days the model was trained on is not known here: all days count alike")
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            index = pd.read_parquet(download(store, trained.run_id, INDEX, Path(folder)), columns=["time", "split"])
    except RunError as error:
        log.info("the run keeps no index of its patches (%s): all days count alike", error)
        return None
    times = np.unique(index.loc[index["split"] == "train", "time"].to_numpy())
    return TrainingSeasons(np.unique(seasons(opened.cube.local_days[times], int(month))), int(month))


def digest_of(place: Path) -> str:
    """BLAKE2b of the measurements' files, by their names."""
    files = [place] if place.is_file() else sorted(files_below(place))
    found = hashlib.blake2b(digest_size=16)
    for path in files:
        with path.open("rb") as file:
            found.update(path.name.encode() + hashlib.file_digest(file, hashlib.blake2b).digest())
    return found.hexdigest()


def _how(config: EvaluateConfig) -> HowToScore:
    resampling = Resampling(config.draws, config.level, config.seed)
    return HowToScore(config.scaling, config.anomaly_days, config.block_days, config.least_days, resampling)


def _told(config: EvaluateConfig, opened: Opened, trained: Run, left_out: tuple[str, ...]) -> Told:
    clock, working = clock_of(opened), opened.stack.working
    upper, lower = config.depth_m
    own = "the same day's" if clock.same_day else "the next day's, as the model's window ends the day before a pass"
    rules = (
        f"Sensors between {upper:g} and {lower:g} m count; several of a station are averaged, each first shifted to "
        "the mean level of all. Values that quality flags doubt are left out, as are days with soil below 0 °C and "
        "days whose map is masked as frozen or snowy.",
        f"A daily value belongs to {own} map. Of hourly values those within {HOURS:g} hours of the passes "
        f"({clock.hour:.1f} h local) are averaged. Anomalies: less the mean of {config.anomaly_days} days around. "
        f"Intervals: {config.level:.0%}, {config.draws} draws of blocks of {config.block_days} days.",
    )
    support = working.window_pixels * opened.cube.grid.pixel
    run = f"{trained.name} ({trained.run_id[:8]})"
    return Told(config.insitu.name, run, support, rules, left_out, config.interval)


def _keep(run: TrackedRun, scored: Sequence[Scored], told: Told, how: HowToScore) -> None:
    tables = {"pooled": pooled_table(scored), "stations": station_table(scored), "places": places_table(scored)}
    for name, table in tables.items():
        run.log_table(table, f"insitu_{name}")
    print_table(tables["pooled"], "all stations")
    print_table(_short(tables["stations"]), "each station")
    series = pd.concat([each.matched.days.assign(name=each.matched.station.name) for each in scored])
    run.log_text(as_csv(series.rename_axis("day").reset_index()), "insitu_series.csv")
    run.log_metrics(metrics(tables["pooled"]))
    figures = ground_figures(scored, how)
    for figure in figures:
        run.log_image(figure.png, f"figures/{figure.stem}.png")
    run.log_text(render(ground_page(scored, figures, told, how)), PAGE)


def _short(table: pd.DataFrame) -> pd.DataFrame:
    """The rows and columns for a console."""
    wanted = ["station", "series", "n", "r", "r_low", "r_high", "anomaly_r", "ubrmsd", "r_gain"]
    rows = (table["days"] == ALL) & table["series"].isin([MODEL.title, RAIN.title])
    return table.loc[rows, wanted].round(3)


def metrics(pooled: pd.DataFrame) -> dict[str, float]:
    """The pooled scores of the model and of rain over all days, as `insitu/{model,rain}/...`."""
    found: dict[str, float] = {}
    for title, name in ((MODEL.title, "model"), (RAIN.title, "rain")):
        rows = pooled[(pooled["series"] == title) & (pooled["days"] == ALL)] if len(pooled) else pooled
        for row in rows.to_dict("records"):
            columns = ("r_median", "anomaly_r_median", "ubrmsd_median", "share_r_above_0", "r_gain_median")
            found |= {f"insitu/{name}/{column}": float(row[column]) for column in columns}
            found |= {"insitu/stations": float(row["stations"]), "insitu/station_days": float(row["station_days"])}
    return {name: value for name, value in found.items() if math.isfinite(value)}
