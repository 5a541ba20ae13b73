"""The patch index: where each patch lies, when, in which split, and how wet it is.

One row a patch: area, time, row, col (of its upper-left pixel, counted from the area's corner), split, pass (1: the
regular grid; 2: the denser one, where it is wet), inclusion (probability that a patch of this kind is in the index),
valid_fraction (of its pixels in the area, those with a label and all inputs), mean_ssm, high_fraction (share of the
latter above `patches.high_ssm`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import PatchesConfig, SplitConfig
from mlssm.errors import SplitError
from mlssm.grid import Window
from mlssm.patches.blocks import check_fractions, lay_blocks
from mlssm.retrieval.fit import Retrieval

log = logging.getLogger(__name__)

Names = npt.NDArray[np.str_]
HasInputs = Callable[[int, int], npt.NDArray[np.bool_] | np.bool_]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class _Origins:
    """Upper-left pixels of an area's patches."""

    rows: npt.NDArray[np.int64]
    cols: npt.NDArray[np.int64]


def build_index(
    retrieval: Retrieval,
    date_split: Names,
    usable: npt.NDArray[np.bool_],
    patches: PatchesConfig,
    split: SplitConfig,
    has_inputs: HasInputs = lambda area, time: np.True_,
) -> pd.DataFrame:
    """Find all patches that have labels enough, and the split of each.

    Args:
        retrieval: The fitted labels.
        date_split: Split of each time, see `split_dates`.
        usable: Times that can be used at all (they have weather), [time].
        patches: Size, strides and thresholds.
        split: How space is split.
        has_inputs: Which pixels of an area have all inputs that they need at a time, [height, width]; all by default.

    Raises:
        SplitError: A split has no patch left; the message names the threshold that removed them.
    """
    parts = []
    for area in range(len(retrieval.areas)):
        for time in np.flatnonzero(usable):
            ssm = retrieval.labels(area, np.array([time]), slice(None), slice(None)).ssm[0]
            ssm = np.where(has_inputs(area, int(time)), ssm, np.float32(np.nan))
            places = _patches_of(ssm, retrieval.stack.working.areas[area], patches)
            parts.append(places.assign(area=area, time=int(time)))
    index = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if index.empty:
        raise SplitError("no date is left to take patches from; check the weather's days and the images' dates")
    index["split"] = _splits(index, retrieval, date_split, patches, split)
    kept = index["valid_fraction"] >= patches.min_valid_fraction
    # only training is ever rebalanced: the second pass is for it alone
    placed = index["split"].isin(SPLITS) & ((index["pass"] == 1) | (index["split"] == "train"))
    _check(index[placed], index[placed & kept], patches)
    return index[placed & kept].reset_index(drop=True)


def save_index(index: pd.DataFrame, path: Path) -> None:
    """Write an index as a Parquet file, whole or not at all; its columns are described above."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        index.to_parquet(partial, index=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _patches_of(ssm: npt.NDArray[np.float32], window: Window, patches: PatchesConfig) -> pd.DataFrame:
    """The patches of both passes of an area at a time."""
    sums = _Sums.of(ssm, patches.high_ssm)
    regular = _origins(window, patches.size, patches.size)
    dense = _origins(window, patches.size, patches.dense_stride)
    first = _table(sums, regular, patches.size).assign(**{"pass": 1})
    second = _table(sums, dense, patches.size).assign(**{"pass": 2})
    wet = second["high_fraction"] >= patches.min_high_fraction
    on_regular_grid = (second["row"] % patches.size == 0) & (second["col"] % patches.size == 0)
    table = pd.concat([first, second[wet & ~on_regular_grid]])
    # of all dense positions the regular grid holds one in (size / stride)^2; of the wet ones, all are in
    share = (patches.dense_stride / patches.size) ** 2
    inclusion = np.where(table["high_fraction"] >= patches.min_high_fraction, 1.0, min(share, 1.0))
    return table.assign(inclusion=inclusion)


def _origins(window: Window, size: int, stride: int) -> _Origins:
    rows = np.arange(0, window.height, stride)
    cols = np.arange(0, window.width, stride)
    if stride != size:  # a denser patch does not reach past the area, or it would repeat the regular grid's last
        rows, cols = rows[rows + size <= window.height], cols[cols + size <= window.width]
    grid = np.meshgrid(rows, cols, indexing="ij")
    return _Origins(grid[0].ravel(), grid[1].ravel())


@dataclass(frozen=True)
class _Sums:
    """Summed-area tables, so that a patch's sum costs four look-ups."""

    valid: npt.NDArray[np.float64]
    ssm: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    @classmethod
    def of(cls, ssm: npt.NDArray[np.float32], high_ssm: float) -> _Sums:
        valid = np.isfinite(ssm)
        return cls(*(_summed(layer) for layer in (valid, np.where(valid, ssm, 0), valid & (ssm > high_ssm))))


def _summed(layer: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return np.pad(layer.astype(float).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def _table(sums: _Sums, origins: _Origins, size: int) -> pd.DataFrame:
    height, width = (side - 1 for side in sums.valid.shape)
    bottom, right = np.minimum(origins.rows + size, height), np.minimum(origins.cols + size, width)

    def total(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        ends = table[bottom, right] - table[origins.rows, right]
        return np.asarray(ends - table[bottom, origins.cols] + table[origins.rows, origins.cols])

    count = total(sums.valid)
    some = np.maximum(count, 1)
    return pd.DataFrame(
        {
            "row": origins.rows,
            "col": origins.cols,
            "valid_fraction": count / ((bottom - origins.rows) * (right - origins.cols)),
            "mean_ssm": np.where(count > 0, total(sums.ssm) / some, np.nan),
            "high_fraction": total(sums.high) / some,
        }
    )


def _splits(
    index: pd.DataFrame, retrieval: Retrieval, date_split: Names, patches: PatchesConfig, split: SplitConfig
) -> Names:
    by_date = date_split[index["time"].to_numpy()]
    if split.name in ("by_date", "by_season"):
        return np.asarray(by_date)
    if split.name == "random_patch":
        return _random(len(index), split)
    working = retrieval.stack.working
    windows = working.areas
    # labels of moving windows share measurements as far as the window reaches; those of blocks do not
    reach = working.window_pixels // working.factor - 1
    blocks = lay_blocks(windows, working.grid.pixel, patches.size, split, reach)
    places = index[["area", "row", "col"]].drop_duplicates()
    boxes = [_patch_window(windows[area], row, col, patches.size) for area, row, col in places.itertuples(index=False)]
    named = places.assign(place=blocks.of_windows(boxes))
    by_block = index.merge(named, how="left", on=["area", "row", "col"])["place"].to_numpy(str)
    if split.name == "by_block":
        return by_block
    return np.where(by_date == by_block, by_block, "none")


def _patch_window(area: Window, row: int, col: int, size: int) -> Window:
    height, width = min(size, area.height - row), min(size, area.width - col)
    return Window(area.row + row, area.col + col, height, width)


def _random(count: int, split: SplitConfig) -> Names:
    check_fractions(split)
    shares = [split.test_fraction, split.val_fraction]
    generator = np.random.default_rng(split.seed)
    return generator.choice(np.array(["test", "val", "train"]), count, p=[*shares, 1 - sum(shares)])


def _check(before: pd.DataFrame, after: pd.DataFrame, patches: PatchesConfig) -> None:
    for name in SPLITS:
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
