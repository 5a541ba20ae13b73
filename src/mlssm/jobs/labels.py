"""A report on an area's labels alone, as a run."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import TrainConfig
from mlssm.crew import Crew, open_crew
from mlssm.cube import Cube
from mlssm.data.assemble import weather_field
from mlssm.evaluation.labels.page import labels_figures, labels_page, summary_table
from mlssm.evaluation.labels.survey import ExtentSurvey, Surveyor, key_title
from mlssm.evaluation.page import render
from mlssm.jobs.area import open_area
from mlssm.jobs.outcome import Outcome
from mlssm.mapping.flags import write_flags
from mlssm.patches.dates import split_dates
from mlssm.retrieval.fit import Retrieval, fit_retrieval
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.platforms import PlatformOffset
from mlssm.retrieval.reasons import TITLES
from mlssm.retrieval.reasons_file import write_reasons
from mlssm.retrieval.stack import load_stack
from mlssm.terminal import print_table
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.names import job_name
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store

log = logging.getLogger(__name__)
PAGE = "report.html"


def report_labels(
    store: Store, config: TrainConfig, values: Mapping[str, Any], folder: Path, parent: str | None
) -> Outcome:
    """Fit the labels on the training dates, and keep maps, tables and a page on them in a run.

    Raises:
        ConfigError, DataError, SplitError: As a training's labels.
    """
    cube = open_area(config.datamodule, config.on_bad_file, config.weather, config.retrieval, config.dask)
    digests = {"cube": cube.manifest.digest}
    with tracked_run(store, job_name(config), values, digests, parent, "labels", folder=folder) as run:
        training = training_dates(cube, config)
        with open_crew(config.dask, cube.path) as crew:
            retrieval = _fitted(cube, config, training, crew)
        log.info("why each pixel and image has no label: %s", write_reasons(cube, retrieval, config.dask))
        surveyor = Surveyor(cube, retrieval, config.retrieval, config.tracks, training, config.seed)
        surveys = [surveyor.survey(number) for number in range(len(cube.extents))]
        _keep(run, config.datamodule.root.name, surveys, surveyor.offsets(surveys))
        _keep_reasons(run, retrieval, folder)
        print(f"MLflow run {run.run_id}\nSee it with: {run.ui_command}")
        return Outcome(math.nan, math.nan, run.run_id)


def training_dates(cube: Cube, config: TrainConfig) -> npt.NDArray[np.bool_]:
    """Which times references are fitted on, [time]; all, where each season is tested on in turn."""
    if config.split.each_season:
        return np.ones(len(cube.times), bool)
    return np.isin(split_dates(cube.local_days, config.split), ["train", "any"])


def _fitted(cube: Cube, config: TrainConfig, training: npt.NDArray[np.bool_], crew: Crew) -> Retrieval:
    stack = load_stack(cube, config.retrieval, config.dask)
    field = weather_field(cube, stack, config.weather)
    masks = frozen_or_snowy(field, cube.local_days, config.retrieval, cube.morning, crew)
    return fit_retrieval(cube, stack, config.retrieval, training, masks, crew, config.tracks)


def _keep_reasons(run: TrackedRun, retrieval: Retrieval, folder: Path) -> None:
    """Why pixels have no label on any date, a GeoTIFF an extent, a band a key of references; see `Reason`."""
    working = retrieval.stack.working
    bits = {int(reason): text for reason, text in TITLES.items()}
    for number, (window, extent) in enumerate(zip(working.extents, retrieval.extents, strict=True), 1):
        path = folder / f"labels_reasons_{number}.tif"
        bands = {key_title(key): flags for key, flags in extent.reasons.items()}
        write_flags(path, working.grid.crop(window), bands, bits)
        run.log_file(path)


def _keep(run: TrackedRun, place: str, surveys: Sequence[ExtentSurvey], offsets: Sequence[PlatformOffset]) -> None:
    figures = labels_figures(surveys)
    for number, extent in enumerate(surveys, 1):
        tables = {"references": summary_table(extent), "reasons": extent.counts, "tracks": extent.agreement}
        for name, table in tables.items():
            if len(table):
                run.log_table(table, f"labels_{name}_{number}")
                print_table(table, f"{extent.title}: {name}")
        log.info("%s: %s", extent.title, extent.cap)
        _tell(extent.title, extent.offsets)
    if len(surveys) > 1:
        _tell("all extents together", offsets)
    for figure in figures:
        run.log_image(figure.png, f"figures/{figure.stem}.png")
    run.log_text(render(labels_page(place, surveys, figures, offsets)), PAGE)


def _tell(title: str, offsets: Sequence[PlatformOffset]) -> None:
    for offset in offsets:
        text = "%s: %s reads %.2f dB (standard error %.2f) higher than %s, by %d dates"
        log.info(text, title, *(offset.platform, offset.offset_db, offset.error_db, offset.against, offset.dates))
