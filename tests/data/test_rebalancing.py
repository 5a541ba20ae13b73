"""Sampling plans, and that a reweighted loss is an unbiased estimate of the natural risk."""

import itertools
import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from mlssm.config import LossConfig, SamplerConfig, TrainConfig
from mlssm.data import rebalancing
from mlssm.data.assemble import Experiment, label_map
from mlssm.data.datamodule import PatchDataModule
from mlssm.data.dataset import PatchDataset
from mlssm.data.label_density import label_histograms, rarity_weights
from mlssm.data.plan import SamplingPlan
from mlssm.data.rebalancing import capped, plan_training, training_pool, with_inclusion
from mlssm.errors import SplitError
from mlssm.models.prediction import Prediction
from mlssm.patches.inclusion import lattice_pixels
from mlssm.patches.index import LabelMap, build_index
from mlssm.patches.membership import Membership
from mlssm.training.losses import TrainingLoss

SMALL = "patches.size=6", "patches.dense_stride=3", "retrieval.multilook_m=90", "patches.min_high_fraction=0.5"
SQUARED = LossConfig(name="mse")
Plans = Callable[..., SamplingPlan]
SAMPLERS = [
    SamplerConfig(name="natural", reweight=True),
    SamplerConfig(name="stratified", reweight=True),
    SamplerConfig(name="stratified", reweight=True, draws=61),
    SamplerConfig(name="stratified", reweight=True, draws=7, bins=3, replacement=False),
    SamplerConfig(name="density", reweight=True),
    SamplerConfig(name="density", reweight=True, weighting="lds", alpha=0.7),
    SamplerConfig(name="density", reweight=True, draws=50, replacement=False),
    SamplerConfig(name="natural", reweight=True, draws=9),
]
REBALANCED = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: f"{sampler.name} {sampler.draws}")


class Constant(nn.Module):
    """Wet everywhere, whatever it is fed with."""

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        return Prediction(torch.full((len(dynamic), 1, *dynamic.shape[-2:]), 0.7))


@pytest.fixture(scope="module")
def experiment(watershed) -> Experiment:
    return watershed.experiment(*SMALL)


@pytest.fixture(scope="module")
def config(watershed) -> TrainConfig:
    return watershed.config(*SMALL)


@pytest.fixture(scope="module")
def labels(experiment: Experiment) -> LabelMap:
    return label_map(experiment.retrieval, experiment.features, experiment.moments)


@pytest.fixture(scope="module")
def plan_of(experiment: Experiment, labels: LabelMap, config: TrainConfig) -> Plans:
    """The plan of a sampler for a loss, on the experiment's training patches."""

    def make(sampler: SamplerConfig, loss: LossConfig = SQUARED) -> SamplingPlan:
        chosen = config.model_copy(update={"sampler": sampler, "loss": loss})
        pool = training_pool(experiment.index, sampler)
        return plan_training(pool, chosen, labels, lambda: 1e6)

    return make


@pytest.fixture(scope="module")
def sums(experiment: Experiment) -> pd.DataFrame:
    """Sum of the squared errors, and number of labelled pixels, of each regular training patch as a loader gives it."""
    batch = next(iter(PatchDataModule(dict(experiment.datasets), 10**6, 0, 0).loader("train")))
    loss = TrainingLoss(SQUARED).pixels(Constant(), batch)
    columns = loss.double().flatten(1).sum(1), batch.valid.flatten(1).sum(1)
    return pd.DataFrame(torch.stack(columns, dim=1).numpy(), columns=["loss", "pixels"])


@pytest.fixture(scope="module")
def risk(sums: pd.DataFrame) -> float:
    """The natural risk: the mean over the labelled pixels of the regular grid."""
    return float(sums["loss"].sum() / sums["pixels"].sum())


def test_the_index_counts_the_pixels_that_the_loader_gives(experiment: Experiment, sums: pd.DataFrame) -> None:
    np.testing.assert_array_equal(experiment.datasets["train"].patches["pixels"], sums["pixels"])


@REBALANCED
def test_the_expectation_of_the_reweighted_loss_is_the_natural_risk(
    sampler: SamplerConfig, plan_of: Plans, sums: pd.DataFrame, risk: float
) -> None:
    plan = plan_of(sampler)
    expected = plan.drawing.expected
    assert expected.sum() == pytest.approx(plan.drawing.draws)
    weighted = (expected * plan.weight * sums["loss"]).sum() / plan.drawing.draws
    assert weighted == pytest.approx(risk, rel=1e-6)
    unweighted = (expected * sums["loss"]).sum() / (expected * sums["pixels"]).sum()
    assert (abs(unweighted / risk - 1) > 0.1) == (sampler.name != "natural")


@REBALANCED
def test_epochs_scatter_about_the_natural_risk(
    sampler: SamplerConfig, plan_of: Plans, sums: pd.DataFrame, risk: float
) -> None:
    plan = plan_of(sampler)
    one = plan.weight * sums["loss"].to_numpy()
    epochs = [one[plan.drawing.positions(5, epoch)].mean() for epoch in range(400)]
    error = np.std(epochs, ddof=1) / np.sqrt(len(epochs))
    assert abs(np.mean(epochs) - risk) < 4 * error + 1e-6 * risk


@pytest.mark.parametrize("batch_size", [1, 8, 61])
def test_batches_of_any_size_have_the_risk_of_their_epoch(
    experiment: Experiment, plan_of: Plans, sums: pd.DataFrame, batch_size: int
) -> None:
    """What the loader gives and the loss makes of it, against the patches' sums; the last batch is smaller."""
    plan = plan_of(SAMPLERS[2])
    plain = experiment.datasets["train"]
    parts = plain.size, plain.retrieval, plain.features, plain.moments, "none", plan
    data = PatchDataModule({"train": PatchDataset(plain.patches, *parts)}, batch_size, 0, seed=5)
    loss = TrainingLoss(SQUARED, plan)
    means = [(loss(Constant(), batch).item(), len(batch.weight)) for batch in data.train_dataloader()]
    found = np.average(*np.array(means).T[:1], weights=np.array(means).T[1])
    one = plan.weight * sums["loss"].to_numpy()
    assert sum(size for _, size in means) == 61
    assert found == pytest.approx(one[plan.drawing.positions(5, 0)].mean(), rel=1e-5)


@pytest.mark.parametrize("stride", [3, 2, pytest.param(4, marks=pytest.mark.exhaustive)])
def test_two_pass_over_all_offsets_has_the_risk_of_the_dense_population(
    experiment: Experiment, labels: LabelMap, config: TrainConfig, stride: int
) -> None:
    """Of every patch on the lattice, found by the pixels alone; unweighted, the wet ones pull it away."""
    patches = config.patches.model_copy(update={"dense_stride": stride, "min_high_fraction": 0.4})
    chosen = config.model_copy(update={"sampler": SamplerConfig(name="two_pass", reweight=True), "patches": patches})
    times = np.array([*experiment.datasets["train"].times[:6], experiment.datasets["val"].times[0], 0])
    times[-1] = experiment.datasets["test"].times[0]
    split = np.full(times.max() + 1, "none", dtype="<U5")
    split[times[:6]], split[times[6]], split[times[7]] = "train", "val", "test"
    working = experiment.stack.working
    membership = Membership.of(working, split, patches, config.split)
    step, period = np.gcd(6, stride), np.lcm(6, stride)

    def loss(row: int, col: int, time: int) -> np.ndarray:
        ssm = labels(0, time)[max(row, 0) : row + 6, max(col, 0) : col + 6].astype(float)
        return (ssm - 0.7) ** 2

    weighted, unweighted = [], []
    for offset in itertools.product(range(0, period, step), repeat=2):
        index = build_index(labels, times, working, membership, patches, offset=offset)
        pool = training_pool(index, chosen.sampler)
        plan = plan_training(pool, chosen, labels, lambda: lattice_pixels(labels, times, working, membership, patches))
        found = [loss(*place) for place in pool[["row", "col", "time"]].itertuples(index=False)]
        totals = np.array([np.nansum(each) for each in found])
        weighted.append((plan.weight * totals).mean())
        unweighted.append(totals.sum() / pool["pixels"].sum())
    height, width = working.extents[0].shape
    places = itertools.product(range(step - 6, height, step), range(step - 6, width, step), times[:6])
    population = [each for each in itertools.starmap(loss, places) if np.isfinite(each).mean() >= 0.1]
    wanted = sum(map(np.nansum, population)) / sum(np.isfinite(each).sum() for each in population)
    assert np.mean(weighted) == pytest.approx(wanted, rel=1e-6)
    assert abs(np.mean(unweighted) / wanted - 1) > 0.05


def test_stratified_draws_as_many_from_each_bin_that_has_patches(experiment: Experiment, plan_of: Plans) -> None:
    plan = plan_of(SamplerConfig(name="stratified", bins=5))
    mean_ssm = training_pool(experiment.index, SamplerConfig(name="stratified"))["mean_ssm"]
    bins = pd.cut(mean_ssm, [0, 0.2, 0.4, 0.6, 0.8, 1.01], right=False, labels=False).to_numpy()
    by_bin = pd.Series(plan.drawing.expected).groupby(bins)
    np.testing.assert_allclose(by_bin.sum(), len(mean_ssm) / by_bin.ngroups)
    assert (by_bin.nunique() == 1).all()
    assert by_bin.ngroups > 2
    assert plan.weight.tolist() == [1.0] * len(mean_ssm)


def test_density_draws_in_proportion_to_the_mean_rarity_of_a_patchs_labels(
    experiment: Experiment, labels: LabelMap, plan_of: Plans
) -> None:
    sampler = SamplerConfig(name="density", bandwidth=0.1)
    pool = training_pool(experiment.index, sampler)
    bins = []
    for time, row, col in pool[["time", "row", "col"]].itertuples(index=False):
        ssm = labels(0, time)[row : row + 6, col : col + 6]
        bins.append(np.minimum(ssm[np.isfinite(ssm)] * 100, 99).astype(int))
    weights = rarity_weights(np.bincount(np.concatenate(bins), minlength=100), sampler)
    rarity = np.array([weights[each].mean() for each in bins])
    plan = plan_of(sampler)
    np.testing.assert_allclose(plan.drawing.expected, rarity / rarity.mean(), rtol=1e-9)
    assert rarity.max() > 2 * rarity.min()
    once = plan_of(sampler.model_copy(update={"draws": 40, "replacement": False})).drawing
    assert once.expected.max() <= 1
    for epoch in range(20):
        positions = once.positions(0, epoch)
        assert len(set(positions)) == len(positions) == 40


def test_capped_probabilities_are_proportional_below_1() -> None:
    size = np.array([1.0, 2, 3, 10, 50])
    np.testing.assert_allclose(capped(size, 1), size / 66)
    np.testing.assert_allclose(capped(size, 3), [1 / 6, 2 / 6, 3 / 6, 1, 1])
    np.testing.assert_allclose(capped(size, 5), 1)
    np.testing.assert_allclose(capped(np.full(7, 0.1), 7), 1)


def test_the_loss_is_told_which_labels_it_will_see(experiment: Experiment, labels: LabelMap, plan_of: Plans) -> None:
    """Those drawn; and if it is reweighted, the natural ones."""
    balanced = LossConfig(name="balanced_mse")
    sampler = SamplerConfig(name="stratified")
    counts = label_histograms(training_pool(experiment.index, sampler), 6, labels).astype(float)
    natural = counts.sum(axis=0) / counts.sum()
    plan = plan_of(sampler, balanced)
    assert plan.labels is not None
    drawn = plan.drawing.expected @ counts
    np.testing.assert_allclose(plan.labels, drawn / drawn.sum())
    assert np.abs(plan.labels - natural).sum() > 0.1
    for same in (SamplerConfig(name="natural"), sampler.model_copy(update={"reweight": True})):
        np.testing.assert_allclose(plan_of(same, balanced).labels, natural, rtol=1e-6)
    assert plan_of(sampler).labels is None


def test_more_than_there_is_says_so(experiment: Experiment, plan_of: Plans, caplog: pytest.LogCaptureFixture) -> None:
    count = len(experiment.datasets["train"])
    once = {"replacement": False}
    with pytest.raises(SplitError, match=rf"draws={count + 1} without replacement, but there are {count} .* at most"):
        plan_of(SamplerConfig(name="density", draws=count + 1, **once))
    with pytest.raises(SplitError, match=r"bins of mean SSM, but that of .* has \d+; set sampler.draws to at most \d+"):
        plan_of(SamplerConfig(name="stratified", **once))
    with caplog.at_level(logging.WARNING):
        plan_of(SamplerConfig(name="density", **once))
    assert "draws every patch once, as sampler=natural does" in caplog.text


def test_the_most_that_the_message_names_can_be_drawn(plan_of: Plans) -> None:
    with pytest.raises(SplitError) as error:
        plan_of(SamplerConfig(name="stratified", bins=4, replacement=False))
    most = int(str(error.value).split("at most ")[1].split(",")[0])
    plan = plan_of(SamplerConfig(name="stratified", bins=4, replacement=False, draws=most))
    assert plan.drawing.expected.max() == 1
    assert len(set(plan.drawing.positions(0, 0))) == most
    with pytest.raises(SplitError):
        plan_of(SamplerConfig(name="stratified", bins=4, replacement=False, draws=most + 1))


def test_the_index_says_how_often_training_draws(experiment: Experiment, plan_of: Plans) -> None:
    sampler, index = SamplerConfig(name="density"), experiment.index
    plan = plan_of(sampler)
    found, train = with_inclusion(index, plan, sampler), index["split"] == "train"
    np.testing.assert_array_equal(found["inclusion"][train & (index["pass"] == 1)], plan.drawing.expected)
    assert (found["inclusion"][train & (index["pass"] == 2)] == 0).all()
    assert (index["pass"] == 2).any()
    assert found["inclusion"][~train].equals(index["inclusion"][~train])
    natural = SamplerConfig(name="natural")
    assert with_inclusion(index, plan_of(natural), natural) is index


def test_an_epoch_of_few_draws_has_other_patches_each_time(experiment: Experiment, plan_of: Plans) -> None:
    sampler, count = SamplerConfig(name="natural", draws=5), len(experiment.datasets["train"])
    plan = plan_of(sampler)
    epochs = [plan.drawing.positions(0, epoch) for epoch in range(3 * count)]
    assert all(len(set(epoch)) == 5 for epoch in epochs)
    assert set().union(*epochs) == set(range(count))
    train = (experiment.index["split"] == "train") & (experiment.index["pass"] == 1)
    found = with_inclusion(experiment.index, plan, sampler)["inclusion"][train]
    np.testing.assert_allclose(found, 5 / count)


def test_an_epoch_is_capped_with_a_line(
    experiment: Experiment, plan_of: Plans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    count = len(experiment.datasets["train"])
    monkeypatch.setattr(rebalancing, "MOST_DRAWS", 6)
    for name in ("natural", "stratified", "density", "two_pass"):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            drawing = plan_of(SamplerConfig(name=name)).drawing
        assert drawing.draws == 6
        assert drawing.expected.sum() == pytest.approx(6)
        assert "an epoch draws 6 of the" in caplog.text
    with caplog.at_level(logging.INFO):
        assert plan_of(SamplerConfig(name="natural", draws=count)).drawing.draws == count
        assert f"an epoch draws {count}" not in caplog.text
        plan_of(SamplerConfig(name="natural", draws=5))
    assert f"an epoch draws 5 of the {count} training patches, others each time\n" in caplog.text
