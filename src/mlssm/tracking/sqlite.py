"""A SQLite store: where it lies, made whole or not at all, and its artifacts beside it wherever the folder is moved."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from mlssm.errors import RunError
from mlssm.tracking.writer import is_written

log = logging.getLogger(__name__)

LOCK_SECONDS = 120  # a fresh database takes about 2 s to create; a slow disk gets its time
ARTIFACTS = "artifacts"  # beside the database
BELONGING = ("-journal", "-wal", "-shm")  # SQLite's own files beside a database


def sqlite_path(uri: str, key: str = "tracking.uri") -> Path | None:
    """The absolute path of a SQLite address's file; None for every other kind of address.

    Args:
        uri: The address.
        key: Where it is configured.

    Raises:
        RunError: The address names no file, or one in a folder whose name an address cannot hold.
    """
    if not uri.startswith("sqlite:"):
        return None
    name, _, options = uri.removeprefix("sqlite:///").partition("?")
    if name in ("", ":memory:") or "://" not in uri or name.startswith("sqlite:"):
        raise RunError(f"tracking store {uri!r} names no file; set {key} to sqlite:///<folder>/mlflow.db")
    path = Path(name).absolute()
    # in an address options begin at ?, and SQLAlchemy reads %41 as A: the store would lie outside the folder
    if "?" in str(path) or "/" in options or unquote(str(path)) != str(path):
        raise RunError(
            f"{Path(uri.removeprefix('sqlite:///')).absolute()}: a folder with ? or %41 in its name cannot hold a "
            f"SQLite store; rename the folder, or set {key} to a place elsewhere"
        )
    return path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """The database, there and whole, and no other process that opens it meanwhile.

    Raises:
        RunError: An earlier command was killed while it made the database, or another process holds it.
        OSError, sqlite3.Error, SQLAlchemyError: The folder cannot be written, or the file is no database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # two processes in MLflow's first migration crash each other
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=LOCK_SECONDS):
            _create(path)
            yield
    except Timeout:
        raise RunError(
            f"tracking store {path} has been locked by another process for {LOCK_SECONDS} s; wait for it, or end it"
        ) from None


def _create(path: Path) -> None:
    """Make a database that is not there under another name first: a killed command leaves nothing half-made."""
    if path.is_file() and (tables := _tables(path)):
        _refuse_half_made(path, tables)
        return
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    partial = path.with_name(f".{path.name}.partial")
    for name in ("", *BELONGING):
        partial.with_name(partial.name + name).unlink(missing_ok=True)  # of a killed command
    engine = create_sqlalchemy_engine(f"sqlite:///{partial}")  # type: ignore[no-untyped-call]
    try:
        _initialize_tables(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()
    partial.rename(path)


def _tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _refuse_half_made(path: Path, tables: set[str]) -> None:
    """MLflow writes its version last of all, so tables without one are those of a migration that was cut off."""
    with closing(sqlite3.connect(path)) as database:
        if "alembic_version" in tables and database.execute("SELECT 1 FROM alembic_version").fetchone():
            return
        runs = "runs" in tables and database.execute("SELECT count(*) FROM runs").fetchone()[0]
    cure = f"put back a copy: it holds {runs} runs" if runs else "delete it, it holds no run, and start again"
    raise RunError(f"tracking store {path} is half-made, for the command that made it was killed; {cure}")


def relocate_artifacts(path: Path) -> None:
    """Find the artifacts again of a folder that was moved or copied: MLflow records where they lie as absolute paths.

    Only what was recorded as lying beside the database and now does is changed; of a run that is being written
    (through another path to the same folder), nothing. To be called in `exclusive`.
    """
    here = path.parent / ARTIFACTS
    with closing(sqlite3.connect(path, timeout=LOCK_SECONDS)) as database, database:
        for experiment, location in database.execute(
            "SELECT experiment_id, artifact_location FROM experiments WHERE artifact_location != ?", (here.as_uri(),)
        ).fetchall():
            there = _local(location)
            if there and _differs(there, here) and _holds_artifacts(database, experiment, there, here, path):
                change = here.as_uri(), experiment
                database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", change)
        moved = _moved_runs(database, here)
        database.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", moved)
    if moved:
        log.info(
            "the tracking folder was moved: artifacts of %d runs are looked for in %s from now on", *(len(moved), here)
        )


def _local(location: str | None) -> Path | None:
    """The folder that an artifact location means; None where that is none of this machine's."""
    parts = urlsplit(location or "")
    return Path(unquote(parts.path)) if parts.scheme == "file" and not parts.netloc else None


def _differs(there: Path, here: Path) -> bool:
    if there.name != here.name or there == here:
        return False
    return not (there.exists() and here.exists() and there.samefile(here))


def _holds_artifacts(database: sqlite3.Connection, experiment: int, there: Path, here: Path, path: Path) -> bool:
    """Whether the experiment's artifacts lie here now; without any, whether it was made with this database."""
    runs = [run for (run,) in database.execute("SELECT run_uuid FROM runs WHERE experiment_id = ?", (experiment,))]
    if not any((there / run).is_dir() or (here / run).is_dir() for run in runs):
        return not there.parent.exists() or (there.parent / path.name).is_file()
    return any((here / run).is_dir() for run in runs)


def _moved_runs(database: sqlite3.Connection, here: Path) -> list[tuple[str, str]]:
    """The runs of experiments that are kept here, but recorded elsewhere: the present place and the run of each."""
    found = database.execute(
        "SELECT run_uuid, artifact_uri, status FROM runs JOIN experiments USING (experiment_id) "
        "WHERE artifact_location = ?1 AND substr(artifact_uri, 1, length(?1) + 1) != ?1 || '/'",
        (here.as_uri(),),
    ).fetchall()
    moved = []
    for run, recorded, status in found:
        there, now = _local(recorded), here / run
        if there is None or there.parts[-3:] != (ARTIFACTS, run, "artifacts") or not _differs(there.parent, now):
            continue
        stayed = there.exists() and not now.exists()
        if not stayed and not (status == "RUNNING" and is_written(_tags(database, run))):
            moved.append(((now / "artifacts").as_uri(), run))
    return moved


def _tags(database: sqlite3.Connection, run: str) -> dict[str, str]:
    return dict(database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)).fetchall())
