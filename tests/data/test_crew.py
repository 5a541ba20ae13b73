"""Whoever finds patches and counts their labels, and wherever they are, what is found is the same to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.elsewhere import Elsewhere

from mlssm.crew import Crew
from mlssm.data.assemble import Experiment, label_map
from mlssm.data.label_density import label_histograms
from mlssm.data.rebalancing import training_pool
from mlssm.data.usable import UsableLabels
from mlssm.patches.inclusion import lattice_pixels
from mlssm.patches.index import build_index
from mlssm.patches.membership import Membership
from mlssm.shipping import Shipment
from mlssm.workers import Workers

# all that is counted is asked for; NDVI has to be there
TOLD = ("patches.size=6", "patches.dense_stride=3", "patches.min_high_fraction=0.5", "retrieval.multilook_m=90")
TOLD += ("sampler=two_pass", "sampler.reweight=true", "loss=balanced_mse", "features.on_missing=drop")
SPLITS = {"by_season": (), "by_block": ("split=by_block", "split.block_m=900", "split.buffer_m=0")}
Counted = tuple[pd.DataFrame, np.ndarray, float]


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*TOLD)
    return found


@pytest.fixture(scope="module")
def counted(watershed: Any, experiment: Experiment) -> Callable[[Crew | None, str], Counted]:
    """The index of some dates, the histograms and the lattice's pixels, by a crew under a split."""
    labels, times = label_map(experiment.retrieval, experiment.features, experiment.moments), [*experiment.moments][::3]
    working = experiment.stack.working

    def count(crew: Crew | None, split: str) -> Counted:
        config = watershed.config(*TOLD, *SPLITS[split])
        dates = np.full(len(experiment.cube.times), "none", dtype="<U5")
        dates[times] = "any" if split == "by_block" else np.resize(["train", "train", "val", "test"], len(times))
        membership = Membership.of(working, dates, config.patches, config.split)
        placed = np.array(times), working, membership, config.patches
        index = build_index(labels, *placed, crew=crew)
        pool = training_pool(index, config.sampler)
        return index, label_histograms(pool, 6, labels, crew), lattice_pixels(labels, *placed, crew)

    return count


@pytest.fixture(scope="module", params=SPLITS)
def alone(counted: Callable[[Crew | None, str], Counted], request: pytest.FixtureRequest) -> tuple[str, Counted]:
    """A split, and what is counted by nobody else."""
    return request.param, counted(None, request.param)


@pytest.mark.parametrize("threads", [1, 3, None])
def test_dates_are_counted_alike_by_any_workers(
    counted: Callable[[Crew | None, str], Counted],
    alone: tuple[str, Counted],
    threads: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlssm.shipping.LARGE", 300)
    split, expected = alone
    crew = Crew(Elsewhere(), Shipment(tmp_path)) if threads is None else Crew(Workers(threads), None)
    index, histograms, pixels = counted(crew, split)
    pd.testing.assert_frame_equal(index, expected[0], check_exact=True)
    np.testing.assert_array_equal(histograms, expected[1], strict=True)
    assert pixels == expected[2] > len(index)
    assert len(histograms) > 100
    assert bool([*tmp_path.glob("*.npy")]) == (threads is None)


def refuse(*_: Any) -> None:
    raise AssertionError("labels are read in the first process")


def assert_same(found: Experiment, expected: Experiment) -> None:
    pd.testing.assert_frame_equal(found.index, expected.index, check_exact=True)
    assert (found.index.dtypes == expected.index.dtypes).all()
    for name in ("inclusion", "weight", "labels"):
        np.testing.assert_array_equal(getattr(found.plan, name), getattr(expected.plan, name), strict=True)
    for epoch in range(3):
        assert found.plan.drawing.positions(7, epoch) == expected.plan.drawing.positions(7, epoch)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_processes_find_the_same_patches(
    watershed: Any, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by files, of which none is left behind."""
    monkeypatch.setattr(UsableLabels, "__call__", refuse)  # of this process's class alone
    monkeypatch.setattr("mlssm.shipping.LARGE", 300)
    before = {*watershed.cube.path.parent.iterdir()}
    assert_same(watershed.experiment(*TOLD, "dask=processes", "dask.workers=2"), experiment)
    assert {*watershed.cube.path.parent.iterdir()} == before


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_cluster_finds_the_same_patches(
    watershed: Any, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(UsableLabels, "__call__", refuse)
    alone = {"dashboard_address": ":0"}
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp", scheduler_kwargs=alone
    ) as cluster:
        told = "dask=cluster", f"dask.address={cluster.scheduler_address}"
        assert_same(watershed.experiment(*TOLD, *told), experiment)
