"""How long work tells how far it is: one bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

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
