"""Write all files of the area into an empty folder."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from mlssm.config import SimulationConfig
from mlssm.origins.simulation.arrays import Floats
from mlssm.origins.simulation.backscatter import POLARISATIONS
from mlssm.origins.simulation.climate import day_of_year
from mlssm.origins.simulation.files import block_mean, create_truth, write_dem, write_on_grid
from mlssm.origins.simulation.orbits import (
    TRACKS,
    Acquisition,
    bursts_of,
    image_name,
    incidence_angle,
    incidence_name,
    schedule,
)
from mlssm.origins.simulation.probes import FOLDER, Probes
from mlssm.origins.simulation.scene import Scene, build_scene, daily_moisture, render
from mlssm.origins.simulation.stations import build_tables
from mlssm.origins.simulation.streams import Component, stream
from mlssm.progress import progress

NDVI_DAYS = 16
NDVI_FACTOR = 2
NDVI_ERROR = 0.015


def write_area(config: SimulationConfig, root: Path) -> None:
    """Write `sentinel1`, `weather`, `dem`, `soil`, `ndvi`, `insitu` and `truth.zarr`.

    Args:
        config: The simulation.
        root: An empty folder.
    """
    for name in ("sentinel1", "weather", "dem", "soil", "ndvi", FOLDER):
        (root / name).mkdir()
    scene = build_scene(config)
    landscape = scene.landscape
    write_dem(root / "dem" / "dem.tif", landscape.wide_elevation, landscape.wide)
    write_on_grid(root / "soil" / "soil.tif", landscape.soil, landscape.grid, 0)
    for identifier, table in build_tables(config, landscape, scene.weather).items():
        table.to_csv(root / "weather" / f"{identifier}.csv", index=False, lineterminator="\n")
    _write_incidence(scene, root / "sentinel1")
    _write_ndvi(scene, root / "ndvi")
    _write_passes(scene, root)


def _write_incidence(scene: Scene, folder: Path) -> None:
    grid = scene.landscape.grid
    for track in TRACKS:
        angle = incidence_angle(track, grid)
        for burst in bursts_of(track, grid):
            path = folder / incidence_name(burst.name, grid.pixel)
            write_on_grid(path, angle[burst.window.slices], grid.crop(burst.window), np.nan)


def _write_ndvi(scene: Scene, folder: Path) -> None:
    grid = scene.landscape.grid.coarsen(NDVI_FACTOR)
    days = scene.weather.days[::NDVI_DAYS]
    for day, date in zip(days.astype(dt.date), day_of_year(days).tolist(), strict=True):
        rng = stream(scene.config.seed, Component.NDVI_ERRORS, day.toordinal())
        ndvi = block_mean(scene.landscape.greenness.ndvi(date), NDVI_FACTOR)
        noisy = ndvi + NDVI_ERROR * rng.standard_normal(ndvi.shape, dtype=np.float32)
        write_on_grid(folder / f"ndvi_{day:%Y%m%d}.tif", np.clip(noisy, -0.2, 1), grid, np.nan)


def _write_passes(scene: Scene, root: Path) -> None:
    """Run the bucket through the days and write what each pass sees, what probes measure, and the truth."""
    passes, probes = schedule(scene.config), Probes.of(scene)
    truth = create_truth(root / "truth.zarr", [each.time for each in passes], scene.landscape.grid)
    waiting: dict[dt.date, list[int]] = defaultdict(list)
    for number, acquisition in enumerate(passes):
        waiting[acquisition.state_day].append(number)
    with progress() as display:
        task = display.add_task("simulating Sentinel-1", total=len(passes))
        for day, ssm in daily_moisture(scene):
            probes.see(day, ssm)
            for number in waiting[day]:
                _write_pass(scene, root, passes[number], ssm, truth, number)
                display.advance(task)
    probes.write(root / FOLDER)


def _write_pass(
    scene: Scene, root: Path, acquisition: Acquisition, ssm: Floats, truth: zarr.Array[Any], number: int
) -> None:
    grid = scene.landscape.grid
    truth[number] = np.where(scene.landscape.land, ssm, np.float32(np.nan))
    for polarisation in POLARISATIONS:
        image = render(scene, acquisition, ssm, polarisation)
        for burst in bursts_of(acquisition.track, grid):
            name = image_name(burst.name, acquisition.time + burst.delay, grid.pixel, polarisation)
            write_on_grid(root / "sentinel1" / name, image[burst.window.slices], grid.crop(burst.window), np.nan)
