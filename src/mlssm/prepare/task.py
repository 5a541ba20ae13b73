"""What the tasks of a preparation share, whatever they read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlssm.builds import Build
from mlssm.sources.faults import OnBadFile

CUBE = "cube"  # the group's folder in a build
# GDAL's cache of decoded blocks, bytes: tiles that meet within a block share it, and it must not grow with the machine
CACHE = 64 << 20


@dataclass(frozen=True)
class Task:
    """What all tasks share.

    Attributes:
        build: Where they write.
        policy: What happens to bad files.
    """

    build: Build
    policy: OnBadFile

    @property
    def group(self) -> Path:
        """The cube that is being made."""
        return self.build.folder / CUBE
