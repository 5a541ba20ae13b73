"""The model registry: the one model that others are told to use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mlssm.errors import RunError
from mlssm.tracking.find import Run, find_run
from mlssm.tracking.reference import registered_model, versions
from mlssm.tracking.store import Store
from mlssm.tracking.tags import BUNDLE

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)

NAME = "mlssm"
ALIAS = "champion"
ABOUT = "Daily relative surface soil moisture from weather, terrain, soil and vegetation."
# parameters that tell versions apart in the registry's list
TOLD = ("datamodule.name", "datamodule.root", "model.lag", "model.window", "sampler.name", "split.name", "loss.name")
SCORES = ("val/natural/rmse", "val/natural/r2", "test/natural/rmse", "test/natural/r2")


def register(store: Store, run_id: str, name: str = NAME, alias: str = ALIAS) -> int:
    """Make a run's model a version of a registered model, and let the alias point to it.

    A run is registered once: for a run that has a version already, the alias is moved to it.

    Args:
        store: The open store.
        run_id: The run, by any of the forms that `find_run` takes.
        name: The registered model; it is made if there is none.
        alias: The name that users ask for, as in models:/mlssm@champion.

    Returns:
        The version.

    Raises:
        RunError: There is no such run, it has no model or one that was trained as a control, or the registry refuses.
    """
    from mlflow.exceptions import MlflowException

    run = find_run(store, run_id)
    _check(run)
    try:
        _make_model(store, name)
        known = [item for item in versions(store, name) if item.run_id == run.run_id]
        version = known[0] if known else _make_version(store, name, run)
        store.client.set_registered_model_alias(name, alias, str(version.version))
    except MlflowException as error:
        raise RunError(f"run {run.run_id} cannot be registered as {name!r}: {str(error)[:300]}") from None
    log.info(
        "run %s (%s) is version %s of the model %s: models:/%s@%s",
        run.run_id,
        run.name,
        version.version,
        *(name, name, alias),
    )
    return int(version.version)


def _check(run: Run) -> None:
    if not run.tags.get(BUNDLE):
        raise RunError(f"run {run.run_id} ({run.status}) has no model to register; register a finished training")
    control = run.params.get("control", "none")
    if control != "none":
        raise RunError(f"run {run.run_id} was trained with control={control}: its model is for comparison, not for use")


def _make_model(store: Store, name: str) -> None:
    from mlflow.exceptions import MlflowException

    if registered_model(store, name) is not None:
        return
    try:
        store.client.create_registered_model(name, description=ABOUT)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
            raise


def _make_version(store: Store, name: str, run: Run) -> ModelVersion:
    told = {key: run.params[key] for key in TOLD if key in run.params}
    scores = {key: f"{run.metrics[key]:.4f}" for key in SCORES if key in run.metrics}
    return store.client.create_model_version(
        name,
        source=f"runs:/{run.run_id}/{run.tags[BUNDLE]}",
        run_id=run.run_id,
        tags=told | scores,
        description=_description(run, told, scores),
    )


def _description(run: Run, told: dict[str, str], scores: dict[str, str]) -> str:
    lines = [f"Run {run.name} ({run.run_id})", ""]
    return "\n".join([*lines, *(f"- {key}: {value}" for key, value in (told | scores).items())])
