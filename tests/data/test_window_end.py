"""The last day of the antecedent window: ours by the time of the pass, the paper's always the image's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.bundle import load
from mlssm.data.assemble import Experiment
from mlssm.weather.stations import VARIABLES

RAIN = VARIABLES.index("precipitation")


@pytest.mark.parametrize("end", ["acquisition", "image_day"])
def test_a_morning_pass_has_seen_its_own_day_in_the_papers_window_alone(watershed: Any, end: str) -> None:
    experiment: Experiment = watershed.experiment(f"model.window_end={end}", "model.lag=3")
    cube = experiment.cube
    morning = [int(time) for time in experiment.moments if cube.morning[time]]
    evening = [int(time) for time in experiment.moments if not cube.morning[time]]
    assert morning
    for time in (*morning[:3], *evening[:3]):
        own_day = not cube.morning[time] or end == "image_day"
        last = cube.local_days[time] - np.timedelta64(0 if own_day else 1, "D")
        assert experiment.ends[time] == last
        position = int((last - cube.weather.days[0]).astype(int))
        rain = cube.weather.values[position, :, RAIN]
        np.testing.assert_array_equal(experiment.moments[time].window[-1, :, RAIN], rain)


def test_the_papers_table_uses_the_papers_window_and_everything_else_ours(composed: Any) -> None:
    assert composed("train")["model"]["window_end"] == "acquisition"
    assert composed("train", "+experiment=paper_table")["model"]["window_end"] == "image_day"


def test_a_map_by_the_papers_window_includes_the_mapped_day() -> None:
    bundle, _ = load(Path(__file__).parents[1] / "bundle" / "format_2")
    assert bundle.window.end == "acquisition"  # what it meant that there was no choice
    morning = bundle.model_copy(update={"pass_is_evening": False})
    papers = morning.model_copy(update={"window": bundle.window.model_copy(update={"end": "image_day"})})
    assert not morning.knows_the_day
    assert papers.knows_the_day
