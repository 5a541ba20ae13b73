"""What a job came to, told to the study, and to whoever looks on."""

from __future__ import annotations

import logging
import math
from typing import Any

from hydra.core.utils import JobReturn

from hydra_plugins.mlssm_optuna._trials import ERROR, FAILED, TEXT, Trials
from mlssm.jobs.outcome import job_result

log = logging.getLogger(__name__)

RUN = "run_id"
TEXT_LENGTH = 2000


def tell_outcome(trials: Trials, number: int, job: JobReturn) -> bool:
    """Tell a trial's end, and log it.

    Returns:
        Whether the job did what it should: False for an error, and for an objective that is no number.
    """
    outcome, error = job_result(job)
    why = f"{type(error).__name__}: {error}"[:TEXT_LENGTH] if error else ""
    pruned = getattr(outcome, "pruned_epoch", None)
    values: list[float] | None = None
    if not why and pruned is None:
        values, why = _values(outcome, trials.settings.objectives)
    state = "FAIL" if why else "COMPLETE" if pruned is None else "PRUNED"
    attributes: dict[str, Any] = {FAILED: ERROR, TEXT: why} if why else {}
    if run_id := getattr(outcome, "run_id", None):
        attributes[RUN] = run_id
    if not trials.tell(number, state, values, attributes):
        log.warning("trial %d ended as %s, but another worker took it for dead; it is tried again", number, state)
        return True
    _log_end(trials, number, why or (f"after epoch {pruned}" if pruned is not None else ""))
    return not why


def _values(outcome: object, objectives: tuple[str, ...]) -> tuple[list[float] | None, str]:
    found = [(name, getattr(outcome, name, None)) for name in objectives]
    for name, value in found:
        if not isinstance(value, int | float) or not math.isfinite(value):
            return None, f"the objective {name} is {value}, not a finite number"
    return [float(value) for _, value in found if value is not None], ""


def _log_end(trials: Trials, number: int, note: str) -> None:
    trial = trials.by_number(number)
    values = zip(trials.settings.objectives, trial.values or (), strict=False)
    parts = [f"{name} {value:.4g}" for name, value in values] + ([note] if note else [])
    log.info(
        "trial %d %s (%d of %d): %s | %s | %s",
        *(number, trial.state.name, len(trials.counted()), trials.settings.n_trials),
        *(", ".join(parts), " ".join(trials.space.overrides(trial.params)), _best(trials)),
    )


def _best(trials: Trials) -> str:
    complete = trials.complete()
    if not complete:
        return "none complete yet"
    if len(trials.settings.objectives) > 1:
        return f"{len(trials.study.best_trials)} on the Pareto front"
    best = min(complete, key=lambda trial: trial.values[0])
    return f"best {best.values[0]:.4g} (trial {best.number})"
