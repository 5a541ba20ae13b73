from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlssm.data.assemble import Experiment
from mlssm.errors import RunError
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.sums_file import SavedSums, compare_runs, load_sums, save_sums
from mlssm.scores.bootstrap import Resampling, difference, resample

NETWORK = "ConvLSTM"

RESAMPLING = Resampling(100, 0.95, 0)


@pytest.fixture(scope="module")
def saved(evaluation: Evaluation, experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> SavedSums:
    path = tmp_path_factory.mktemp("sums") / "sums.npz"
    save_sums(evaluation.splits["test"], experiment.cube.local_days, path)
    return load_sums(path)


def test_what_was_saved_is_read_back(saved: SavedSums, evaluation: Evaluation, experiment: Experiment) -> None:
    test = evaluation.splits["test"]
    assert saved.dates == tuple(str(experiment.cube.local_days[time]) for time in test.times)
    np.testing.assert_array_equal(saved.blocks, test.blocks)
    assert saved.digest == test.digest
    assert list(saved.sums) == list(test.sums)
    assert all(torch.equal(saved.sums[name], test.sums[name]) for name in test.sums)


def test_runs_are_compared_on_the_same_draws(saved: SavedSums) -> None:
    rain = replace(saved, sums={NETWORK: saved.sums["antecedent rain"]})
    found = compare_runs(saved, rain, RESAMPLING)
    drawn = (resample(saved.sums[name], RESAMPLING) for name in (NETWORK, "antecedent rain"))
    assert astuple(found) == astuple(difference(*drawn))
    assert found.rmse.low > 0, "the network was never trained"


def test_runs_on_other_labels_are_not_compared(saved: SavedSums) -> None:
    with pytest.raises(RunError, match="different test labels"):
        compare_runs(saved, replace(saved, digest="another"), RESAMPLING)
    with pytest.raises(RunError, match=r"different test labels \(\d+ and 1 dates\)"):
        compare_runs(saved, replace(saved, dates=saved.dates[:1]), RESAMPLING)


def test_a_model_that_a_run_lacks_is_named(saved: SavedSums) -> None:
    with pytest.raises(RunError, match="no model 'forest'; choose one of ConvLSTM, "):
        compare_runs(saved, saved, RESAMPLING, model="forest")


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path, saved: SavedSums) -> None:
    path = tmp_path / "sums.npz"
    with pytest.raises(RunError, match=r"sums\.npz does not hold the sums"):
        load_sums(path)
    path.write_text("no archive")
    with pytest.raises(RunError, match="does not hold the sums"):
        load_sums(path)
    np.savez_compressed(path, dates=np.array(["2020-01-01"]))
    with pytest.raises(RunError, match="does not hold the sums"):
        load_sums(path)
