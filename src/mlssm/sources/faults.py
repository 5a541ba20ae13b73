"""What happens to a source file with a fault: it stops the run, is left out, or is corrected, and each is said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
OnBadFile = Literal["error", "skip"]


def printable(name: str) -> str:
    """A file's name with the bytes escaped that are no UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


@dataclass
class BadFiles:
    """What happens to files with faults, and which ones had some.

    Attributes:
        policy: "error" stops the run; "skip" logs the file, counts it and goes on.
        tells: Whether what is left out or doubtful is logged at once.
        skipped: Names of the files that were left out, each once.
        reasons: Why, in the same order.
        corrected: What was corrected, and the files in which it was.
        said: Other lines.
    """

    policy: OnBadFile
    tells: bool = True
    skipped: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    corrected: dict[str, list[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @contextmanager
    def handled(self, path: Path, left_out: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Read `path` inside; under "skip" its DataError ends the block quietly, but counted, and calls `left_out`."""
        try:
            yield
        except DataError as error:
            if self.policy == "error":
                raise
            self._leave_out(printable(path.name), str(error).partition("\n")[0])
            left_out()

    def _leave_out(self, name: str, reason: str) -> None:
        if name not in self.skipped:
            self.skipped.append(name)
            self.reasons.append(reason)
            if self.tells:
                log.warning("skipped a bad file: %s", reason)

    def take(self, notes: Mapping[str, Any]) -> None:
        """Take, and tell, what another one has noted of other files."""
        for name, reason in zip(notes["skipped"], notes["reasons"], strict=True):
            self._leave_out(name, reason)
        for what, names in notes["corrected"].items():
            known = self.corrected.setdefault(what, [])
            known += [name for name in names if name not in known]
        for line in notes["said"]:
            self.say(line)

    def notes(self) -> dict[str, Any]:
        """What was noted, as JSON can hold it."""
        return {"skipped": self.skipped, "reasons": self.reasons, "corrected": self.corrected, "said": self.said}

    def correct(self, path: Path, what: str) -> None:
        """Remember that something was corrected in a file; `corrections` has one line a kind."""
        names = self.corrected.setdefault(what, [])
        if path.name not in names:
            names.append(path.name)

    def corrections(self) -> tuple[str, ...]:
        """One line for each kind of correction."""
        return tuple(f"{what}: in {len(names)} files (first: {names[0]})" for what, names in self.corrected.items())

    def say(self, line: str) -> None:
        """Log a line, once however often a folder is listed."""
        if line not in self.said:
            self.said.append(line)
            if self.tells:
                log.warning(line)


def without(values: Array, missing: Sequence[float]) -> Array:
    """Values, with NaN in place of some."""
    if not missing:
        return values
    return np.where(np.isin(values, np.array(missing, np.float32)), np.float32(np.nan), values)


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
