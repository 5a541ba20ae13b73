from typing import Any

import numpy as np
import pytest
import torch

from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.baselines import BASELINE_NAMES, fit_baselines
from mlssm.evaluation.baselines.base import Baseline

NAMES = ("pixel mean", "climatology", "persistence", "antecedent rain", "ridge", "gradient boosting")


@pytest.fixture
def baselines(experiment: Experiment, fitted: Any) -> tuple[Baseline, ...]:
    """Those of the simulated area."""
    found: tuple[Baseline, ...] = fitted(experiment)
    return found


def _with(dataset: PatchDataset, rows: Any) -> PatchDataset:
    return PatchDataset(dataset.patches[rows], dataset.size, dataset.retrieval, dataset.features, dataset.moments)


def test_they_come_in_the_order_of_their_names(baselines: tuple[Baseline, ...]) -> None:
    assert tuple(baseline.name for baseline in baselines) == BASELINE_NAMES == NAMES


def test_every_labelled_pixel_gets_a_soil_moisture(any_experiment: Experiment, fitted: Any, batches: Any) -> None:
    for dataset in any_experiment.datasets.values():
        for places, batch in batches(dataset, 64):
            for baseline in fitted(any_experiment):
                found = baseline.predict(places, batch)
                assert found.dtype == torch.float64
                assert found.shape == batch.target.shape
                assert ((found >= 0) & (found <= 1))[batch.valid].all(), baseline.name


def test_neither_batches_nor_order_nor_labels_matter(
    experiment: Experiment, baselines: tuple[Baseline, ...], batches: Any
) -> None:
    test = experiment.datasets["test"]
    order = np.random.default_rng(1).permutation(len(test))[:50]
    in_order, out_of_order = list(batches(test, 64)), list(batches(test, 7, order))
    for baseline in baselines:
        whole = torch.cat([baseline.predict(places, batch) for places, batch in in_order])
        parts = [
            baseline.predict(places, batch._replace(target=torch.full_like(batch.target, torch.nan)))
            for places, batch in out_of_order
        ]
        torch.testing.assert_close(torch.cat(parts), whole[order], rtol=1e-9, atol=1e-12, equal_nan=True)


def test_the_second_pass_and_the_held_out_splits_have_no_share(
    experiment: Experiment, baselines: tuple[Baseline, ...], batches: Any
) -> None:
    train = experiment.datasets["train"]
    regular = _with(train, train.patches["pass"] == 1)
    assert len(regular) < len(train)
    places, batch = next(iter(batches(experiment.datasets["test"], 40)))
    for one, other in zip(baselines, fit_baselines(experiment, regular, 3), strict=True):
        torch.testing.assert_close(
            one.predict(places, batch), other.predict(places, batch), rtol=1e-9, atol=1e-12, equal_nan=True
        )


def test_an_extent_without_training_labels_gets_the_mean_of_the_others(five_extents: Experiment, batches: Any) -> None:
    train, test = five_extents.datasets["train"], five_extents.datasets["test"]
    without = int(test.patches["extent"].iloc[-1])
    others = _with(train, train.patches["extent"] != without)
    labels = torch.cat([others[i].target[others[i].valid] for i in range(len(others))]).double()
    mean, climatology, _, rain, *_ = fit_baselines(five_extents, others, 0)
    places, batch = next(iter(batches(_with(test, test.patches["extent"] == without), 9)))
    assert batch.valid.any()
    for baseline in (mean, climatology, rain):
        found = baseline.predict(places, batch)[batch.valid]
        torch.testing.assert_close(found, torch.full_like(found, labels.mean().item()), rtol=1e-9, atol=0)


def test_on_the_simulated_extent_weather_says_more_than_the_calendar(
    experiment: Experiment, baselines: tuple[Baseline, ...], batches: Any
) -> None:
    squares = dict.fromkeys(NAMES, 0.0)
    for places, batch in batches(experiment.datasets["test"], 64):
        for baseline in baselines:
            error = (baseline.predict(places, batch) - batch.target)[batch.valid]
            squares[baseline.name] += float((error**2).sum())
    assert max(squares["antecedent rain"], squares["ridge"]) < squares["climatology"] < squares["pixel mean"]


def test_the_training_patches_are_read_once(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    train, read = experiment.datasets["train"], PatchDataset.__getitem__
    reads = np.zeros(len(train), int)

    def counted(dataset: PatchDataset, position: int) -> Any:
        reads[position] += 1
        return read(dataset, position)

    monkeypatch.setattr(PatchDataset, "__getitem__", counted)
    fit_baselines(experiment, train, 3)
    np.testing.assert_array_equal(reads, train.patches["pass"] == 1)
