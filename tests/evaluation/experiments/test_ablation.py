"""The ablation's table on sums whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlssm.config import TrainConfig
from mlssm.errors import ConfigError, RunError
from mlssm.evaluation.experiments.ablation import WHOLE, Ablated, ablation, ablation_table
from mlssm.evaluation.experiments.differences import Scored
from mlssm.evaluation.sums_file import SavedSums
from mlssm.scores.sums import pixel_sums

DATES, PIXELS = 8, 120


def _run(without: str, error: float, *, digest: str = "same", noise: float = 0.0) -> Ablated:
    draw = np.random.default_rng(0)
    y = torch.from_numpy(draw.random((1, DATES * PIXELS)))
    side = torch.ones_like(y)
    side[:, ::2] = -1
    size = torch.from_numpy(np.repeat(1 + noise * draw.standard_normal(DATES), PIXELS))[None]
    cell = torch.arange(4 * DATES).repeat_interleave(PIXELS // 4)[None]
    valid = torch.ones_like(y, dtype=torch.bool)
    sums = pixel_sums(y + error * side * size, y, valid, 0.1 * y, 0.9 * y, cell, groups=4 * DATES, bins=5)
    dates = tuple(f"2020-01-0{day + 1}" for day in range(DATES))
    saved = SavedSums(dates, np.zeros(4, np.int64), {"net": sums.reshape(DATES, 4, 5, -1)}, digest)
    return Ablated(without, Scored(f"run {without}", f"id {without}", error, saved, 200, 0.95))


def test_each_is_compared_with_all_inputs_even_where_another_is_better_on_validation() -> None:
    table = ablation_table([_run("wind", 0.09), _run("", 0.10), _run("precipitation", 0.15)])
    assert table["without"].tolist() == [WHOLE, "precipitation", "wind"]
    assert table["rmse_difference"].iloc[1:].tolist() == pytest.approx([0.05, -0.01])
    assert table["difference_low"].iloc[1:].tolist() == pytest.approx([0.05, -0.01])
    assert table["differs"].tolist() == ["", f"RMSE higher than {WHOLE}", f"RMSE lower than {WHOLE}"]
    assert table["run_id"].iloc[0] == "id "


def test_the_summary_names_what_is_missed_what_harms_and_what_is_not_shown_to_matter() -> None:
    runs = [_run("", 0.10), _run("precipitation", 0.15), _run("wind", 0.09), _run("soil", 0.10, noise=0.3)]
    found = ablation(runs, ["Run x is FAILED, see its error.txt."])
    missed, harmful = "Missed when left out: precipitation (RMSE +0.050, ", "Better without: wind (RMSE -0.010, "
    assert found.summary.startswith(missed)
    assert harmful in found.summary
    assert "Not shown to matter: soil (" in found.summary
    assert found.summary.endswith("Run x is FAILED, see its error.txt.")
    assert [table.stem for table in found.tables] == ["ablation"]
    (axes,) = found.figures[0].figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["precipitation", "soil", "wind"]


def test_without_the_whole_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(RunError, match="all inputs"):
        ablation([_run("wind", 0.1)])


def test_other_test_labels_have_no_paired_difference() -> None:
    found = ablation([_run("", 0.1), _run("wind", 0.2, digest="other")])
    assert found.summary == "No training without some of its inputs can be compared with the one that has all."


def test_what_is_left_out_leaves_both_lists(train_config) -> None:
    config: TrainConfig = train_config("features.without=[precipitation,slope]")
    assert "precipitation" not in config.features.dynamic
    assert config.features.static == ("elevation", "soil", "ndvi")
    again = TrainConfig.model_fields["features"].annotation.model_validate(config.features.model_dump())
    assert again == config.features


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("[rain]", "precipitation"),
        ("[precipitation,evapotranspiration,temperature,vapour_pressure,wind]", "features.dynamic"),
    ],
)
def test_what_cannot_be_left_out_is_refused(train_config, given: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        train_config(f"features.without={given}")
