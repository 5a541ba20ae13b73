from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.evaluate import NETWORK, Evaluation, regular_grid
from mlssm.training.metrics import SUMS, Scores, scores

SPLITS = ("train", "val", "test")


def _pixels(network: nn.Module, dataset: PatchDataset) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and retrieved SSM of all valid pixels, patch by patch."""
    predicted, retrieved = [], []
    for position in range(len(dataset)):
        patch = dataset[position]
        with torch.no_grad():
            ssm = network.eval()(patch.dynamic[None], patch.static[None])[0, 0]
        valid = patch.valid.reshape(ssm.shape)
        predicted.append(ssm[valid].double().numpy())
        retrieved.append(patch.target.reshape(ssm.shape)[valid].double().numpy())
    return np.concatenate(predicted), np.concatenate(retrieved)


def _scores(evaluation: Evaluation, model: str, split: str, distribution: str = "natural") -> Scores:
    (row,) = (row for row in evaluation.rows if row.labels == (model, split, distribution))
    return row.scores


@pytest.mark.parametrize("split", SPLITS)
def test_the_networks_scores_are_those_of_scikit_learn(
    split: str, evaluation: Evaluation, experiment: Experiment, network: nn.Module
) -> None:
    predicted, retrieved = _pixels(network, regular_grid(experiment.datasets[split]))
    found = _scores(evaluation, NETWORK, split)
    assert found.n == len(retrieved) > 1000
    assert found.r2 == pytest.approx(r2_score(retrieved, predicted), abs=1e-5)
    assert found.rmse == pytest.approx(root_mean_squared_error(retrieved, predicted), abs=1e-6)
    assert found.mae == pytest.approx(mean_absolute_error(retrieved, predicted), abs=1e-6)
    assert found.bias == pytest.approx((predicted - retrieved).mean(), abs=1e-6)
    assert found.corr == pytest.approx(np.corrcoef(predicted, retrieved)[0, 1], abs=1e-5)


def test_the_histogram_holds_every_scored_pixel(evaluation: Evaluation) -> None:
    for split in SPLITS:
        assert evaluation.splits[split].histogram.n == _scores(evaluation, NETWORK, split).n


def test_batches_do_not_matter(evaluation: Evaluation, evaluate_again: Callable[[int], Evaluation]) -> None:
    other = evaluate_again(64)
    for split in SPLITS:
        for model, sums in evaluation.splits[split].sums.items():
            torch.testing.assert_close(sums, other.splits[split].sums[model], rtol=1e-5, atol=1e-6)


def test_all_models_meet_the_same_labels(evaluation: Evaluation) -> None:
    of_labels = [SUMS.index(name) for name in ("n", "target", "target^2", "standard error^2")]
    for part in evaluation.splits.values():
        network, *baselines = (sums[..., of_labels] for sums in part.sums.values())
        assert len(baselines) == 2
        assert all(torch.equal(network, other) for other in baselines)


def test_the_second_pass_has_no_share_in_the_scores(evaluation: Evaluation, experiment: Experiment) -> None:
    train = experiment.datasets["train"]
    regular = regular_grid(train)
    assert 0 < len(regular) < len(train)
    valid = sum(int(regular[position].valid.sum()) for position in range(len(regular)))
    assert _scores(evaluation, NETWORK, "train").n == valid


def test_the_pixel_mean_has_no_bias_on_what_it_was_fitted_on(evaluation: Evaluation) -> None:
    found = _scores(evaluation, "pixel mean", "train")
    assert found.bias == pytest.approx(0, abs=1e-9)
    assert 0 < found.r2 < 0.3


def test_the_pixel_mean_is_that_of_each_pixels_training_labels(evaluation: Evaluation, experiment: Experiment) -> None:
    train, test = (regular_grid(experiment.datasets[split]) for split in ("train", "test"))
    everything = slice(None)
    times = np.unique(train.patches["time"])
    labels = experiment.retrieval.labels(0, times, everything, everything).ssm
    kept = np.zeros(labels.shape, bool)
    for time, row, col in train.patches[["time", "row", "col"]].itertuples(index=False):
        kept[np.searchsorted(times, time), row : row + 9, col : col + 9] = True
    labels = np.where(kept, labels, np.nan).astype(float)
    known = np.isfinite(labels)
    count = known.sum(axis=0)
    mean = np.where(count > 0, np.where(known, labels, 0).sum(axis=0) / np.maximum(count, 1), np.nanmean(labels))
    errors = []
    for position, (time, row, col) in enumerate(test.patches[["time", "row", "col"]].itertuples(index=False)):
        patch = test[position]
        part = mean[row : row + 9, col : col + 9]
        height, width = part.shape
        valid = patch.valid.reshape(9, 9)[:height, :width].numpy()
        errors.append((part - patch.target.reshape(9, 9)[:height, :width].numpy())[valid])
        assert patch.date == np.searchsorted(test.times, time)
    rmse = np.sqrt(np.mean(np.concatenate(errors) ** 2))
    assert _scores(evaluation, "pixel mean", "test").rmse == pytest.approx(rmse, abs=1e-6)


def test_rain_explains_what_the_pixels_mean_does_not(evaluation: Evaluation) -> None:
    for split in SPLITS:
        assert _scores(evaluation, "antecedent rain", split).r2 > 0.4
        assert _scores(evaluation, "pixel mean", split).r2 < 0.2


def test_rows_come_by_split_and_begin_with_the_network(evaluation: Evaluation) -> None:
    rows = evaluation.rows
    assert len(rows) == 3 * 3 * 2
    assert [row.split for row in rows[::6]] == ["test", "val", "train"]
    assert {row.model for row in rows[0:18:6]} == {NETWORK}


def test_each_date_of_a_split_is_an_image_of_its_season(evaluation: Evaluation, experiment: Experiment) -> None:
    times = [evaluation.splits[split].times for split in SPLITS]
    assert len(set().union(*times)) == sum(len(part) for part in times)
    for split, part in zip(SPLITS, times, strict=True):
        assert evaluation.splits[split].sums[NETWORK].shape[0] == len(part)
        assert scores(evaluation.splits[split].sums[NETWORK]).n > 0
    assert max(experiment.cube.local_days[list(times[0])]) < min(experiment.cube.local_days[list(times[2])])
