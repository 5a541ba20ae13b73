"""The retrieval against a simulation's truth: bias, error and correlation by looks, orbits, vegetation and dates.

    python benchmarks/retrieval.py FOLDER

FOLDER takes the simulated areas (some 100 MB). The truth is put on the labels' scale as change detection would have it
without noise: each pixel's true moisture between its own 5th and 95th percentile on the training dates, clipped. All is
scored on the last season, which no reference has seen; a row changes one thing against the first.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mlssm.config import TrainConfig, parse
from mlssm.cube import Cube
from mlssm.jobs.area import open_area
from mlssm.markdown import markdown
from mlssm.patches.dates import seasons
from mlssm.retrieval.fit import fit_retrieval
from mlssm.retrieval.labels import relative_moisture
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import block_mean
from mlssm.retrieval.references import fit_references
from mlssm.retrieval.stack import load_stack, whole_blocks

CONF = Path(__file__).resolve().parents[1] / "conf"
SIZE, SOIL = 120, 0.5
WHOLE = slice(None), slice(None)
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Case:
    """A way to retrieve: its title, changes of the configuration, and how many of the training dates are known."""

    title: str
    changes: tuple[str, ...] = ()
    vegetation: float = 0.4
    dates: int | None = None


SHARED = "retrieval.per_orbit=false"
CASES = (
    Case("as shipped: 0.7 VV + 0.3 VH, 90 m, references per orbit"),
    Case("VV, a fixed mask of 2 dB", ("retrieval.polarisation=VV", "retrieval.min_sensitivity_speckle=0")),
    Case("VV", ("retrieval.polarisation=VV",)),
    Case("single pixels, 10 looks", ("retrieval.multilook_m=0",)),
    Case("single pixels, a fixed mask of 2 dB", ("retrieval.multilook_m=0", "retrieval.min_sensitivity_speckle=0")),
    Case("150 m, 250 looks", ("retrieval.multilook_m=150",)),
    Case("300 m, 1000 looks", ("retrieval.multilook_m=300",)),
    Case("one set of references for both orbits", (SHARED,)),
    Case("one set, at 40 degrees", (SHARED, "retrieval.incidence_slope=true")),
    Case("references of mornings and of evenings", (SHARED, "retrieval.per_time_of_day=true")),
    Case("no effect of vegetation", vegetation=0.0),
    Case("twice the effect of vegetation", vegetation=0.8),
    Case("12 training dates", dates=12),
    Case("24 training dates", dates=24),
    Case("60 training dates", dates=60),
    Case("minimum and maximum as references", ("retrieval.dry_percentile=0", "retrieval.wet_percentile=100")),
)


def config_of(folder: Path, case: Case) -> TrainConfig:
    """The shipped configuration with a case's changes."""
    simulation = {"size": SIZE, "vegetation_attenuation": case.vegetation}
    places = {"root": folder / f"vegetation_{case.vegetation:g}", "cubes": folder / "cubes"}
    overrides = [f"datamodule.simulation.{key}={value}" for key, value in simulation.items()]
    overrides += [f"datamodule.{key}={value}" for key, value in places.items()]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("train", [*overrides, *case.changes]), resolve=True)
    assert isinstance(values, dict)
    return parse(TrainConfig, {str(key): value for key, value in values.items()})


def truth_of(cube: Cube, config: TrainConfig) -> Floats:
    """True moisture on the working grid, [time, h, w]; NaN where less than half of a window is soil."""
    stack = load_stack(cube, config.retrieval)
    ssm = xr.open_zarr(config.datamodule.root / "truth.zarr")["ssm"]
    images = np.searchsorted(ssm["time"].to_numpy().astype("datetime64[s]"), cube.times)
    extent, window = cube.extents[0], stack.working.extents[0].refine(stack.working.factor)
    whole = (whole_blocks(ssm[int(image)].to_numpy()[extent.slices], extent, window) for image in images)
    return np.stack([block_mean(image, stack.working.window_pixels, SOIL)[0] for image in whole]).astype(float)


def score(folder: Path, case: Case) -> dict[str, Any]:
    """A row of the table."""
    config = config_of(folder, case)
    cube = open_area(config.datamodule, "error")
    stack = load_stack(cube, config.retrieval)
    season = seasons(cube.local_days, config.split.start_month)
    test, training = season == season.max(), season < season.max()
    whole = training.copy()
    if case.dates is not None:  # as many of each orbit, spread evenly
        known = np.flatnonzero(training)
        training[:] = False
        training[known[np.linspace(0, len(known) - 1, case.dates).astype(int)]] = True
    clear = DateMasks({}, tuple(extent.shape for extent in stack.working.extents))
    fitted = fit_retrieval(cube, stack, config.retrieval, training, clear)
    found = fitted.labels(0, np.flatnonzero(test), *WHOLE)
    moisture = truth_of(cube, config)
    wanted = np.full(moisture.shape, np.nan)
    keys = np.array([fitted.extents[0].key(int(orbit)) for orbit in cube.orbits])
    for key in np.unique(keys):
        of_key = fit_references(moisture[whole & (keys == key)], 5, 95, 2)
        wanted[keys == key] = relative_moisture(moisture[keys == key], of_key.dry, of_key.wet)
    return {"labels": case.title, **_scores(found.ssm.astype(float), wanted[test], found.standard_error)}


def _scores(found: Floats, wanted: Floats, error: Floats) -> dict[str, float]:
    known = np.isfinite(found) & np.isfinite(wanted)
    soil = np.isfinite(wanted)
    off = (found - wanted)[known]
    dry, wet = wanted[known] < 0.2, wanted[known] > 0.8
    return {
        "labelled_percent": 100 * float(known.sum() / soil.sum()),
        "bias": float(off.mean()),
        "bias_when_dry": float(off[dry].mean()),
        "bias_when_wet": float(off[wet].mean()),
        "rmse": float(np.sqrt((off**2).mean())),
        "r": float(np.corrcoef(found[known], wanted[known])[0, 1]),
        "speckle_rmse": float(np.sqrt((error[known].astype(float) ** 2).mean())),
    }


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the simulated areas are kept")
    folder = parser.parse_args().folder
    logging.basicConfig(level=logging.ERROR)
    rows = []
    for case in CASES:
        rows.append(score(folder, case))
        print(rows[-1], flush=True)
    print(markdown(pd.DataFrame(rows).round(3)))


if __name__ == "__main__":
    main()
