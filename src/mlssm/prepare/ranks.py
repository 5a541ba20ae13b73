"""Arrays whose first dimension loses what turned out to hold nothing: what comes after moves up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from mlssm.builds import Build


@dataclass(frozen=True)
class Ranks:
    """The first dimension of an array in a build.

    Attributes:
        build: The build.
        array: The array's folder.
    """

    build: Build
    array: Path

    @property
    def moved(self) -> bool:
        """Whether moving has begun, so that what tasks wrote may stand at another place by now."""
        return self.build.marked(self._name) is not None

    @property
    def _name(self) -> str:
        return f"order-{self.array.name}"

    def close(self, kept: Sequence[int], count: int) -> None:
        """Move up what is kept.

        It may be done again after a kill: a place is empty until what belongs there comes, as what is left out has no
        file.

        Args:
            kept: Which of the places, in their order.
            count: How many there are.
        """
        chunks = self.array / "c"
        if len(kept) < count:
            self.build.mark(self._name, {"kept": list(kept)})
        for position, place in enumerate(kept):
            if place != position and not (chunks / str(position)).is_dir():
                (chunks / str(place)).rename(chunks / str(position))
        array: Any = zarr.open_array(self.array, mode="r+")
        if array.shape[0] != len(kept):
            array.resize((len(kept), *array.shape[1:]))
