"""What a search is told of a training, and writes to the record: figures and tags of its parent run, and the champion.

Cheap to import, for the sweeper does so before any training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlssm.errors import RunError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

REGISTERED, ALIAS = "mlssm", "champion"
FOLDER = "study"


def join(study: str) -> None:
    """Say on the sweep's parent run which study it belongs to, or join the parent that the study has."""
    from mlssm.jobs import sweep

    sweep.set_study(study)


def leave_running() -> None:
    """Let the parent run go on as this process ends, for other workers' trials still run."""
    from mlssm.jobs import sweep

    sweep.leave_running()


def show(
    figures: Mapping[str, Figure], missing: Mapping[str, str], trials: pd.DataFrame, tags: Mapping[str, object]
) -> None:
    """Write what a study came to so far to the parent run; without a parent run it is not kept.

    Args:
        figures: By name; artifacts `study/<name>.png`.
        missing: Why a figure is not there, by its name; artifact `study/missing.txt`.
        trials: A row a trial; artifacts `trials.csv` and `trials.md`.
        tags: Of the parent run.
    """
    from mlssm.jobs import sweep

    parent = sweep.current_parent()
    if parent is None:
        log.warning("the study's figures are not kept, for the sweep has no parent run")
        return
    for name, figure in figures.items():
        parent.log_figure(figure, f"{FOLDER}/{name}.png")
    if missing:
        parent.log_text("".join(f"{name}: {why}\n" for name, why in missing.items()), f"{FOLDER}/missing.txt")
    parent.log_table(trials, "trials")
    parent.set_tags(tags)


def register_champion(run_id: str) -> int | None:
    """Register a run's model as `mlssm`, alias champion.

    Returns:
        The version; None for a run that stands above one of each season, and has no model.

    Raises:
        RunError: The sweep has no parent run, or the run has no model.
    """
    from mlssm.jobs import sweep
    from mlssm.tracking.find import find_run
    from mlssm.tracking.registry import register
    from mlssm.tracking.tags import SEASONS

    parent = sweep.current_parent()
    if parent is None:
        raise RunError(
            f"run {run_id} cannot be registered: the sweep has no parent run; keep hydra.callbacks.sweep_parent"
        )
    if SEASONS in find_run(parent.store, run_id).tags:
        log.warning(
            "run %s tests on every season in turn and has no model: none is registered; train the best point with "
            "split=by_season split.inner=seasons for one",
            run_id,
        )
        return None
    return register(parent.store, run_id, name=REGISTERED, alias=ALIAS)
