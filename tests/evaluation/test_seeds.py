import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.elsewhere import Elsewhere
from torch import nn

from mlssm.crew import Crew
from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation, regular_grid
from mlssm.evaluation.seeds import SeedSplit, seed_split, split_error, spread
from mlssm.evaluation.stream import Network, batches
from mlssm.scores.sums import pixel_sums, scores
from mlssm.shipping import Shipment
from mlssm.workers import Workers

NETWORK = "ConvLSTM"


@pytest.fixture(scope="module")
def found(networks: tuple[nn.Module, ...], experiment: Experiment) -> SeedSplit:
    return seed_split(networks, regular_grid(experiment.datasets["test"]), 7)


def test_the_parts_add_up_to_the_mean_error_of_the_networks(
    found: SeedSplit, networks: tuple[nn.Module, ...], experiment: Experiment
) -> None:
    models = [Network("x", one, experiment.spec) for one in networks]
    errors, spreads, noise = [], [], []
    for batch, places in batches(regular_grid(experiment.datasets["test"]), 50):
        p = np.stack([one.predict(places, batch)[batch.valid].double().numpy() for one in models])
        errors.append((p - batch.target[batch.valid].double().numpy()) ** 2)
        spreads.append(p.var(axis=0, ddof=1))
        noise.append(batch.standard_error[batch.valid].double().numpy() ** 2)
    assert found.networks == 3
    assert found.mse == pytest.approx(np.concatenate(errors, axis=1).mean(), rel=1e-5)
    assert found.variance == pytest.approx(np.concatenate(spreads).mean(), rel=1e-5)
    assert found.noise == pytest.approx(np.concatenate(noise).mean(), rel=1e-6)
    assert found.bias_squared + found.variance + found.noise == pytest.approx(found.mse)
    assert found.reason == ""
    assert scores(found.ensemble_sums).rmse ** 2 < found.mse


def test_bias_variance_and_noise_are_found_again() -> None:
    """Networks of a known bias and spread, on labels of known noise."""
    generator, pixels, networks = torch.Generator().manual_seed(0), 200_000, 3
    truth, noise = torch.randn(2, pixels, dtype=torch.float64, generator=generator)
    members = truth + 0.3 + 0.2 * torch.randn(networks, pixels, dtype=torch.float64, generator=generator)
    label, error = truth + 0.1 * noise, torch.full((1, pixels), 0.1, dtype=torch.float64)
    date, valid = torch.zeros(1, dtype=torch.int64), torch.ones(1, pixels, dtype=torch.bool)
    sums = pixel_sums(members.mean(0)[None], label[None], valid, error, label[None] + 0.1, date, groups=1, bins=1)
    found = split_error(networks, sums, members.var(0).sum())
    assert found.bias_squared == pytest.approx(0.09, rel=0.01)
    assert found.variance == pytest.approx(0.04, rel=0.01)
    assert found.noise == pytest.approx(0.01)
    assert found.mse == pytest.approx(float(((members - label) ** 2).mean()))


def test_one_network_has_an_error_but_no_variance(networks: tuple[nn.Module, ...], experiment: Experiment) -> None:
    found = seed_split(networks[:1], regular_grid(experiment.datasets["test"]), 7)
    assert found.mse == pytest.approx(scores(found.ensemble_sums).rmse ** 2)
    assert math.isnan(found.variance)
    assert math.isnan(found.bias_squared)
    assert found.reason == "one seed"


def test_networks_that_were_trained_without_weather_get_none(
    networks: tuple[nn.Module, ...], experiment: Experiment
) -> None:
    test = regular_grid(experiment.datasets["test"])
    without, with_weather = (seed_split(networks, test, 50, control) for control in ("no_weather", "none"))
    assert without.mse != pytest.approx(with_weather.mse, rel=1e-3)


@pytest.mark.parametrize("threads", [1, 3, None])
def test_whoever_predicts_the_error_is_split_alike(
    found: SeedSplit,
    networks: tuple[nn.Module, ...],
    experiment: Experiment,
    threads: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlssm.evaluation.parts.PIXELS", 1)
    crew = Crew(Elsewhere(), Shipment(tmp_path)) if threads is None else Crew(Workers(threads), None)
    other = seed_split(networks, regular_grid(experiment.datasets["test"]), 7, crew=crew)
    assert torch.equal(other.ensemble_sums, found.ensemble_sums)
    assert (other.mse, other.bias_squared, other.variance) == (found.mse, found.bias_squared, found.variance)


def _shifted(evaluation: Evaluation, by: float) -> Evaluation:
    """The same evaluation, the R2 of all rows changed."""
    rows = [replace(row, scores=replace(row.scores, r2=row.scores.r2 + by)) for row in evaluation.rows]
    other = replace(evaluation)
    other.__dict__["rows"] = rows
    return other


def test_mean_and_spread_are_those_of_numpy(evaluation: Evaluation) -> None:
    shifts = (0.0, 0.3, 0.9)
    table = spread([_shifted(evaluation, by) for by in shifts]).set_index(["split", "distribution", "model"])
    assert len(table) == len(evaluation.rows)
    for row in evaluation.rows:
        found = table.loc[row.split, row.distribution, row.model]
        assert found["seeds"] == 3
        assert found["r2"] == pytest.approx(row.scores.r2 + np.mean(shifts))
        assert found["r2_sd"] == pytest.approx(np.std(shifts, ddof=1))
        assert found["rmse"] == pytest.approx(row.scores.rmse)
        assert found["rmse_sd"] == pytest.approx(0, abs=1e-12)


def test_one_seed_has_a_mean_without_spread(evaluation: Evaluation) -> None:
    table = spread([evaluation])
    assert table["r2_sd"].isna().all()
    assert set(table["reason"]) == {"one seed: no spread"}


def test_a_score_that_a_seed_lacks_has_no_mean(evaluation: Evaluation) -> None:
    table = spread([evaluation, _shifted(evaluation, math.nan)])
    assert table["r2"].isna().all()
    assert table["rmse"].notna().all()


def test_the_evaluations_of_seeds_are_scored_on_the_same_labels(
    evaluation: Evaluation, evaluate_again: Callable[..., Evaluation]
) -> None:
    other = evaluate_again("optimiser.batch_size=64", "seed=4")
    assert other.splits["test"].digest == evaluation.splits["test"].digest
    assert other.splits["val"].digest != evaluation.splits["test"].digest
    assert NETWORK in other.kinds
