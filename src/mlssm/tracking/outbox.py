"""All writes to a run go through here: to the store, or to the disk until the store is back."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from mlssm.files import naming
from mlssm.secrets import without_password
from mlssm.tracking.failures import is_retryable, reason_of, refuses_access, short_requests
from mlssm.tracking.operations import Artifact, Operation, joined
from mlssm.tracking.sqlite import sqlite_path
from mlssm.tracking.store import Store

log = logging.getLogger(__name__)

UNSENT = "unsent"  # a folder: of outboxes beside the checkpoints, of pointers to them in the tracking folder
OPERATIONS = "operations.jsonl"
LOCK = "lock"
REQUEST_SECONDS = 5
PAUSE_SECONDS = 15.0  # a store that failed is left alone for so long ...
PAUSE_SHARE = 20.0  # ... or for so many times what the failure took, so that waiting costs at most a twentieth
SENDING_SECONDS = 30.0  # the most that one write or the end of a run spends on what was kept


@dataclass(frozen=True)
class Pointer:
    """Tells later commands of an outbox that is not empty. Paths are kept relative to the tracking folder: it may move.

    Attributes:
        outbox: Its folder.
        store: The store, as `store_key` names it.
        run_id: The run.
    """

    outbox: Path
    store: str
    run_id: str

    def write(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        outbox = os.path.relpath(self.outbox, path.parent.parent)
        _write_through(partial, json.dumps({"outbox": outbox, "store": self.store, "run_id": self.run_id}).encode())
        partial.rename(path)

    @classmethod
    def read(cls, path: Path) -> Pointer:
        """What `write` kept."""
        values = json.loads(path.read_bytes())
        return cls(Path(os.path.normpath(path.parent.parent / values["outbox"])), values["store"], values["run_id"])


def store_key(store: Store) -> str:
    """A store as pointers name it: its address without secrets; of SQLite the file as seen from the tracking folder."""
    path = sqlite_path(store.uri)
    return without_password(store.uri) if path is None else f"sqlite:{os.path.relpath(path, store.folder)}"


class Outbox:
    """Sends operations in their order; what cannot be sent is on disk before `put` returns.

    While something is kept, everything new goes behind it, and each later write tries to send it all, at most every
    15 s. Safe to use from several threads.
    """

    def __init__(self, store: Store, run_id: str, base: Path) -> None:
        """Nothing is written to the disk before a write fails.

        Args:
            store: The open store.
            run_id: The run that is written.
            base: The folder that the outbox is made in.
        """
        self._store, self._run_id, self._base = store, run_id, base
        self.lock = threading.RLock()
        self.refused_access = False  # whether the last failure was one of login or rights
        self._reset()

    def _reset(self) -> None:
        self._pending: deque[Operation] = deque()
        self._next_attempt = 0.0
        self._folder = self._base.absolute() / f"{self._run_id}-{uuid.uuid4().hex[:8]}"
        self._files = 0
        self._writer: FileLock | None = None

    def put(self, operation: Operation) -> None:
        """Send an operation, or keep it.

        Raises:
            MlflowException: The store was reached and refuses it.
            OSError: A file cannot be read, or the outbox not be written.
        """
        if isinstance(operation, Artifact) and not operation.file.is_file():
            raise FileNotFoundError(f"{operation.file} is to be kept in run {self._run_id} and does not exist")
        with self.lock:
            if not self._pending and self._may_try() and self._send(operation):
                return
            self._keep(operation)
            if self._may_try():
                self._send_all(time.monotonic() + SENDING_SECONDS)

    def close(self) -> bool:
        """Try once more to send what is kept, and return whether nothing is left.

        What then stays is left to a later command, which the log says.
        """
        with self.lock:
            self._next_attempt = 0.0
            try:
                self._send_all(time.monotonic() + SENDING_SECONDS)
            finally:
                left = bool(self._pending)
                if left:
                    log.warning(
                        "%d writes to run %s could not be sent to %s; they are kept in %s, and the next command "
                        "on this store sends them",
                        *(len(self._pending), self._run_id, without_password(self._store.uri), self._folder),
                    )
                if self._writer is not None:
                    self._writer.release()  # what is on disk is no longer this object's to send
                self._reset()
        return not left

    @property
    def _pointer(self) -> Path:
        return self._store.folder / UNSENT / f"{self._folder.name}.json"

    def _may_try(self) -> bool:
        return time.monotonic() >= self._next_attempt

    def _send(self, operation: Operation) -> bool:
        """Whether it was sent; else the store cannot be reached, and gets its pause."""
        from mlflow.exceptions import MlflowException

        start = time.monotonic()
        try:
            with short_requests(REQUEST_SECONDS):
                operation.send(self._store.client, self._run_id)
        except (MlflowException, OSError) as error:
            if not is_retryable(error):
                raise
            self.refused_access = refuses_access(error)
            now = time.monotonic()
            self._next_attempt = now + max(PAUSE_SECONDS, PAUSE_SHARE * (now - start))
            if not self._pending:
                self._warn(error)
            return False
        return True

    def _warn(self, error: Exception) -> None:
        log.warning(
            "tracking store %s cannot be written: %s; the training goes on; what it writes is kept in %s until then",
            *(without_password(self._store.uri), reason_of(error), self._folder),
        )

    def _keep(self, operation: Operation) -> None:
        if self._writer is None:
            self._open()
        if isinstance(operation, Artifact):
            operation = operation.model_copy(update={"file": self._copy(operation.file)})
        _append(self._folder / OPERATIONS, operation.model_dump_json().encode() + b"\n")
        self._pending.append(operation.below(self._folder))

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # several threads write; the lock is the process's, and ends with it however it ends
        self._writer = FileLock(self._folder / LOCK, thread_local=False)
        self._writer.acquire()
        Pointer(self._folder, store_key(self._store), self._run_id).write(self._pointer)

    def _copy(self, source: Path) -> Path:
        """A copy under the same name, which is the artifact's; where it lies in the outbox."""
        self._files += 1
        name = Path("files") / str(self._files) / source.name
        (self._folder / name).parent.mkdir(parents=True)
        _write_through(self._folder / name, source.read_bytes())
        return name

    def _send_all(self, deadline: float) -> None:
        count = len(self._pending)
        for number, operation in joined(tuple(self._pending)):
            if time.monotonic() > deadline or not self._send(operation):
                return
            for _ in range(number):
                self._pending.popleft()
        if self._writer is not None:
            discard(self._folder, self._pointer, self._writer)
            log.info("tracking store %s is back: %d writes sent", without_password(self._store.uri), count)
            self._writer, self._files = None, 0


def discard(folder: Path, pointer: Path, writer: FileLock) -> None:
    """Remove an outbox that has been sent: the operations first, for nothing may be sent that lacks its files."""
    (folder / OPERATIONS).unlink(missing_ok=True)
    pointer.unlink(missing_ok=True)
    writer.release()
    shutil.rmtree(folder, ignore_errors=True)


def _append(path: Path, line: bytes) -> None:
    with naming(path), path.open("ab") as stream:
        size = stream.tell()
        try:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        except OSError:
            stream.truncate(size)  # the next line must not follow half a one
            raise


def _write_through(path: Path, content: bytes) -> None:
    with naming(path), path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
