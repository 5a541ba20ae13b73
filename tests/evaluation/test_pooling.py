"""Folds that are pooled are the whole: sums, counts, correlations over time and the file that keeps them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.errors import RunError
from mlssm.evaluation.evaluate import (
    Evaluation,
    SplitEvaluation,
    evaluate,
    evaluate_split,
    regular_grid,
    split_settings,
)
from mlssm.evaluation.evaluation_file import load_evaluation, save_evaluation
from mlssm.evaluation.pooling import pool_evaluations, pool_splits
from mlssm.evaluation.stream import Network
from mlssm.retrieval.track_variance import TrackVariance


class Scorer:
    """Scores the patches of some dates of the test split by two networks."""

    def __init__(self, experiment: Experiment, networks: Any, config: TrainConfig) -> None:
        self.test = regular_grid(experiment.datasets["test"])
        self.models = [Network(name, network, experiment.spec) for name, network in zip("ab", networks, strict=False)]
        # a patch at a time: other batches round otherwise
        self.settings = replace(split_settings(experiment, config), poolable=True, batch_size=1)

    def __call__(self, *times: int) -> SplitEvaluation:
        data = self.test
        rows = data.patches[data.patches["time"].isin(times)] if times else data.patches
        part = PatchDataset(rows, data.size, data.retrieval, data.features, data.moments)
        return evaluate_split(self.models, part, self.settings)


@pytest.fixture(scope="module")
def scorer(experiment: Experiment, networks: Any, config: TrainConfig) -> Scorer:
    return Scorer(experiment, networks, config)


def same(one: SplitEvaluation, other: SplitEvaluation) -> None:
    assert one.times == other.times
    for table in ("sums", "wet", "two_pass"):
        found, expected = getattr(one, table), getattr(other, table)
        assert list(found) == list(expected)
        for name in found:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=1e-12)
    assert one.temporal.keys() == other.temporal.keys()
    for name, quartiles in one.temporal.items():
        assert quartiles.n == other.temporal[name].n
        assert quartiles.median == pytest.approx(other.temporal[name].median, abs=1e-9, nan_ok=True)
    for found, expected in zip(one.temporal_maps, other.temporal_maps, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_array_equal(one.histogram.counts, other.histogram.counts)


def test_folds_of_other_dates_are_the_whole(scorer: Scorer) -> None:
    """In whatever order they come, the dates are in the order of time."""
    whole = scorer()
    times = whole.times
    assert len(times) >= 6
    assert np.isfinite(whole.temporal["a"].median)
    same(pool_splits([scorer(*times[1::2]), scorer(*times[::2])]), whole)
    thirds = [scorer(*times[place::3]) for place in range(3)]
    same(pool_splits([pool_splits(thirds[:2]), thirds[2]]), whole)


def test_a_date_of_two_folds_stays_one_date(scorer: Scorer) -> None:
    times = scorer.test.times.tolist()
    first, second = scorer(*times[:3]), scorer(*times[2:5])
    both = pool_splits([first, second])
    assert both.times == tuple(times[:5])
    torch.testing.assert_close(both.sums["a"][2], first.sums["a"][2] + second.sums["a"][0], rtol=1e-12, atol=0)
    assert both.sums["a"].sum() == pytest.approx(float(first.sums["a"].sum() + second.sums["a"].sum()))


def test_the_digest_tells_folds_apart_and_one_alone_keeps_its_own(scorer: Scorer) -> None:
    times = scorer.test.times.tolist()
    first, second = scorer(*times[:3]), scorer(*times[3:])
    assert pool_splits([first]).digest == first.digest
    assert pool_splits([first, second]).digest == pool_splits([first, second]).digest
    assert pool_splits([first, second]).digest != pool_splits([first, first]).digest


def test_what_was_not_kept_cannot_be_pooled(evaluation: Evaluation) -> None:
    with pytest.raises(ValueError, match="not evaluated as poolable"):
        pool_evaluations([evaluation])


def test_a_network_can_be_scored_alone_and_on_some_splits(
    experiment: Experiment, network: nn.Module, config: TrainConfig, evaluation: Evaluation
) -> None:
    found = evaluate(experiment, network, config, ("test",), poolable=True, bare=True)
    assert (found.kinds, list(found.splits)) == ({"ConvLSTM": "network"}, ["test"])
    assert {row.split for row in found.rows} == {"test"}
    sums = evaluation.splits["test"].sums["ConvLSTM"]
    torch.testing.assert_close(found.splits["test"].sums, {"ConvLSTM": sums}, rtol=0, atol=0)


def test_a_file_keeps_all_of_it(scorer: Scorer, config: TrainConfig, tmp_path: Path) -> None:
    times = scorer.test.times.tolist()
    test = replace(scorer(*times[:9]), two_pass=scorer(*times[:2]).sums)
    whole = Evaluation(
        {"val": scorer(*times[9:12]), "test": test}, {"a": "network", "b": "baseline"}, config.evaluation, 3
    )
    whole = replace(whole, track=TrackVariance(0.004, 0.001, 12))
    path = tmp_path / "evaluation.npz"
    save_evaluation(whole, path)
    found = load_evaluation(path)
    assert (found.kinds, found.config, found.seed) == (whole.kinds, whole.config, whole.seed)
    assert found.track == whole.track
    for split, part in whole.splits.items():
        same(found.splits[split], part)
        assert found.splits[split].digest == part.digest
    assert (found.rows, found.verdict) == (whole.rows, whole.verdict)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.npz"
    with pytest.raises(RunError, match=r"does not hold the scores of a fold .*; train it again"):
        load_evaluation(path)
    path.write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(RunError, match="does not hold the scores of a fold"):
        load_evaluation(path)
