from typing import Any

import numpy as np
import pytest
import zarr

from mlssm.data.assemble import Experiment
from mlssm.evaluation.baselines import BASELINE_NAMES, fit_baselines
from mlssm.evaluation.baselines.truth import TrueMoisture, Truth


@pytest.fixture(scope="module")
def moisture(experiment: Experiment, watershed: Any) -> TrueMoisture:
    found = TrueMoisture.of(experiment, watershed.root)
    assert found is not None
    return found


def test_the_truth_is_that_of_the_simulation(moisture: TrueMoisture, watershed: Any) -> None:
    """Averaged over blocks; the images are in the order of time."""
    factor = moisture.retrieval.stack.working.factor
    whole = zarr.open_group(watershed.root / "truth.zarr", mode="r")["ssm"]
    for time in (0, 7, 11):
        height, width = (side // factor for side in whole.shape[1:])
        blocks = np.asarray(whole[time], float)[: height * factor, : width * factor]
        blocks = blocks.reshape(height, factor, width, factor)
        soil = np.isfinite(blocks).mean(axis=(1, 3)) >= 0.5
        found = moisture.at(0, time)[:height, :width]
        mean = np.nansum(blocks, axis=(1, 3)) / np.maximum(np.isfinite(blocks).sum(axis=(1, 3)), 1)
        np.testing.assert_allclose(found[soil], mean[soil], rtol=1e-5)
        assert np.isnan(found[~soil]).all()


def test_the_truth_explains_held_out_labels_better_than_any_baseline(
    experiment: Experiment, watershed: Any, batches: Any
) -> None:
    *baselines, truth = fit_baselines(experiment, experiment.datasets["train"], 3, truth_folder=watershed.root)
    assert tuple(model.name for model in baselines) == BASELINE_NAMES
    assert isinstance(truth, Truth)
    squares = dict.fromkeys((*BASELINE_NAMES, "truth"), 0.0)
    for places, batch in batches(experiment.datasets["test"], 64):
        for model in (*baselines, truth):
            found = model.predict(places, batch)[batch.valid]
            assert ((found >= 0) & (found <= 1)).all()
            squares[model.name] += float(((found - batch.target[batch.valid]) ** 2).sum())
    best = min(squares[name] for name in BASELINE_NAMES)
    assert squares["truth"] < 0.7 * best


def test_where_no_truth_lies_beside_the_files_there_is_none(five_extents: Experiment, santa_barbara: Any) -> None:
    assert TrueMoisture.of(five_extents, santa_barbara.root) is None
    assert len(fit_baselines(five_extents, five_extents.datasets["train"], 0, truth_folder=santa_barbara.root)) == len(
        BASELINE_NAMES
    )
