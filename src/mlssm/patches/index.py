"""The patch index: where each patch lies, when, in which split, and how wet it is.

One row a patch: extent, time, row, col (of its upper-left pixel, counted from the extent's corner), split, pass (1: the
regular grid; 2: the denser one, where it is wet), inclusion (probability that a patch like it is in the index, see
`mlssm.patches.inclusion`; of training patches under a sampler that draws by chance, the expected number of times that
an epoch draws it), pixels (those with a label and all inputs), valid_fraction (their share of the patch's pixels in the
extent), mean_ssm, high_fraction (share of the labelled pixels above `patches.high_ssm`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import PatchesConfig
from mlssm.errors import SplitError
from mlssm.patches.inclusion import shares
from mlssm.patches.membership import Membership
from mlssm.patches.positions import CORNER, Grids, Offset
from mlssm.patches.sums import patch_tables
from mlssm.retrieval.bands import over
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.workers import Workers

log = logging.getLogger(__name__)

LabelMap = Callable[[int, int], npt.NDArray[np.float32]]
SPLITS = ("train", "val", "test")


def build_index(
    labels: LabelMap,
    times: npt.NDArray[np.int64],
    working: WorkingGrid,
    membership: Membership,
    patches: PatchesConfig,
    *,
    two_pass_everywhere: bool = False,
    offset: Offset = CORNER,
    workers: Workers | None = None,
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
        workers: Threads that look at several times at once; None, or others than threads: one after the other, here.

    Raises:
        SplitError: A split has no patch left; the message names the threshold that removed them.
    """
    grids = [Grids.of(window, patches, offset) for window in working.extents]

    def found(place: tuple[int, int]) -> pd.DataFrame:
        extent, time = place
        return _patches_of(labels(extent, time), grids[extent], patches).assign(extent=extent, time=time)

    places = [(extent, time) for extent in range(len(grids)) for time in times.tolist()]
    near = workers if workers is not None and workers.here else None
    parts = list(over(near, found, places, "patch index"))
    index = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if index.empty:
        raise SplitError("no date is left to take patches from; check the weather's days and the images' dates")
    index["split"] = membership.splits(index)
    placed = index["split"].isin(SPLITS)
    if not two_pass_everywhere:
        placed &= (index["pass"] == 1) | (index["split"] == "train")
    kept = index["valid_fraction"] >= patches.min_valid_fraction
    _check(index[placed], index[placed & kept], patches, membership.names)
    index = index[placed & kept].reset_index(drop=True)
    second_pass = SPLITS if two_pass_everywhere else ("train",)
    return index.assign(inclusion=_inclusion(index, working, membership, patches, second_pass))


def save_index(index: pd.DataFrame, path: Path) -> None:
    """Write an index as a Parquet file, whole or not at all; its columns are described above."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        index.to_parquet(partial, index=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _patches_of(ssm: npt.NDArray[np.float32], grids: Grids, patches: PatchesConfig) -> pd.DataFrame:
    """The patches of both passes of an extent at a time."""
    dense = grids.dense()
    tables = patch_tables(ssm, (grids.regular(), dense), patches.size, patches.high_ssm)
    first, second = (table.assign(**{"pass": number}) for number, table in enumerate(tables, 1))
    wet = second["high_fraction"] >= patches.min_high_fraction
    return pd.concat([first, second[wet & ~grids.on_regular(dense)]])


def _inclusion(
    index: pd.DataFrame,
    working: WorkingGrid,
    membership: Membership,
    patches: PatchesConfig,
    second_pass: tuple[str, ...],
) -> npt.NDArray[np.float64]:
    heights, widths = np.array([window.shape for window in working.extents]).T
    extent, row, col = (index[name].to_numpy() for name in ("extent", "row", "col"))
    inside = (row + patches.size <= heights[extent]) & (col + patches.size <= widths[extent]) & (row >= 0) & (col >= 0)
    second = (index["high_fraction"] >= patches.min_high_fraction).to_numpy() & inside
    found = np.empty(len(index))
    for split in membership.names:
        rows = (index["split"] == split).to_numpy()
        found[rows] = shares(patches, working, membership, split).inclusion(second[rows] & (split in second_pass))
    return found


def _check(before: pd.DataFrame, after: pd.DataFrame, patches: PatchesConfig, names: Sequence[str]) -> None:
    for name in names:
        was, is_left = int((before["split"] == name).sum()), int((after["split"] == name).sum())
        if is_left:
            continue
        if was == 0:
            raise SplitError(f"no {name} patch is left by the split; change split or make patches.size smaller")
        most = before.loc[before["split"] == name, "valid_fraction"].max()
        raise SplitError(
            f"no {name} patch is left: all {was} have less labelled pixels than patches.min_valid_fraction="
            f"{patches.min_valid_fraction:g} (the best has {most:.3f}); lower it, or retrieval.min_sensitivity_db"
        )
