"""The MLflow store: where it is, its first contact, and its creation by exactly one of many processes."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from mlssm.config import TrackingConfig
from mlssm.errors import RunError
from mlssm.files import disk_fault
from mlssm.secrets import without_password
from mlssm.tracking import charts
from mlssm.tracking.failures import reason_of, short_requests
from mlssm.tracking.leftovers import send_leftovers
from mlssm.tracking.sqlite import ARTIFACTS, exclusive, relocate_artifacts, sqlite_path
from mlssm.tracking.store import Store
from mlssm.tracking.tags import NOTE

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
FIRST_CONTACT_SECONDS = 10


def tracking_uri(config: TrackingConfig) -> str:
    """The store's address: `tracking.uri`, else MLFLOW_TRACKING_URI, else SQLite under `tracking.folder`.

    Relative SQLite paths are made absolute, so that a job in another working directory finds the same store.
    """
    uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI")
    path = sqlite_path(uri or f"sqlite:///{config.folder / 'mlflow.db'}", "tracking.uri" if uri else "tracking.folder")
    if path is None:
        return str(uri)
    _, question, options = (uri or "").partition("?")
    return f"sqlite:///{path}{question}{options}"


def open_store(config: TrackingConfig, *, to_read: bool = False) -> Store:
    """Connect to the store; create its database and experiment where they are missing; send what is left for it.

    A database in a folder that may not be written is read as it is, where it is only to be read.

    Safe to call from many processes at once on an empty folder. Fails within seconds where the store cannot be reached.
    What an earlier command could not send to this store, and no living process writes any more, is sent first.

    Raises:
        RunError: The store cannot be reached, is not an MLflow store, or its experiment is deleted.
    """
    _quiet()
    path = sqlite_path(tracking_uri(config))
    if to_read and path is not None and path.is_file() and not os.access(path.parent, os.W_OK):
        return _connect(f"sqlite:///{path}", config, None)
    store = _open(config)
    send_leftovers(store)
    return store


def _open(config: TrackingConfig) -> Store:
    uri = tracking_uri(config)
    path = sqlite_path(uri)
    if path is None:
        return _connect(uri, config, None)
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with exclusive(path):
            store = _connect(uri, config, (path.parent / ARTIFACTS).as_uri())
            relocate_artifacts(path)  # MLflow has brought the tables to its own version by now
            return store
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise _unreachable(uri, error) from None


def _quiet() -> None:
    """Telemetry off, and only warnings from MLflow and its database migrations."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow.utils.logging_utils  # noqa: F401  its import sets the level to INFO, so it comes first

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # it logs each failed statement with a traceback, and raises it: it is told by who catches it
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _connect(uri: str, config: TrackingConfig, artifacts: str | None) -> Store:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    _probe_database(uri)
    try:
        with short_requests(FIRST_CONTACT_SECONDS):
            client = MlflowClient(uri, uri)
            experiment_id = _experiment_id(client, config.experiment, artifacts)
            return Store(client, uri, experiment_id, config.folder.absolute())
    except MlflowException as error:
        raise _unreachable(uri, error) from None


def _probe_database(uri: str) -> None:
    """Connect once, for MLflow itself retries a dead database for more than a minute."""
    if uri.startswith(("http:", "https:", "sqlite:")) or "://" not in uri:
        return
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        engine = create_engine(uri, connect_args={"connect_timeout": 10} if uri.startswith("postgresql") else {})
        inspect(engine).get_table_names()
        engine.dispose()
    except NoSuchModuleError:
        return  # not a database: MLflow knows more schemes, and refuses the rest
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise _unreachable(uri, error) from None


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return _create_experiment(client, name, artifacts)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    if found is None or found.lifecycle_stage == "deleted":
        raise RunError(
            f"experiment {name!r} is deleted; set another tracking.experiment, or: mlflow experiments restore"
        )
    return str(found.experiment_id)


def _create_experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """Create it with a view of the charts that matter, which its description leads to."""
    view = {charts.TAG: charts.saved_view(time.time_ns() // 1_000_000)}
    found = str(client.create_experiment(name, artifact_location=artifacts, tags=view))
    client.set_experiment_tag(found, NOTE, charts.description(found))
    return found


def _unreachable(uri: str, error: Exception) -> RunError:
    cure = disk_fault(error) or f"{reason_of(error)}; check tracking.uri"
    return RunError(f"tracking store {without_password(uri)} cannot be used: {cure}")
