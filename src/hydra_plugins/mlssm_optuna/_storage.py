"""Where studies are kept: SQLite, a journal file or PostgreSQL; tried before any training."""

from __future__ import annotations

import logging
import os
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hydra_plugins.mlssm_optuna._heartbeat import retry_callback
from hydra_plugins.mlssm_optuna._settings import Settings
from mlssm.errors import ConfigError, RunError
from mlssm.secrets import without_password

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STORAGE = "MLSSM_STUDY_STORAGE"  # the environment variable by which a job finds the study; never in a configuration
CONNECT_SECONDS = 10
BUSY_SECONDS = 120  # how long SQLite waits for another writer
CREATIONS = 5  # processes that create the tables at the same moment disturb each other


def absolute_address(address: str) -> str:
    """The address with paths made absolute, and the driver of PostgreSQL named.

    Raises:
        ConfigError: It is no address of a kind that is known.
    """
    if address.startswith("sqlite:"):
        name = address.removeprefix("sqlite:///")
        if name in ("", ":memory:", address):
            raise ConfigError(f"hydra.sweeper.storage={address} names no file; give sqlite:///FOLDER/optuna.db")
        path = Path(name).absolute()
        if "?" in str(path) or unquote(str(path)) != str(path):  # the study would lie outside the folder
            raise ConfigError(f"hydra.sweeper.storage={address}: {path} has ? or %41 in its name; rename the folder")
        return f"sqlite:///{path}"
    for scheme in ("postgresql://", "postgres://"):
        if address.startswith(scheme):
            return f"postgresql+psycopg://{address.removeprefix(scheme)}"
    if address.startswith("postgresql+"):
        return address
    if address.startswith("journal:"):
        return f"journal:{Path(address.removeprefix('journal:').removeprefix('//')).absolute()}"
    if "://" not in address and address.endswith((".journal", ".log")):
        return f"journal:{Path(address).absolute()}"
    shown = without_password(address)
    raise ConfigError(
        f"hydra.sweeper.storage={shown}: give sqlite:///FILE, journal:FILE or postgresql://USER@HOST/NAME"
    )


def open_storage(address: str, settings: Settings | None = None) -> BaseStorage:
    """Connect, and create the tables where they are missing.

    Args:
        address: From `absolute_address`.
        settings: Of the search, whose trials give signs of life; None only to read, or to write scores.

    Raises:
        RunError: The storage cannot be reached or used; the message shows no password.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # so it calls its heartbeat
    # which it gives by itself in optimize alone; the trials that are asked for here have `Heartbeat`
    warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used with Study.optimize")
    try:
        if address.startswith("journal:"):
            return _journal(Path(address.removeprefix("journal:")))
        with _alone(address):
            return _database(address, settings)
    except (SQLAlchemyError, RuntimeError, OSError, ValueError) as error:
        raise _unusable(address, error) from None
    except ImportError:
        raise RunError(
            f"study storage {without_password(address)} needs a driver: pip install 'mlssm[postgresql]'"
        ) from None


def storage_of_job() -> BaseStorage:
    """The storage that the sweeper named for its jobs.

    Raises:
        RunError: The job was not started by a search, or the storage cannot be used.
    """
    address = os.environ.get(STORAGE)
    if address is None:
        raise RunError(f"a trial reports to its study, but {STORAGE} is not set; start the search with train.py -m")
    return open_storage(address)


def _journal(path: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _alone(address: str) -> AbstractContextManager[object]:
    """Two processes that create the tables of one SQLite file crash each other."""
    if not address.startswith("sqlite:"):
        return nullcontext()
    from filelock import FileLock

    path = Path(address.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f"{path.name}.lock"), timeout=BUSY_SECONDS)


def _database(address: str, settings: Settings | None) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, ProgrammingError
    from sqlalchemy.pool import NullPool

    sqlite = address.startswith("sqlite:")
    wait = {"timeout": BUSY_SECONDS} if sqlite else {"connect_timeout": CONNECT_SECONDS}
    # no connection stays open between two epochs: many trials share one server
    options = {"connect_args": wait} | ({} if sqlite else {"poolclass": NullPool})
    for attempt in range(CREATIONS):
        try:
            return RDBStorage(address, options, **_signs_of_life(settings))
        except (IntegrityError, ProgrammingError):
            if attempt == CREATIONS - 1:
                raise
            time.sleep(0.5)
    raise AssertionError  # the last attempt returns or raises


def _signs_of_life(settings: Settings | None) -> dict[str, Any]:
    if settings is None:
        return {}
    return {
        "heartbeat_interval": settings.heartbeat_s,
        "grace_period": settings.grace_s,
        "heartbeat_stale_trial_callback": retry_callback(settings.max_retries),
    }


def _unusable(address: str, error: Exception) -> RunError:
    # SQLAlchemy wraps the driver's own words
    lines = [line for line in str(getattr(error, "orig", None) or error).splitlines() if line.strip()]
    reason = (lines[0] if lines else type(error).__name__)[:300]
    if secret := _password(address):
        reason = reason.replace(secret, "***")
    return RunError(f"study storage {without_password(address)} cannot be used: {reason}; check hydra.sweeper.storage")


def _password(address: str) -> str:
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:
        return ""
