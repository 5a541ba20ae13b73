"""Folders that are made in parts, by tasks: after a kill at any moment the same command goes on from what is done.

A build is a hidden folder beside the place that its result will have. Its skeleton is renamed into place, so that it is
there whole or not at all; each task writes files of its own, and then a marker (written aside, renamed) that tells what
it wrote; when all have theirs, the result is renamed to its place. One process builds at a time, others wait for it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlssm.files import naming, placed, whole_or_nothing

log = logging.getLogger(__name__)

BUILD, LOCK = ".building", ".lock"
MARKERS = "markers"
RESULT = "result"  # names it, from when it is about to be moved there
# a build that nobody went on with for so long is swept
LEFT_FOR_S = 14 * 86400

Files = Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class Build:
    """One build.

    Attributes:
        folder: Where it is made.
        waited: Whether another process was at it before.
    """

    folder: Path
    waited: bool = False

    def begin(self, skeleton: Callable[[Path], None]) -> None:
        """Make the folder, unless it is there from before.

        Args:
            skeleton: Writes what all tasks need into the folder.
        """
        if self.folder.is_dir():
            log.info("%s is there from before: going on from what is done", self.folder)
            return
        with whole_or_nothing(self.folder) as partial:
            (partial / MARKERS).mkdir(parents=True)
            skeleton(partial)

    def mark(self, name: str, values: Mapping[str, Any]) -> None:
        """Tell that a task is done, once what it wrote is on the disk; a marker that a power cut takes is no harm."""
        partial = self.folder / MARKERS / f".{name}.{os.getpid()}.partial"
        with naming(partial):
            partial.write_text(json.dumps(values), encoding="utf-8")
            partial.replace(self.folder / MARKERS / f"{name}.json")

    def marked(self, name: str) -> dict[str, Any] | None:
        """What a task told when it was done; None: it is not."""
        try:
            found = json.loads((self.folder / MARKERS / f"{name}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def finish(self, made: Path, result: Path) -> None:
        """Move what was made to its place, unless something is there, and remove the rest.

        Args:
            made: The file or folder, in the build.
            result: Beside the build.

        Raises:
            OSError: The disk is full, or broken.
        """
        with naming(self.folder / RESULT):
            (self.folder / RESULT).write_text(result.name, encoding="utf-8")
        if not result.is_dir():
            placed(made, result)
        self.discard()

    def discard(self) -> None:
        """Remove all of it; what a kill leaves of it is swept."""
        shutil.rmtree(self.folder / MARKERS, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def one_build(place: Path, identity: str, what: str) -> Iterator[Build]:
    """The build of one result, alone: where another process is at it, a line says so, and this one waits.

    Args:
        place: Beside which it is made.
        identity: Of the result.
        what: It, in the line.
    """
    place.mkdir(parents=True, exist_ok=True)
    sweep_builds(place)
    lock = FileLock(place / f".{identity}{LOCK}")
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process is preparing %s: waiting for it", what)
        lock.acquire()
        waited = True
    try:
        yield Build(place / f".{identity}{BUILD}", waited)
        Path(lock.lock_file).unlink(missing_ok=True)  # who comes now finds the result
    finally:
        lock.release()


def sweep_builds(place: Path) -> None:
    """Remove builds whose result is there, that are no more, or that nobody went on with for two weeks."""
    for folder in place.glob(f".*{BUILD}"):
        if not _is_left(folder):
            continue
        lock = FileLock(folder.with_name(folder.name.removesuffix(BUILD) + LOCK))
        with suppress(Timeout), lock.acquire(timeout=0):
            log.info("removing %s, with which nobody goes on", folder)
            shutil.rmtree(folder, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)


def _is_left(build: Path) -> bool:
    markers, result = build / MARKERS, build / RESULT
    name = result.read_text(encoding="utf-8") if result.is_file() else ""
    if name and (build.parent / name).is_dir():
        return True
    return not markers.is_dir() or time.time() - markers.stat().st_mtime >= LEFT_FOR_S


def are_whole(folder: Path, files: Files) -> bool:
    """Whether the files below a folder are those that were written, by their sizes."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    there = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    return there == {name: size for name, (size, _) in files.items()}
