"""How sure a trained model's maps are: calibrated on what it had not seen, tallied on the test split."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.evaluation.held_out import out_of_fold_maps, predicted_maps
from mlssm.inference.likeness import fit_applicability
from mlssm.patches.dates import seasons
from mlssm.uncertainty.applicability import Applicability
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.uncertainty.tally import IntervalTally, Told

log = logging.getLogger(__name__)
LEVEL = 0.9  # of the intervals that are tallied; maps have any
IN_TURN = "training seasons held out in turn, each predicted by what was trained on the others"
OUT_OF_FOLD = "training seasons held out in turn, each predicted by the closed form of the others, and validation dates"
VALIDATION = "validation dates, by which the training was stopped: a little too sure"


@dataclass(frozen=True)
class Certainty:
    """What a bundle keeps of how sure its maps are.

    Attributes:
        calibration: Of the intervals; None where too few held-out dates have labels.
        applicability: What training pixels are like; None where they cannot tell.
    """

    calibration: Calibration | None
    applicability: Applicability | None

    @property
    def source(self) -> str:
        """What it was calibrated on, in words, for a tag."""
        return "nothing" if self.calibration is None else f"{self.calibration.dates} dates: {self.calibration.source}"

    def state(self) -> dict[str, Any]:
        """For the bundle: nested dictionaries of arrays and primitives."""
        return {
            "calibration": None if self.calibration is None else self.calibration.state(),
            "applicability": None if self.applicability is None else self.applicability.state(),
        }


def calibrate(
    experiment: Experiment, network: nn.Module, config: TrainConfig, in_turn: Sequence[HeldOutMap] | None
) -> Certainty:
    """Calibrate a trained network on held-out dates.

    Args:
        experiment: What it was trained on.
        network: It.
        config: What it was told.
        in_turn: Predictions of training seasons held out in turn; None where none were.
    """
    start_month = config.split.start_month
    applicability = fit_applicability(experiment, start_month, config.seed)
    maps, source = _held_out(experiment, network, config, in_turn)
    of_time = seasons(experiment.cube.local_days[[each.time for each in maps]], start_month) if maps else np.empty(0)
    try:
        calibration = Calibration.fit(maps, [int(season) for season in of_time], source)
    except ValueError as error:
        log.warning("maps of this model will have no interval: %s", error)
        return Certainty(None, applicability)
    log.info("intervals are calibrated on %d dates: %s", calibration.dates, source)
    return Certainty(calibration, applicability)


def tally(
    experiment: Experiment, network: nn.Module, config: TrainConfig, calibration: Calibration | None
) -> IntervalTally | None:
    """How the intervals fare on the test split; None without a calibration, or a label."""
    if calibration is None:
        return None
    maps = predicted_maps(experiment, network, "test", config)
    pixel, extents = experiment.stack.working.grid.pixel, len(experiment.stack.extents)
    told = Told(LEVEL, config.evaluation.wet_thresholds, pixel, extents, config.seed)
    found = IntervalTally.of(calibration, maps, told)
    return None if math.isnan(found.scores["coverage"]) else found


def _held_out(
    experiment: Experiment, network: nn.Module, config: TrainConfig, in_turn: Sequence[HeldOutMap] | None
) -> tuple[list[HeldOutMap], str]:
    if in_turn is not None:
        return list(in_turn), IN_TURN
    val = predicted_maps(experiment, network, "val", config)
    if experiment.prefit is None or any(True for _ in network.parameters()):
        return val, VALIDATION
    return [*out_of_fold_maps(experiment), *val], OUT_OF_FOLD
