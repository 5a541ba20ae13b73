"""The closed form on real input, each season held out in turn, against the figures that it was found with."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mlssm.patches.dates import seasons as seasons_of
from mlssm.response.extents import Backscatter
from mlssm.response.fitted import Dates
from mlssm.retrieval.fit import fit_extents
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import load_stack

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "response.py"
# R2 of the forecast and of the nowcast by metres, as found before
FOUND = {
    0: {"yardstick": (0.167, 0.282)},
    150: {"yardstick": (0.442, 0.518), "published base": (0.447, 0.521), "base + correction": (0.450, 0.529)},
    300: {"yardstick": (0.536, 0.591), "published base": (0.543, 0.596), "base + correction": (0.547, 0.602)},
}
RMSE = {0: (0.300, 0.278), 150: (0.243, 0.226), 300: (0.219, 0.206)}  # of the yardstick


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("response_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("metres", FOUND)
def test_the_table_comes_out(script: ModuleType, santa_barbara: Any, metres: int) -> None:
    cube = santa_barbara.cube
    extents = script.block_extents(cube, metres, script.STATION)
    dates = Dates(cube.local_days, seasons_of(cube.local_days, 9))
    for name, expected in FOUND[metres].items():
        scores = script.held_out(extents, dates, script.MODELS[name])
        assert [scores["forecast"].r2, scores["nowcast"].r2] == pytest.approx(expected, abs=0.0012), name
        if name == "yardstick":
            assert [scores["forecast"].rmse, scores["nowcast"].rmse] == pytest.approx(RMSE[metres], abs=0.001)


@pytest.mark.parametrize("input_name", ["santa_barbara", "watershed"])
def test_labels_as_a_function_of_dates_are_the_retrievals(input_name: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(input_name)
    config = found.config("retrieval.multilook_m=150").retrieval
    stack = load_stack(found.cube, config)
    masked = np.zeros(stack.working.extents[0].shape, bool)
    masked[0, 0] = True
    masks = DateMasks({(0, 1): masked}, tuple(extent.shape for extent in stack.working.extents))
    training = np.arange(len(found.cube.times)) % 3 > 0
    retrieval = fit_extents(found.cube, stack, config, training, masks)
    everything, times = (slice(None), slice(None)), np.arange(len(training))
    source = Backscatter.of(found.cube, stack, masks, config)
    for number, retrieve in enumerate(source.retrievals()):
        made = retrieve(training)
        sigma = stack.extents[number].backscatter(times, *everything)
        sigma[masks.of(number, times, *everything)] = np.nan
        labels, _ = retrieval[number].retrieve(sigma, found.cube.orbits, *everything)
        assert np.array_equal(made.ssm.astype(np.float32), labels, equal_nan=True)
        usable = np.isfinite(labels[training]).any(axis=0)
        assert np.array_equal(np.isfinite(made.level), usable)
        assert (made.span[usable] >= config.min_sensitivity_db).all()
    assert source.cross is not None
    assert np.isnan(source.retrievals()[0](training).of(np.array([1]))[0, 0, 0])


def test_level_spread_and_ratio_are_those_of_the_training_dates(santa_barbara: Any) -> None:
    config = santa_barbara.config("retrieval.multilook_m=150").retrieval
    stack = load_stack(santa_barbara.cube, config)
    source = Backscatter.of(
        santa_barbara.cube, stack, DateMasks({}, tuple(a.shape for a in stack.working.extents)), config
    )
    training = np.arange(22) < 17
    made = source.retrievals()[0](training)
    assert source.cross is not None
    sigma, cross = (
        part.extents[0].backscatter(slice(None), slice(None), slice(None)) for part in (stack, source.cross)
    )
    known = np.isfinite(made.level)
    assert np.allclose(made.level[known], sigma[training].mean(axis=0, dtype=float)[known])
    assert np.allclose(made.spread[known], sigma[training].std(axis=0, dtype=float)[known])
    assert made.ratio is not None
    assert np.allclose(made.ratio[known], (cross - sigma)[training].mean(axis=0, dtype=float)[known], atol=1e-5)
