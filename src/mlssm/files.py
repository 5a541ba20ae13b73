"""Writing so that what is half-written never looks whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """A folder to write into that becomes `path` only if the block ends well; a killed writer leaves no `path`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if path.exists():  # another process was faster, with the same content
            return
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
