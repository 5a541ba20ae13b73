"""The patch index: where each patch lies, when, in which split, and how wet it is.

One row a patch: extent, time, row, col (of its upper-left pixel, counted from the extent's corner), split, pass (1: the
regular grid; 2: the denser one, where it is wet), inclusion (probability that a patch like it is in the index, see
`mlssm.patches.inclusion`; of training patches under a sampler that draws by chance, the expected number of times that
an epoch draws it), pixels (those with a label and all inputs), valid_fraction (their share of the patch's pixels in the
extent), mean_ssm, high_fraction (share of the labelled pixels above `patches.high_ssm`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import PatchesConfig
from mlssm.crew import Crew, fold
from mlssm.errors import SplitError
from mlssm.patches.inclusion import shares
from mlssm.patches.membership import Membership
from mlssm.patches.positions import CORNER, Grids, Offset
from mlssm.patches.sums import patch_tables
from mlssm.retrieval.working_grid import WorkingGrid

LabelMap = Callable[[int, int], npt.NDArray[np.float32]]
SPLITS = ("train", "val", "test")
# a county has millions of patches: what is counted takes no more bytes than it needs
NARROW = {"row": np.int32, "col": np.int32, "pixels": np.int32, "pass": np.int8, "extent": np.int16, "time": np.int32}


def build_index(
    labels: LabelMap,
    times: npt.NDArray[np.int64],
    working: WorkingGrid,
    membership: Membership,
    patches: PatchesConfig,
    *,
    two_pass_everywhere: bool = False,
    offset: Offset = CORNER,
    crew: Crew | None = None,
) -> pd.DataFrame:
    """Find all patches that have labels enough, and the split of each.

    Args:
        labels: SSM of an extent at a time, NaN where there is no label or an input is missing, [height, width].
        times: Those that can be used.
        working: The extents.
        membership: The splits.
        patches: Size, strides and thresholds.
        two_pass_everywhere: Whether the second pass is kept for validation and test too, to be scored on; only training
            is ever rebalanced.
        offset: A position of the regular grid, see `Grids`.
        crew: Who looks at the dates; None: here, one after the other.

    Raises:
        SplitError: A split has no patch left; the message names the threshold that removed them.
    """
    grids = [Grids.of(window, patches, offset) for window in working.extents]
    places = [(extent, time) for extent in range(len(grids)) for time in times.tolist()]
    if not places:
        raise SplitError("no date is left to take patches from; check the weather's days and the images' dates")
    second_pass = SPLITS if two_pass_everywhere else ("train",)
    choosing = Choosing(working, membership, patches, second_pass)
    parts: list[pd.DataFrame] = []

    def choose(found: pd.DataFrame) -> None:
        parts.append(choosing.chosen(found))

    fold(crew, _Finding(labels, grids, patches), places, choose, "patch index")
    choosing.check()
    return _joined(parts)


def save_index(index: pd.DataFrame, path: Path) -> None:
    """Write an index as a Parquet file, whole or not at all; its columns are described above."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        index.to_parquet(partial, index=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Finding:
    """Finds the patches of both passes of an extent at a time; see `build_index`."""

    labels: LabelMap
    grids: Sequence[Grids]
    patches: PatchesConfig

    def __call__(self, place: tuple[int, int]) -> pd.DataFrame:
        extent, time = place
        grids, patches = self.grids[extent], self.patches
        dense = grids.dense()
        tables = patch_tables(self.labels(extent, time), (grids.regular(), dense), patches.size, patches.high_ssm)
        first, second = (table.assign(**{"pass": number}) for number, table in enumerate(tables, 1))
        wet = second["high_fraction"] >= patches.min_high_fraction
        kept = second[wet & ~grids.on_regular(dense)]
        return pd.concat([first, kept], ignore_index=True).assign(extent=extent, time=time)


class Choosing:
    """Chooses the patches of one date after the other: those of a split that have labels enough."""

    def __init__(
        self, working: WorkingGrid, membership: Membership, patches: PatchesConfig, second_pass: Sequence[str]
    ) -> None:
        """Begin with the first date.

        Args:
            working: The extents.
            membership: The splits.
            patches: Thresholds.
            second_pass: Splits in which the second pass is kept.
        """
        self._heights, self._widths = np.array([window.shape for window in working.extents]).T
        self._patches, self._second_pass, self._names = patches, second_pass, membership.names
        self._split_of = membership.splitter()
        self._shares = {split: shares(patches, working, membership, split) for split in membership.names}
        self._before, self._after = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
        self._best = dict.fromkeys(SPLITS, 0.0)

    def chosen(self, found: pd.DataFrame) -> pd.DataFrame:
        """The patches of a date that are in the index, with their split and inclusion, in as few bytes as they need."""
        found = found.assign(split=self._split_of(found))
        placed = found["split"].isin(SPLITS)
        placed &= (found["pass"] == 1) | found["split"].isin(self._second_pass)
        enough = found["valid_fraction"] >= self._patches.min_valid_fraction
        self._count(found[placed], enough)
        kept = found[placed & enough]
        codes = pd.Categorical(kept["split"], categories=list(SPLITS)).codes
        return kept.assign(split=codes, inclusion=self._inclusion(kept)).astype(NARROW)

    def _count(self, placed: pd.DataFrame, enough: pd.Series[bool]) -> None:
        for name in self._names:
            of_split = placed[placed["split"] == name]
            self._before[name] += len(of_split)
            self._after[name] += int(enough[of_split.index].sum())
            self._best[name] = max(self._best[name], of_split["valid_fraction"].max() if len(of_split) else 0.0)

    def _inclusion(self, kept: pd.DataFrame) -> npt.NDArray[np.float64]:
        extent, row, col = (kept[name].to_numpy() for name in ("extent", "row", "col"))
        size = self._patches.size
        inside = (row >= 0) & (row + size <= self._heights[extent])
        inside &= (col >= 0) & (col + size <= self._widths[extent])
        second = (kept["high_fraction"] >= self._patches.min_high_fraction).to_numpy() & inside
        found = np.empty(len(kept))
        for split, of_split in self._shares.items():
            rows = (kept["split"] == split).to_numpy()
            found[rows] = of_split.inclusion(second[rows] & (split in self._second_pass))
        return found

    def check(self) -> None:
        """See that every split has patches.

        Raises:
            SplitError: One has none; the message names the threshold that removed them.
        """
        for name in self._names:
            was = self._before[name]
            if self._after[name]:
                continue
            if was == 0:
                raise SplitError(f"no {name} patch is left by the split; change split or make patches.size smaller")
            raise SplitError(
                f"no {name} patch is left: all {was} have less labelled pixels than patches.min_valid_fraction="
                f"{self._patches.min_valid_fraction:g} (the best has {self._best[name]:.3f}); lower it, or "
                "retrieval.min_sensitivity_db"
            )


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of many, column by column: each is let go as it is copied."""
    names = list(parts[0].columns)
    columns = {name: np.concatenate([part.pop(name).to_numpy() for part in parts]) for name in names}
    split = pd.Categorical.from_codes(columns["split"].astype(np.int8), categories=pd.Index(SPLITS))
    return pd.DataFrame({**columns, "split": split}, copy=False)
