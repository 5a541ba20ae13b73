"""The task of the other processes of a training. Cheap to import: they look at it first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mlssm.secrets import masked


@dataclass(frozen=True)
class RankTask:
    """What the other processes of a training are told; weights they get from the first one.

    Attributes:
        values: The resolved configuration as plain containers, its seed the one of this training.
        checkpoints: Folder of the training's checkpoints; logs go beside it.
        resume_from: The checkpoint to go on from; None for a start from scratch.
        epochs: Exactly so many, without validation; None: early stopping.
    """

    values: Mapping[str, Any]
    checkpoints: Path
    resume_from: Path | None = None
    epochs: int | None = None

    def write(self, path: Path) -> None:
        """Keep it as JSON; secrets, which only the first process needs, are masked."""
        path.parent.mkdir(parents=True, exist_ok=True)
        resume_from = None if self.resume_from is None else str(self.resume_from)
        told = {"values": masked(self.values), "checkpoints": str(self.checkpoints), "resume_from": resume_from}
        told["epochs"] = self.epochs
        path.write_text(json.dumps(told, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` kept."""
        told = json.loads(path.read_text(encoding="utf-8"))
        resume_from = None if told["resume_from"] is None else Path(told["resume_from"])
        return cls(told["values"], Path(told["checkpoints"]), resume_from, told["epochs"])
