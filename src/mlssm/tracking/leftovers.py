"""What earlier commands could not send: found by their pointers, sent, and removed."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from filelock import FileLock, Timeout

from mlssm.tracking.failures import is_retryable, reason_of, short_requests
from mlssm.tracking.operations import joined, read_operations
from mlssm.tracking.outbox import LOCK, OPERATIONS, UNSENT, Pointer, discard, store_key
from mlssm.tracking.store import Store

log = logging.getLogger(__name__)

REQUEST_SECONDS = 10
SENDING_SECONDS = 600.0  # the most that a command spends on one outbox before its own work
REFUSED = ".refused"


def send_leftovers(store: Store) -> None:
    """Send what earlier commands kept for this store and whose writers are gone.

    An outbox that a living process writes, or another command sends, is left alone. One that the store refuses, as that
    of a deleted run, is set aside and named.
    """
    key = store_key(store)
    for path in sorted((store.folder / UNSENT).glob("*.json")):
        pointer = _read(path)
        if pointer is not None and pointer.store == key and not _send_if_left(store, path, pointer):
            return  # the store is away again: so it is for the others


def _read(path: Path) -> Pointer | None:
    try:
        return Pointer.read(path)
    except FileNotFoundError:
        return None  # another command has just sent it


def _send_if_left(store: Store, path: Path, pointer: Pointer) -> bool:
    """Whether to go on with the next one."""
    if not pointer.outbox.is_dir():
        log.warning("%s names %s, which is gone, with what run %s still had", path, pointer.outbox, pointer.run_id)
        path.unlink(missing_ok=True)
        return True
    writer = FileLock(pointer.outbox / LOCK)
    try:
        writer.acquire(timeout=0)
    except Timeout:
        return True
    try:
        return not path.is_file() or _send(store, path, pointer, writer)
    finally:
        writer.release()


def _send(store: Store, path: Path, pointer: Pointer, writer: FileLock) -> bool:
    from mlflow.exceptions import MlflowException

    file = pointer.outbox / OPERATIONS
    operations = [item.below(pointer.outbox) for item in read_operations(file)] if file.is_file() else []
    deadline = time.monotonic() + SENDING_SECONDS
    try:
        for _, operation in joined(operations):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not done in {SENDING_SECONDS:.0f} s")
            with short_requests(REQUEST_SECONDS):
                operation.send(store.client, pointer.run_id)
    except (MlflowException, OSError) as error:
        return _tell_unsent(error, path, pointer)
    discard(pointer.outbox, path, writer)
    log.info("run %s: %d writes that an earlier command kept are sent", pointer.run_id, len(operations))
    return True


def _tell_unsent(error: Exception, path: Path, pointer: Pointer) -> bool:
    reason = reason_of(error)
    if is_retryable(error):
        log.warning("run %s: what %s keeps could not be sent: %s", pointer.run_id, pointer.outbox, reason)
        return False
    path.rename(path.with_suffix(REFUSED))
    log.error("run %s: the store refuses what %s keeps, set aside: %s", pointer.run_id, pointer.outbox, reason)
    return True
