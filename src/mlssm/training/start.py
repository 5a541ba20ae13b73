"""What a training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True)
class Start:
    """Where a training takes up; from scratch where both are None.

    Attributes:
        checkpoint: Go on from its whole state: weights, optimiser, sampler, random states, epoch and batch.
        weights: The network's state; all else is from scratch.
    """

    checkpoint: Path | None = None
    weights: Mapping[str, Tensor] | None = None
