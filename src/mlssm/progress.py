"""How long work tells how far it is: one bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

T = TypeVar("T")


def progress() -> Progress:
    """A display on stderr that vanishes when it is done; where stderr is no terminal, nothing is written at all."""
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def track(items: Sequence[T] | Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Go through items with a bar.

    Args:
        items: What is gone through.
        description: What is being done, before the bar.
        total: How many items there are, where they do not have a length.
    """
    with progress() as display:
        yield from display.track(items, total=total, description=description)


class Transfer:
    """A bar of bytes, with the number of files."""

    def __init__(self, display: Progress, description: str, files: int, size: int | None) -> None:
        """Begin with no byte of so many files."""
        self._display, self._files, self._done = display, files, 0
        self._task = display.add_task(description, total=size, files=f"0/{files} files")

    def bytes_done(self, count: int) -> None:
        """So many bytes came."""
        self._display.advance(self._task, count)

    def file_done(self) -> None:
        """One file is whole."""
        self._done += 1
        self._display.update(self._task, files=f"{self._done}/{self._files} files")


@contextmanager
def transfer(description: str, files: int, size: int | None = None) -> Iterator[Transfer]:
    """A bar for files that are fetched; as with `progress`, nothing where stderr is no terminal.

    Args:
        description: What is fetched, before the bar.
        files: How many files.
        size: Bytes of them all, where known.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[files]}"),
    )
    console, silent = Console(stderr=True), not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=silent) as display:
        yield Transfer(display, description, files, size)
