"""What a carried state changes: maps of validation dates by windows and by a carried state, and how both score.

    python train.py ... ; python benchmarks/carried.py mlruns/hydra/runs/<day>/<time>/model [the same overrides]

Prints of both ways RMSE, R2 and the coverage of the 90 % intervals, how far their maps lie apart, and the mean over
dates of the difference of RMSE with its standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from predict import OVERLAP, TILE, Opening

from mlssm.config import DaskConfig
from mlssm.data.assemble import Experiment, assemble
from mlssm.evaluation.held_out import covariates
from mlssm.grid import Window
from mlssm.inference.carried_maps import carried_maps
from mlssm.inference.mapper import day_of
from mlssm.inference.means import ExtentPart, extent_means
from mlssm.inference.opened import Opened, Place
from mlssm.inference.part_maps import part_maps
from mlssm.inference.square import PartPlace
from mlssm.inference.surround import Surround
from mlssm.jobs.area import open_area
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.workers import open_workers
from patches import compose_config

LEVEL = 0.9
EVERYTHING = slice(None)
Array = npt.NDArray[np.float32]
Days = npt.NDArray[np.datetime64]


def maps_of(opened: Opened, days: Days) -> list[dict[np.datetime64, Array]]:
    """SSM of each extent and day."""
    place = Opening("run", *[opened.cube.path] * 2, own=opened)
    parts = [ExtentPart(number, Window(0, 0, *shape)) for number, shape in enumerate(opened.shapes)]
    with open_workers(DaskConfig(workers=1)) as workers:
        means = extent_means(place, parts, opened.step_days(days), workers)
    found = []
    for part, known in zip(parts, means, strict=True):
        chains, shape = opened.chains(days), part.window.shape
        steps = max(chain.days for chain in chains) if opened.carried else opened.bundle.window.steps
        surround = Surround.of(opened.bundle.model, steps, TILE, OVERLAP)
        around = surround.needed(part.window, shape)
        mapper = opened.part(part.extent, around, opened.step_days(days), known)
        where = PartPlace(part.window, around, shape)
        if opened.carried:
            pairs = list(carried_maps(mapper, where, chains, surround, None))
        else:
            moments = [mapper.known(day) for day in days]
            pairs = list(zip(moments, part_maps(mapper, where, moments, surround, None), strict=True))
        found.append({moment.day: maps.ssm for moment, maps in pairs})
    return found


@dataclass(frozen=True)
class Way:
    """Maps of validation dates beside their labels."""

    maps: Sequence[HeldOutMap]

    @classmethod
    def of(cls, experiment: Experiment, opened: Opened, days: Mapping[int, np.datetime64]) -> Way:
        """Those of one way of mapping."""
        mapped, held = maps_of(opened, np.unique(list(days.values()))), []
        for extent, found in enumerate(mapped):
            for time, day in days.items():
                labels = experiment.retrieval.labels(extent, np.array([time]), EVERYTHING, EVERYTHING).ssm[0]
                known = covariates(experiment, time, extent, (EVERYTHING, EVERYTHING))
                held.append(HeldOutMap(time, extent, found[day], labels, *known))
        return cls([each for each in held if each.known.any()])

    def errors(self) -> npt.NDArray[np.float64]:
        """RMSE of each date and extent."""
        return np.array([np.sqrt(np.mean((each.mean - each.label)[each.known] ** 2)) for each in self.maps])

    def show(self, name: str, opened: Opened, like: Way) -> None:
        """Print its scores, and how far it lies from another."""
        mean = np.concatenate([each.mean[each.known] for each in self.maps]).astype(float)
        label = np.concatenate([each.label[each.known] for each in self.maps]).astype(float)
        square = np.mean((mean - label) ** 2)
        apart = [np.abs(each.mean - other.mean) for each, other in zip(self.maps, like.maps, strict=True)]
        off = np.concatenate([each[np.isfinite(each)] for each in apart])
        line = f"{name:8} RMSE {np.sqrt(square):.4f}, R2 {1 - square / label.var():.4f}; from windows: "
        line += f"mean {off.mean():.4f}, largest {off.max():.3f}"
        print(line + self._coverage(opened))

    def _coverage(self, opened: Opened) -> str:
        calibration = None if opened.certainty is None else opened.certainty.calibration
        if calibration is None:
            return ""
        shares = []
        for each in self.maps:
            lower, upper = calibration.interval(each.mean.astype(float), calibration.deviation(each), LEVEL)
            shares.append(np.mean(((each.label >= lower) & (each.label <= upper))[each.known]))
        return f"; intervals hold {np.mean(shares):.3f}, on the worst date {np.min(shares):.2f}"


def main() -> None:
    """Print both ways."""
    folder, *overrides = sys.argv[1:]
    config = compose_config(*overrides)
    cube = open_area(config.datamodule, config.on_bad_file)
    experiment = assemble(cube, config)
    opened = Place("run", Path(folder), cube.path, state="carried").opened()
    days = {int(time): day_of(opened.bundle, experiment.ends[time]) for time in experiment.datasets["val"].times}
    window, carried = (Way.of(experiment, replace(opened, carried=each), days) for each in (False, True))
    print(f"{len(days)} validation dates, lag {opened.bundle.window.lag}")
    window.show("window", opened, window)
    carried.show("carried", opened, window)
    difference = carried.errors() - window.errors()
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    print(f"RMSE of a date, carried less window: {difference.mean():+.4f} +- {error:.4f}")


if __name__ == "__main__":
    main()
