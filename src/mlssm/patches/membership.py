"""Which split a patch is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import PatchesConfig, SplitConfig
from mlssm.grid import Window
from mlssm.patches.blocks import check_fractions, lay_blocks
from mlssm.patches.positions import Grids, Origins
from mlssm.retrieval.working_grid import WorkingGrid

Names = npt.NDArray[np.str_]
PLACE = ["extent", "row", "col"]


@dataclass(frozen=True)
class Membership:
    """The split of any patch.

    Attributes:
        config: How dates and space are split.
        date_split: Split of each time, see `mlssm.patches.dates`.
        places: Split of each position of the lattice, "none" where it straddles two: `PLACE` and `place`. None where
            space is not split.
    """

    config: SplitConfig
    date_split: Names
    places: pd.DataFrame | None

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that there are: held-out training seasons need no validation split."""
        return ("train", "test") if self.config.by_inner_seasons else ("train", "val", "test")

    @classmethod
    def of(cls, working: WorkingGrid, date_split: Names, patches: PatchesConfig, config: SplitConfig) -> Membership:
        """Lay the blocks, if space is split."""
        by_block = config.name in ("by_block", "by_season_and_block")
        return cls(config, date_split, _places(working, patches, config) if by_block else None)

    def splitter(self) -> Callable[[pd.DataFrame], Names]:
        """Gives the rows of one part of an index after the other their splits; see `splits`."""
        if self.config.name != "random_patch":
            return self.splits
        check_fractions(self.config)
        generator = np.random.default_rng(self.config.seed)
        return lambda part: _random(len(part), self.config, generator)

    def splits(self, index: pd.DataFrame) -> Names:
        """The split of each row, by its extent, time, row and col; "none" where it is in none."""
        if self.config.name == "random_patch":
            return self.splitter()(index)
        by_date = self.date_split[index["time"].to_numpy()]
        if self.places is None:
            return np.asarray(by_date)
        by_block = index.merge(self.places, how="left", on=PLACE)["place"].to_numpy(str)
        return by_block if self.config.name == "by_block" else np.where(by_date == by_block, by_block, "none")

    def training_pixels(self, working: WorkingGrid, size: int) -> tuple[npt.NDArray[np.bool_], ...] | None:
        """Pixels of each extent that some training patch can cover, [height, width]; None where space is not split."""
        if self.places is None:
            return None
        found = tuple(np.zeros(extent.shape, bool) for extent in working.extents)
        training = self.places[self.places["place"] == "train"]
        for extent, row, col in training[PLACE].to_numpy(np.int64).tolist():
            found[extent][max(row, 0) : row + size, max(col, 0) : col + size] = True
        return found

    def training_share(self, index: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Probability of each row to be for training: 0 or 1, but where patches are split at random."""
        if self.config.name == "random_patch":
            return np.full(len(index), 1 - self.config.test_fraction - self.config.val_fraction)
        return np.where(self.splits(index) == "train", 1.0, 0.0)


def _places(working: WorkingGrid, patches: PatchesConfig, config: SplitConfig) -> pd.DataFrame:
    # labels of moving windows share measurements as far as the window reaches; those of blocks do not
    reach = working.window_pixels // working.factor - 1
    blocks = lay_blocks(working.extents, working.grid.pixel, patches.size, config, reach)
    parts = []
    for extent, window in enumerate(working.extents):
        origins = Grids.of(window, patches).lattice()
        place = blocks.of_windows(list(_windows(window, origins, patches.size)))
        parts.append(pd.DataFrame({"extent": extent, "row": origins.rows, "col": origins.cols, "place": place}))
    return pd.concat(parts, ignore_index=True)


def _windows(extent: Window, origins: Origins, size: int) -> Iterable[Window]:
    """The part of each patch that lies in its extent."""
    for row, col in zip(origins.rows.tolist(), origins.cols.tolist(), strict=True):
        top, left = max(row, 0), max(col, 0)
        height, width = min(row + size, extent.height) - top, min(col + size, extent.width) - left
        yield Window(extent.row + top, extent.col + left, height, width)


def _random(count: int, split: SplitConfig, generator: np.random.Generator) -> Names:
    shares = [split.test_fraction, split.val_fraction]
    return generator.choice(np.array(["test", "val", "train"]), count, p=[*shares, 1 - sum(shares)])
