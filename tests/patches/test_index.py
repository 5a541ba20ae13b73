from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.config import PatchesConfig, SplitConfig
from mlssm.errors import SplitError
from mlssm.grid import Grid, Window
from mlssm.patches.index import LabelMap, build_index, save_index
from mlssm.patches.membership import Membership
from mlssm.retrieval.working_grid import WorkingGrid

EXTENTS = (Window(0, 0, 23, 30), Window(40, 5, 16, 12))
TIMES = 9
DATES = np.array(["train"] * 5 + ["val"] * 2 + ["test"] * 2)
USABLE = np.ones(TIMES, bool)


def _labels() -> list[np.ndarray]:
    """Of two extents, smooth enough to be wet in places, with gaps."""
    rng, found = np.random.default_rng(0), []
    for extent in EXTENTS:
        coarse = rng.random((TIMES, *(side // 6 + 1 for side in extent.shape)))
        ssm = np.kron(coarse, np.ones((1, 6, 6)))[:, : extent.height, : extent.width].astype(np.float32)
        ssm[rng.random(ssm.shape) < 0.2] = np.nan
        ssm[:, :4, :4] = np.nan
        found.append(ssm)
    return found


LABELS = _labels()


def patches(**changes: float) -> PatchesConfig:
    values = {"size": 6, "dense_stride": 3, "min_valid_fraction": 0.1, "high_ssm": 0.6, "min_high_fraction": 0.5}
    return PatchesConfig.model_validate(values | changes)


def index_of(
    dates=DATES,
    usable=USABLE,
    split: SplitConfig | None = None,
    window: int = 1,
    labels: LabelMap = lambda extent, time: LABELS[extent][time],
    everywhere: bool = False,
    **changes,
) -> pd.DataFrame:
    working = WorkingGrid(Grid("EPSG:32611", (0, 0), 30, 60, 40), 1, window, EXTENTS)
    chosen = patches(**changes)
    membership = Membership.of(working, dates, chosen, split or SplitConfig(name="by_date"))
    return build_index(labels, np.flatnonzero(usable), working, membership, chosen, two_pass_everywhere=everywhere)


def pixels(index: pd.DataFrame, size: int = 6) -> set[tuple[int, int, int, int]]:
    """Every extent, time, row and column that the patches hold."""
    return {
        (extent, time, row, col)
        for extent, time, top, left in index[["extent", "time", "row", "col"]].itertuples(index=False)
        for row in range(top, min(top + size, EXTENTS[extent].height))
        for col in range(left, min(left + size, EXTENTS[extent].width))
    }


def test_first_pass_covers_every_pixel_once() -> None:
    index = index_of(min_valid_fraction=1e-9)
    first = index[index["pass"] == 1]
    count = [np.zeros((TIMES, *extent.shape), int) for extent in EXTENTS]
    for extent, time, row, col in first[["extent", "time", "row", "col"]].itertuples(index=False):
        count[extent][time, row : row + 6, col : col + 6] += 1
    for extent, ssm in enumerate(LABELS):
        assert count[extent].max() == 1
        assert (count[extent][np.isfinite(ssm)] == 1).all()


def test_columns_equal_sums_over_the_pixels() -> None:
    index = index_of()
    assert list(index) == [
        *("row", "col", "valid_fraction", "mean_ssm", "high_fraction", "pixels"),
        *("pass", "extent", "time", "split", "inclusion"),
    ]
    for patch in index.itertuples():
        ssm = LABELS[patch.extent][patch.time, patch.row : patch.row + 6, patch.col : patch.col + 6]
        known = ssm[np.isfinite(ssm)]
        assert patch.pixels == known.size
        assert patch.valid_fraction == pytest.approx(known.size / ssm.size)
        assert patch.mean_ssm == pytest.approx(known.mean(), abs=1e-6)
        assert patch.high_fraction == pytest.approx((known > 0.6).mean())


def test_second_pass_is_for_wet_training_patches_between_those_of_the_first() -> None:
    index = index_of()
    second = index[index["pass"] == 2]
    assert len(second) > 50
    assert set(second["split"]) == {"train"}
    assert (second["high_fraction"] >= 0.5).all()
    assert (second["row"] % 3 == 0).all()
    assert not ((second["row"] % 6 == 0) & (second["col"] % 6 == 0)).any()
    for extent, window in enumerate(EXTENTS):
        of_extent = second[second["extent"] == extent]
        assert (of_extent["row"] + 6 <= window.height).all()
        assert (of_extent["col"] + 6 <= window.width).all()
    assert not index.duplicated(["extent", "time", "row", "col"]).any()


def test_the_second_pass_is_for_evaluation_too_if_asked_for() -> None:
    plain, index = index_of(), index_of(everywhere=True)
    assert set(index["split"][index["pass"] == 2]) == {"train", "val", "test"}
    kept = index[(index["pass"] == 1) | (index["split"] == "train")].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept.drop(columns="inclusion"), plain.drop(columns="inclusion"))
    assert (index["high_fraction"][index["pass"] == 2] >= 0.5).all()


def test_dates_are_held_out_whole() -> None:
    index = index_of()
    for name in ("train", "val", "test"):
        assert set(index["time"][index["split"] == name]) == set(np.flatnonzero(DATES == name))


def test_dates_that_cannot_be_used_are_not_in() -> None:
    usable = USABLE.copy()
    usable[2] = False
    dates = np.where(usable, DATES, "none")
    assert set(index_of(dates, usable)["time"]) == set(np.flatnonzero(usable))


BLOCKS = {"block_m": 180, "test_fraction": 0.25, "val_fraction": 0.2}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("buffer", "window"), [(0, 1), (60, 1), (0, 4)])
def test_blocks_share_no_pixel_and_keep_their_distance(seed: int, buffer: int, window: int) -> None:
    """The distance is the buffer, or what a moving multilook window reaches."""
    split = SplitConfig(name="by_block", buffer_m=buffer, seed=seed, **BLOCKS)
    index = index_of(np.full(TIMES, "any"), split=split, window=window)
    places = {name: {(a, r, c) for a, _, r, c in pixels(index[index["split"] == name])} for name in set(index["split"])}
    assert set(places) == {"train", "val", "test"}
    margin = max(buffer // 30, window - 1)
    on_grid = {
        name: np.array([(EXTENTS[a].row + r, EXTENTS[a].col + c) for a, r, c in places[name]]) for name in places
    }
    assert not places["val"] & places["test"]
    for held_out in ("val", "test"):
        distance = np.abs(on_grid["train"][:, None] - on_grid[held_out][None]).max(axis=2)
        assert distance.min() > margin


def test_season_and_block_share_neither_date_nor_place() -> None:
    split = SplitConfig(name="by_season_and_block", buffer_m=30, **BLOCKS)
    index = index_of(split=split)
    for name in ("train", "val", "test"):
        assert set(index["time"][index["split"] == name]) <= set(np.flatnonzero(DATES == name))
    places = {
        name: {(a, r, c) for a, _, r, c in pixels(index[index["split"] == name])} for name in ("train", "val", "test")
    }
    assert not places["train"] & (places["val"] | places["test"])
    assert not places["val"] & places["test"]


def test_random_patches_leak_dates_and_places_but_no_pixel_of_the_first_pass() -> None:
    split = SplitConfig(name="random_patch", test_fraction=0.3, val_fraction=0.2, seed=3)
    index = index_of(np.full(TIMES, "any"), split=split)
    first = index[index["pass"] == 1]
    shares = first["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.3, abs=0.08)
    assert shares["val"] == pytest.approx(0.2, abs=0.08)
    assert set(first["time"][first["split"] == "test"]) & set(first["time"][first["split"] == "train"])
    pd.testing.assert_frame_equal(index, index_of(np.full(TIMES, "any"), split=split))
    other = index_of(np.full(TIMES, "any"), split=split.model_copy(update={"seed": 4}))
    assert not first["split"].equals(other[other["pass"] == 1]["split"])


def test_same_input_same_index() -> None:
    split = SplitConfig(name="by_block", buffer_m=0, **BLOCKS)
    dates = np.full(TIMES, "any")
    pd.testing.assert_frame_equal(index_of(dates, split=split), index_of(dates, split=split))


def test_pixels_without_inputs_count_as_without_a_label() -> None:
    """The second extent has no inputs at all, the first none in its upper half at time 3."""

    def labels(extent: int, time: int) -> np.ndarray:
        found = np.full(EXTENTS[extent].shape, extent == 0)
        found[:12] &= time != 3
        return np.where(found, LABELS[extent][time], np.nan)

    index = index_of(labels=labels)
    plain = index_of()
    assert set(index["extent"]) == {0}
    here, there = (each[(each["extent"] == 0) & (each["time"] == 3)] for each in (index, plain))
    assert here["row"].min() > 6
    assert there["row"].min() == 0
    others = (each[(each["extent"] == 0) & (each["time"] != 3)].reset_index(drop=True) for each in (index, plain))
    pd.testing.assert_frame_equal(*others)


def test_nothing_left_names_what_removed_it() -> None:
    with pytest.raises(SplitError, match=r"no train patch is left: all .* patches.min_valid_fraction=1 \(the best has"):
        index_of(min_valid_fraction=1)
    with pytest.raises(SplitError, match=r"no test patch is left by the split; change split or make patches.size"):
        index_of(np.where(DATES == "test", "none", DATES))
    with pytest.raises(SplitError, match=r"no date is left to take patches from"):
        index_of(usable=~USABLE)
    with pytest.raises(SplitError, match=r"leave nothing for training"):
        index_of(split=SplitConfig(name="random_patch", test_fraction=0.7, val_fraction=0.5))


def test_index_is_kept_as_parquet(tmp_path: Path) -> None:
    index, path = index_of(), tmp_path / "patches.parquet"
    save_index(index, path)
    save_index(index, path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), index)
    assert [each.name for each in tmp_path.iterdir()] == ["patches.parquet"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch) -> None:
    index, path = index_of(), tmp_path / "patches.parquet"
    save_index(index, path)

    def half(_, path: Path, **__: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", half)
    with pytest.raises(OSError, match="disk full"):
        save_index(index.head(3), path)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(pd.read_parquet(path), index)
    assert [each.name for each in tmp_path.iterdir()] == ["patches.parquet"]
