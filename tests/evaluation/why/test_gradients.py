"""Integrated gradients: they add up to the change of the prediction, and of a linear network are weight times input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError
from mlssm.evaluation.evaluate import regular_grid
from mlssm.evaluation.stream import batches
from mlssm.evaluation.why import gradients
from mlssm.evaluation.why.attribution_maps import _spread, attribution_maps
from mlssm.evaluation.why.gradients import by_driver_and_day, check_captum, integrated_gradients

pytest.importorskip("captum", reason="captum is not installed")


@pytest.fixture
def linear(toys: Any) -> Any:
    draw = torch.Generator().manual_seed(0)
    return toys.Linear(0.1 * torch.randn(3, 3, generator=draw), 0.1 * torch.randn(3, generator=draw))


def test_of_a_linear_network_they_are_weight_times_input(linear: Any) -> None:
    dynamic, static = torch.randn(4, 3, 3, 5, 5), torch.randn(4, 3, 5, 5)
    found = integrated_gradients(linear, dynamic, static, static[:, :1], steps=8)
    torch.testing.assert_close(found.dynamic, dynamic * linear.dynamic[None, :, :, None, None] / 25)
    torch.testing.assert_close(found.static, static * linear.static[None, :, None, None] / 25)
    assert found.missing.abs().max() < 1e-6


def test_they_add_up_to_the_change_of_the_prediction(experiment: Experiment, network: nn.Module) -> None:
    (batch, _), *_ = batches(regular_grid(experiment.datasets["test"]), 4)
    found = integrated_gradients(network, batch.dynamic, batch.static, batch.target, steps=64)
    assert found.total.abs().max() > 0.01
    assert found.missing.abs().max() < 1e-3
    with torch.no_grad():
        one, none = (
            network(*values).middle(batch.target).mean.flatten(1).mean(1)
            for values in ((batch.dynamic, batch.static), (0 * batch.dynamic, 0 * batch.static))
        )
    torch.testing.assert_close(found.total, one - none)


def test_the_closed_form_accounts_for_the_untrained_response(train_config: Any) -> None:
    config = train_config("model=response", "model.hidden=[4]")
    static = ("base", "mean_ssm", "slope")
    channels = FeatureSpec(("precipitation", "wind"), static, (0.0, 0.0, 0.4, 0.3, 5.0), (1.0, 1.0, 0.2, 0.1, 2.0))
    network = config.model.build(channels, spread=False)
    dynamic, land = torch.randn(2, 5, 2, 6, 6), torch.randn(2, 3, 6, 6)
    found = integrated_gradients(network, dynamic, land, land[:, :1], steps=16)
    torch.testing.assert_close(found.static[:, 0], 0.2 * land[:, 0] / 36)
    assert found.static[:, 1:].abs().max() == 0
    assert found.dynamic.abs().max() == 0


def test_days_count_back_from_the_last_and_sums_are_over_pixels(toys: Any, linear: Any) -> None:
    weather = np.ones((2, 3, 3), np.float32)
    toy: Any = toys.ToyPatches(linear, weather, np.full((2, 3), 2, np.float32))
    found = by_driver_and_day(linear, toy, toys.SPEC, 3, 8).set_index(["inputs", "days_before"])["mean"]
    for step in range(3):
        assert found["precipitation", 2 - step] == pytest.approx(float(linear.dynamic[step, 0]), abs=1e-6)
        assert found["wind", 2 - step] == pytest.approx(float(linear.dynamic[step, 1:].sum()), abs=1e-6)
    fixed = by_driver_and_day(linear, toy, toys.SPEC, 3, 8)
    whole = fixed[fixed["days_before"].isna()].set_index("inputs")["mean"]
    assert whole["terrain"] == pytest.approx(2 * float(linear.static[:2].sum()), abs=1e-6)
    assert whole["ndvi"] == pytest.approx(2 * float(linear.static[2]), abs=1e-6)


def test_maps_add_up_to_the_change_of_the_whole_map(experiment: Experiment, network: nn.Module) -> None:
    time = int(experiment.datasets["test"].times[0])
    found = attribution_maps(experiment, network, time, 48)
    pixels = next(iter(found.maps.values())).size
    assert sum(part.sum() for part in found.maps.values()) == pytest.approx(found.total, abs=1e-3 * pixels)
    assert {"precipitation", "terrain"} <= found.maps.keys()
    assert found.pixel_m == 90


def test_cells_share_their_value_among_their_pixels() -> None:
    cells = torch.tensor([[4.0, 8.0]], dtype=torch.float64)
    found = _spread(cells, torch.zeros(2, 4))
    assert found.tolist() == [[1, 1, 2, 2]] * 2
    assert _spread(cells, torch.zeros(3, 5)).sum() == pytest.approx(12)


def test_without_captum_it_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    check_captum()
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(ConfigError, match=r"evaluation.why.gradients=true needs captum.*pip install 'mlssm\[why\]'"):
        check_captum()
    assert "captum" not in vars(gradients), "imported where it is used"
