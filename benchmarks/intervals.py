"""Coverage of the closed form's intervals on simulated watersheds, a season held out for test, several seeds.

    python benchmarks/intervals.py [seeds, as 0-4 or 3] [Hydra overrides]

Calibrated on the other three seasons, each held out in turn; a row a seed: coverage, width and interval score of the
90 % intervals on the test season, coverage of the conservative ones, the least coverage of a bin of predicted SSM with
1 % of the pixels or more, and that of means over blocks of 300 m and 1 km.
"""

from __future__ import annotations

import logging
import sys
import tempfile

from mlssm.config import TrainConfig
from mlssm.data.assemble import assemble
from mlssm.evaluation.held_out import out_of_fold_maps, predicted_maps
from mlssm.grid import Floats
from mlssm.jobs.area import open_area
from mlssm.jobs.calibrate import LEVEL
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.tally import ALL, CONSERVATIVE, PREDICTED, SUPPORT, IntervalTally, Told
from response import compose_config

LEAST_SHARE = 0.01
SETTINGS = ("model=response", "response.residual=none", "split.inner=seasons")


def run(config: TrainConfig) -> tuple[IntervalTally, Calibration]:
    """Simulate, fit, calibrate, and tally the test season."""
    cube = open_area(config.datamodule, config.on_bad_file)
    experiment = assemble(cube, config)
    network = config.model.build(experiment.spec, spread=False)
    maps = out_of_fold_maps(experiment)
    calibration = Calibration.fit(maps, [], "seasons held out in turn")
    test = predicted_maps(experiment, network, "test", config)
    pixel = experiment.stack.working.grid.pixel
    told = Told(LEVEL, config.evaluation.wet_thresholds, pixel, len(experiment.stack.extents), 0)
    return IntervalTally.of(calibration, test, told), calibration


def row(tally: IntervalTally) -> list[float]:
    """What is printed of a seed."""
    n, covered, *_ = _total(tally, PREDICTED).T
    bins = (covered / n.clip(min=1))[n > LEAST_SHARE * n.sum()]
    careful, blocks = _total(tally, CONSERVATIVE)[0], _total(tally, SUPPORT)
    whole = _total(tally, ALL)[0]
    parts = (*(whole[1:] / whole[0]), careful[1] / careful[0], bins.min(), *(blocks[:, 1] / blocks[:, 0]))
    return [float(part) for part in parts]


def _total(tally: IntervalTally, name: str) -> Floats:
    return tally.groups[name].sum(axis=0)


def main(seeds: str = "0-4", *overrides: str) -> None:
    """Print the table."""
    logging.basicConfig(level=logging.ERROR)
    print("seed  dates  coverage  width  score  conservative  worst bin  300 m  1 km")
    first, _, last = seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory() as folder:
            place = f"datamodule.root={folder}/area", f"datamodule.cubes={folder}/cubes"
            told = f"datamodule.simulation.seed={seed}", *SETTINGS, *place, *overrides
            tally, calibration = run(compose_config(*told))
            numbers = "  ".join(f"{value:.3f}" for value in row(tally))
            print(f"{seed}  {calibration.dates} and {len(tally.times)}  {numbers}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
