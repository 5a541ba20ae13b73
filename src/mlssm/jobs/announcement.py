"""What `predict.py` says of the run that it maps with, before it begins."""

from __future__ import annotations

import logging

from mlssm.bundle import Bundle
from mlssm.tracking.find import Run

log = logging.getLogger(__name__)
SCORES = {"R2": "test/natural/r2", "RMSE": "test/natural/rmse"}


def announce(run: Run, model: Bundle) -> None:
    """Log which run it is, how good it is beside something simple, and what to beware of.

    Args:
        run: The run.
        model: Its model.
    """
    window, end = model.window, "the day itself" if model.knows_the_day else "the day before"
    summed = "" if window.mode == "sequence" else ", as one sum or mean"
    log.info(
        "maps of run %s (%s): %s, %d days of weather that end with %s%s",
        *(run.run_id, run.name, model.model.title, window.lag, end, summed),
    )
    scores = [f"{name} {run.metrics[key]:.3f}" for name, key in SCORES.items() if key in run.metrics]
    told = [", ".join(scores), run.verdict]
    log.info("on its test dates: %s", "; ".join(each for each in told if each) or "it has no score")
    for warning in run.warnings:
        log.warning("beware: %s", warning)
