import itertools
import math

import numpy as np
import pandas as pd
import pytest

from mlssm.config import PatchesConfig, SplitConfig
from mlssm.grid import Grid, Window
from mlssm.patches.inclusion import lattice_pixels
from mlssm.patches.index import build_index
from mlssm.patches.membership import Membership
from mlssm.retrieval.working_grid import WorkingGrid

EXTENTS = (Window(0, 0, 23, 30), Window(40, 5, 16, 12))
WORKING = WorkingGrid(Grid("EPSG:32611", (0, 0), 30, 60, 40), 1, 1, EXTENTS)
DATES = np.array(["train", "train", "val", "test"])
TIMES = np.arange(4)


def _labels() -> list[np.ndarray]:
    rng, found = np.random.default_rng(5), []
    for extent in EXTENTS:
        coarse = rng.random((4, *(side // 5 + 1 for side in extent.shape)))
        ssm = np.kron(coarse, np.ones((1, 5, 5)))[:, : extent.height, : extent.width].astype(np.float32)
        ssm[rng.random(ssm.shape) < 0.2] = np.nan
        found.append(ssm)
    return found


LABELS = _labels()


def label(extent: int, time: int) -> np.ndarray:
    return LABELS[extent][time]


def patches(size: int, stride: int) -> PatchesConfig:
    return PatchesConfig(size=size, dense_stride=stride, min_valid_fraction=0.3, high_ssm=0.5, min_high_fraction=0.5)


def train_rows(chosen: PatchesConfig, membership: Membership, offset: tuple[int, int] = (0, 0)) -> pd.DataFrame:
    index = build_index(label, TIMES, WORKING, membership, chosen, offset=offset)
    return index[index["split"] == "train"]


def every_patch(chosen: PatchesConfig) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """Place and labels of every training patch that meets an extent, by the pixels alone."""
    size, step, found = chosen.size, math.gcd(chosen.size, chosen.dense_stride), []
    for extent, time in itertools.product(range(2), (0, 1)):
        height, width = EXTENTS[extent].shape
        for row, col in itertools.product(range(step - size, height, step), range(step - size, width, step)):
            ssm = label(extent, time)[max(row, 0) : row + size, max(col, 0) : col + size]
            if np.isfinite(ssm).mean() >= 0.3:
                found.append(((extent, time, row, col), ssm[np.isfinite(ssm)]))
    return found


@pytest.mark.parametrize(("size", "stride"), [(6, 3), (6, 2), (5, 5), (6, 4), (4, 6)])
def test_a_patch_is_in_the_index_as_often_as_its_inclusion_says(size: int, stride: int) -> None:
    """Over all positions of the two grids, exactly; also where stride does not divide size, and at the edges."""
    chosen = patches(size, stride)
    membership = Membership.of(WORKING, DATES, chosen, SplitConfig(name="by_date"))
    step, period = math.gcd(size, stride), math.lcm(size, stride)
    offsets = list(itertools.product(range(0, period, step), repeat=2))
    times_in, inclusion = {}, {}
    for offset in offsets:
        rows = train_rows(chosen, membership, offset)
        for *place, share in rows[["extent", "time", "row", "col", "inclusion"]].itertuples(index=False):
            times_in[tuple(place)] = times_in.get(tuple(place), 0) + 1
            assert inclusion.setdefault(tuple(place), share) == share
    assert set(times_in) == {place for place, _ in every_patch(chosen)}
    assert {place: count / len(offsets) for place, count in times_in.items()} == pytest.approx(inclusion, rel=1e-12)
    if size % stride == 0 and stride < size:
        assert set(inclusion.values()) == {1.0, (stride / size) ** 2}


@pytest.mark.parametrize(("size", "stride"), [(6, 3), (6, 4)])
def test_the_lattice_counts_each_pixel_in_each_patch_that_holds_it(size: int, stride: int) -> None:
    chosen = patches(size, stride)
    wanted = sum(len(ssm) for _, ssm in every_patch(chosen))
    membership = Membership.of(WORKING, DATES, chosen, SplitConfig(name="by_date"))
    assert lattice_pixels(label, TIMES, WORKING, membership, chosen) == wanted
    split = SplitConfig(name="random_patch", test_fraction=0.25, val_fraction=0.25)
    every_date = Membership.of(WORKING, np.full(4, "train"), chosen, SplitConfig(name="by_date"))
    random = Membership.of(WORKING, np.full(4, "any"), chosen, split)
    whole = lattice_pixels(label, TIMES, WORKING, every_date, chosen)
    assert lattice_pixels(label, TIMES, WORKING, random, chosen) == pytest.approx(whole / 2)


@pytest.mark.parametrize("block_m", [180, 360])
def test_under_blocks_the_share_is_that_of_the_patches_that_straddle_none(block_m: int) -> None:
    """Counted here on a map of the split that the regular grid paints; its patches never straddle two."""
    split = SplitConfig(name="by_block", block_m=block_m, buffer_m=0, test_fraction=0.3, val_fraction=0.3)
    working = WorkingGrid(Grid("EPSG:32611", (0, 0), 30, 36, 36), 1, 1, (Window(0, 0, 36, 36),))
    ssm = np.random.default_rng(0).random((36, 36)).astype(np.float32)
    chosen = patches(6, 3)
    membership = Membership.of(working, np.full(1, "any"), chosen, split)
    index = build_index(lambda *_: ssm, np.array([0]), working, membership, chosen)
    training = np.zeros((36, 36), bool)
    for row, col, name in index.loc[index["pass"] == 1, ["row", "col", "split"]].itertuples(index=False):
        training[row : row + 6, col : col + 6] = name == "train"
    whole = np.lib.stride_tricks.sliding_window_view(training, (6, 6))[::3, ::3].all(axis=(2, 3))
    train = index[index["split"] == "train"]
    wet = train["high_fraction"] >= 0.5
    share = (train["pass"] == 1).sum() / whole.sum()
    assert train["inclusion"][~wet].to_numpy() == pytest.approx(share)
    assert (train["inclusion"][wet] == 1).all()
    assert share > 1.3 * (3 / 6) ** 2
    assert wet.any()
    assert (~wet).any()


def test_patches_of_a_split_without_a_second_pass_are_in_by_the_regular_grid_alone() -> None:
    chosen = patches(6, 3)
    membership = Membership.of(WORKING, DATES, chosen, SplitConfig(name="by_date"))
    index = build_index(label, TIMES, WORKING, membership, chosen)
    assert set(index["inclusion"][index["split"] != "train"]) == {0.25}
    everywhere = build_index(label, TIMES, WORKING, membership, chosen, two_pass_everywhere=True)
    assert set(everywhere["inclusion"][everywhere["split"] == "test"]) == {0.25, 1.0}
