from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment, two_pass_grid
from mlssm.data.batch import Batch
from mlssm.data.controls import apply_control
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.baselines import fit_baselines
from mlssm.evaluation.evaluate import CONTROLS, Evaluation, evaluate, regular_grid
from mlssm.evaluation.stream import Network, batches
from mlssm.scores.bootstrap import Resampling
from mlssm.scores.sums import SUMS, Scores, scores

NETWORK = "ConvLSTM"
CONTROLLED = {name: f"{NETWORK}, {words}" for name, words in CONTROLS.items()}

SPLITS = ("train", "val", "test")
OF_LABELS = [SUMS.index(name) for name in ("n", "target", "target^2", "attainable")]


def _patches(dataset: PatchDataset) -> Iterator[tuple[int, Batch]]:
    """One by one, each with a batch dimension."""
    for position in range(len(dataset)):
        yield position, Batch(*(values[None] for values in dataset[position]))


def _pixels(network: nn.Module, dataset: PatchDataset, control: str = "none") -> tuple[np.ndarray, np.ndarray]:
    """Predicted and retrieved SSM of all valid pixels, patch by patch."""
    predicted, retrieved = [], []
    for position, patch in _patches(dataset):
        inputs = apply_control(control, patch, [dataset.place(position)], dataset.features.spec)
        with torch.no_grad():
            ssm = network.eval()(inputs.dynamic, inputs.static).middle(inputs.target).ssm
        predicted.append(ssm[patch.valid].double().numpy())
        retrieved.append(patch.target[patch.valid].double().numpy())
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


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_the_network_on_what_is_left_of_its_inputs(
    control: str, evaluation: Evaluation, experiment: Experiment, network: nn.Module
) -> None:
    predicted, retrieved = _pixels(network, regular_grid(experiment.datasets["test"]), control)
    found = _scores(evaluation, CONTROLLED[control], "test")
    assert found.rmse == pytest.approx(root_mean_squared_error(retrieved, predicted), abs=1e-6)
    assert found.rmse != pytest.approx(_scores(evaluation, NETWORK, "test").rmse, abs=1e-4)
    assert CONTROLLED[control] not in evaluation.splits["train"].sums


def test_baselines_are_scored_as_they_predict(
    evaluation: Evaluation, experiment: Experiment, config: TrainConfig
) -> None:
    test = regular_grid(experiment.datasets["test"])
    for baseline in fit_baselines(experiment, regular_grid(experiment.datasets["train"]), config.seed):
        pairs = [(baseline.predict(places, batch), batch) for batch, places in batches(test, 50)]
        predicted, retrieved = (
            torch.cat([values[batch.valid].double() for values, batch in found]).numpy()
            for found in (pairs, [(batch.target, batch) for _, batch in pairs])
        )
        found = _scores(evaluation, baseline.name, "test")
        assert found.rmse == pytest.approx(root_mean_squared_error(retrieved, predicted), abs=1e-9)
        assert evaluation.kinds[baseline.name] == "baseline"


def test_the_histogram_holds_every_scored_pixel(evaluation: Evaluation) -> None:
    for split in SPLITS:
        assert evaluation.splits[split].histogram.n == _scores(evaluation, NETWORK, split).n


def test_batches_do_not_matter(evaluation: Evaluation, evaluate_again: Callable[..., Evaluation]) -> None:
    other = evaluate_again("optimiser.batch_size=64", "evaluation.two_pass=false")
    for split in SPLITS:
        one, same = evaluation.splits[split], other.splits[split]
        assert one.digest == same.digest
        for model, sums in one.sums.items():
            torch.testing.assert_close(sums, same.sums[model], rtol=1e-5, atol=1e-6)
            assert abs(one.wet[model] - same.wet[model]).sum() <= 4, "of pixels at a threshold"
            assert one.temporal[model].median == pytest.approx(same.temporal[model].median, abs=1e-5, nan_ok=True)
        assert same.two_pass == {}


def test_all_models_meet_the_same_labels(evaluation: Evaluation) -> None:
    for part in evaluation.splits.values():
        network, *others = (sums[..., OF_LABELS] for sums in part.sums.values())
        assert len(others) >= 6
        assert all(torch.equal(network, other) for other in others)
        _, *counts = (counts.sum(-1) for counts in part.wet.values())
        assert all(torch.equal(part.wet[NETWORK].sum(-1), other) for other in counts)


def test_sums_are_kept_by_date_block_and_bin(evaluation: Evaluation, experiment: Experiment) -> None:
    """20 pixels along the extent, 6 along a block."""
    test = regular_grid(experiment.datasets["test"])
    expected = torch.zeros(len(test.times), 4, 4, 5)
    for position, patch in _patches(test):
        place = test.place(position)
        for row, col in patch.valid[0, 0].nonzero().tolist():
            block = (place.rows.start + row) // 6, (place.cols.start + col) // 6
            moisture = min(int(float(patch.target[0, 0, row, col]) * 5), 4)
            expected[(int(patch.date), *block, moisture)] += 1
    part = evaluation.splits["test"]
    assert torch.equal(part.sums[NETWORK][..., 0], expected.reshape(-1, 16, 5).double())
    assert part.blocks.tolist() == [0] * 16
    assert len(part.times) == len(expected)


def test_the_second_pass_has_no_share_in_the_natural_scores(evaluation: Evaluation, experiment: Experiment) -> None:
    train = experiment.datasets["train"]
    regular = regular_grid(train)
    assert 0 < len(regular) < len(train)
    valid = sum(int(patch.valid.sum()) for _, patch in _patches(regular))
    assert _scores(evaluation, NETWORK, "train").n == valid


@pytest.mark.parametrize("split", ["val", "test"])
def test_two_pass_counts_each_pixel_as_often_as_it_appears(
    split: str, evaluation: Evaluation, experiment: Experiment, network: nn.Module
) -> None:
    both = two_pass_grid(experiment, split)
    predicted, retrieved = _pixels(network, both)
    found = _scores(evaluation, NETWORK, split, "two_pass")
    assert found.n == len(retrieved) > _scores(evaluation, NETWORK, split).n
    assert found.r2 == pytest.approx(r2_score(retrieved, predicted), abs=1e-5)
    assert list(evaluation.splits[split].two_pass) == [
        name for name, kind in evaluation.kinds.items() if kind != "control"
    ]


def test_correlation_over_time_is_that_of_each_pixels_dates(
    evaluation: Evaluation, experiment: Experiment, network: nn.Module
) -> None:
    test = regular_grid(experiment.datasets["test"])
    model, stack = Network(NETWORK, network, test.features.spec), np.full((2, len(test.times), 27, 27), np.nan)
    for position, patch in _patches(test):
        place = test.place(position)
        ssm = model.predict([place], patch)
        for values, whole in zip((patch.target, ssm), stack, strict=True):
            whole[int(patch.date), place.rows, place.cols] = torch.where(patch.valid, values, torch.nan)[0, 0]
    (found,) = evaluation.splits["test"].temporal_maps
    assert found.shape == (20, 20)
    dates = np.isfinite(stack[0]).sum(0)[:20, :20]
    assert np.isnan(found[dates < 5]).all()
    known = np.argwhere(np.isfinite(found))
    for row, col in known[:: len(known) // 20]:
        y, p = stack[:, np.isfinite(stack[0, :, row, col]), row, col]
        assert found[row, col] == pytest.approx(pearsonr(y, p).statistic, abs=1e-4)
    summary = evaluation.splits["test"].temporal[NETWORK]
    assert (summary.n, summary.median) == (len(known), np.nanmedian(found))


def test_the_pixel_mean_has_no_bias_on_what_it_was_fitted_on(evaluation: Evaluation) -> None:
    found = _scores(evaluation, "pixel mean", "train")
    assert found.bias == pytest.approx(0, abs=1e-9)
    assert 0 < found.r2 < 0.3


def test_rain_explains_what_the_pixels_mean_does_not(evaluation: Evaluation) -> None:
    for split in SPLITS:
        assert _scores(evaluation, "antecedent rain", split).r2 > 0.4
        assert _scores(evaluation, "pixel mean", split).r2 < 0.2


def test_rows_come_by_split_and_begin_with_the_network(evaluation: Evaluation) -> None:
    rows = evaluation.rows
    assert list(dict.fromkeys(row.split for row in rows)) == ["test", "val", "train"]
    for split in SPLITS:
        there = [row for row in rows if row.split == split]
        assert there[0].labels == (NETWORK, split, "natural")
        counts = {name: sum(row.distribution == name for row in there) for name in ("natural", "balanced", "two_pass")}
        controls = 0 if split == "train" else 2
        assert counts == {"natural": 8 + controls, "balanced": 8 + controls, "two_pass": 8}
    assert evaluation.rows is rows, "made once"


def test_intervals_are_drawn_as_the_configuration_says(evaluation: Evaluation, config: TrainConfig) -> None:
    assert evaluation.resampling == Resampling(200, 0.95, config.seed)
    network = evaluation.rows[0]
    assert network.intervals.rmse.low < network.scores.rmse < network.intervals.rmse.high
    assert evaluation.verdict.sentence.startswith("ConvLSTM is worse than ")


def test_a_network_trained_under_a_control_is_scored_under_it_and_the_baselines_are_not(
    evaluation: Evaluation, network: nn.Module, watershed: Any, overrides: tuple[str, ...]
) -> None:
    changed = (*overrides, "control=no_weather", "evaluation.two_pass=false")
    found = evaluate(watershed.experiment(*changed), network, watershed.config(*changed)).splits["test"].sums
    assert not set(CONTROLLED.values()) & set(found)
    expected = evaluation.splits["test"].sums
    torch.testing.assert_close(found[NETWORK], expected[CONTROLLED["no_weather"]])
    torch.testing.assert_close(found["ridge"], expected["ridge"])


def test_each_date_of_a_split_is_an_image_of_its_season(evaluation: Evaluation, experiment: Experiment) -> None:
    times = [evaluation.splits[split].times for split in SPLITS]
    assert len(set().union(*times)) == sum(len(part) for part in times)
    for split, part in zip(SPLITS, times, strict=True):
        assert evaluation.splits[split].sums[NETWORK].shape[0] == len(part)
        assert scores(evaluation.splits[split].sums[NETWORK]).n > 0
    assert max(experiment.cube.local_days[list(times[0])]) < min(experiment.cube.local_days[list(times[2])])
