"""How a run is written on the command line: an id or its beginning, `runs:/<id>`, `models:/<name>@<alias>`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlssm.errors import RunError
from mlssm.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

MODEL = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")
RUN = re.compile(r"runs:/(?P<run_id>[^/]+)(/model)?/?")
BEGINNING = re.compile(r"[0-9a-f]{6,31}")  # of an id of 32
FORMS = "a run's id, runs:/<id>, models:/<name>@<alias> or models:/<name>/<version>"
SHOWN = 10


def run_id_of(store: Store, run: str) -> str:
    """The id that a run's name on the command line stands for. What is no reference is given back as it is.

    Raises:
        RunError: There is no such model, alias or version, the beginning of an id fits several runs, or none of the
            forms is meant.
    """
    if run.startswith("models:"):
        match = MODEL.fullmatch(run)
        if match is None:
            raise RunError(f"run={run} is not understood; give {FORMS}")
        return _run_of_model(store, run, match["name"], match["alias"], match["version"])
    if run.startswith("runs:"):
        match = RUN.fullmatch(run)
        if match is None:
            raise RunError(f"run={run} is not understood; give {FORMS}")
        run = match["run_id"]
    return _completed(store, run) if BEGINNING.fullmatch(run) else run


def registered_model(store: Store, name: str) -> RegisteredModel | None:
    """A model of the registry; None where there is none of that name.

    Raises:
        RunError: The registry cannot be read.
    """
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise RunError(f"model {name!r} cannot be looked up at {store.shown}: {str(error)[:300]}") from None


def versions(store: Store, name: str) -> list[ModelVersion]:
    """All versions of a registered model, oldest first."""
    from mlflow.store.entities.paged_list import PagedList

    found: list[ModelVersion] = []
    page: PagedList[ModelVersion] | None = None
    while page is None or page.token:
        page = store.client.search_model_versions(f"name = '{name}'", page_token=page.token if page else None)
        found.extend(page)
    return sorted(found, key=lambda item: int(item.version))


def _run_of_model(store: Store, run: str, name: str, alias: str | None, version: str | None) -> str:
    model = registered_model(store, name)
    if model is None:
        known = [item.name for item in store.client.search_registered_models(max_results=SHOWN)]
        raise RunError(f"run={run}: no model {name!r} is registered at {store.shown}; there is {_listed(known)}")
    if alias is not None:
        version = str(model.aliases.get(alias, ""))  # a database gives numbers, a server text
    found = {str(item.version): item.run_id for item in versions(store, name)}
    if not version or not found.get(version):
        missing = f"alias {alias!r}" if alias else f"version {version}"
        aliases = [f"@{key} (version {value})" for key, value in sorted(model.aliases.items())]
        raise RunError(
            f"run={run}: model {name!r} has no {missing} that comes from a run; "
            f"its versions are {_listed(list(found))}, its aliases {_listed(aliases)}"
        )
    return str(found[version])


def _completed(store: Store, beginning: str) -> str:
    """The id of the experiment that begins so; the beginning itself where there is none."""
    found = store.client.search_runs([store.experiment_id], f"attributes.run_id LIKE '{beginning}%'", max_results=SHOWN)
    if len(found) > 1:
        ids = [f"{item.info.run_id} ({item.info.run_name})" for item in found]
        raise RunError(f"run={beginning} fits several runs: {_listed(ids)}; give more of the id")
    return str(found[0].info.run_id) if found else beginning


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN]) or "none"
    return shown + (", ..." if len(names) > SHOWN else "")
