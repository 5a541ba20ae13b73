"""What can be wrong with a source file, and what happens then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
OnBadFile = Literal["error", "skip"]


@dataclass
class BadFiles:
    """What happens to a file that cannot be read, and which ones did.

    Attributes:
        policy: "error" stops the run; "skip" logs the file, counts it and goes on.
        skipped: Names of the files that were left out, each once.
    """

    policy: OnBadFile
    skipped: list[str] = field(default_factory=list)

    @contextmanager
    def handled(self, path: Path) -> Iterator[None]:
        """Read `path` inside; under "skip" its DataError ends the block quietly, but logged and counted."""
        try:
            yield
        except DataError as error:
            if self.policy == "error":
                raise
            if path.name not in self.skipped:
                self.skipped.append(path.name)
                log.warning("skipped a bad file: %s", error)


@dataclass(frozen=True)
class Limits:
    """The values that a quantity can have: what lies outside is another unit, or a missing value not declared as such.

    Attributes:
        quantity: Its name.
        low: The lowest value.
        high: The highest value.
        cure: What to do about a file with other values.
    """

    quantity: str
    low: float
    high: float
    cure: str

    def checked(self, path: Path, values: Array) -> Array:
        """The values of a file, if none lies outside of the limits; NaN is missing and may be.

        Raises:
            DataError: There is one; the message names file, value and cure.
        """
        outside = values[(values < self.low) | (values > self.high)]
        if outside.size:
            worst = outside[np.abs(outside).argmax()]
            raise DataError(
                f"{path} holds {worst:g}, but {self.quantity} lies in {self.low:g}..{self.high:g}; {self.cure}"
            )
        return values
