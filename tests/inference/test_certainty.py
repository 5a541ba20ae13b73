"""Intervals of maps: those of the calibration, from a bundle, on the days and pixels that are mapped."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import nn

from mlssm.bundle.nested import pack, unpack
from mlssm.data.assemble import Experiment
from mlssm.errors import RunError
from mlssm.evaluation.held_out import middles, out_of_fold_maps, predicted_maps
from mlssm.inference.certainty import ExtentCertainty, Wanted
from mlssm.inference.extent import ExtentMap, map_whole
from mlssm.inference.flags import (
    FORECAST,
    FROZEN,
    MISSING,
    OUTSIDE,
    WATER,
    WEATHER_AHEAD,
    WEATHER_GAP,
    DayFlags,
    flags,
    forecast_days,
)
from mlssm.inference.likeness import feature_names
from mlssm.inference.prefit import fitted_state
from mlssm.jobs.calibrate import IN_TURN, OUT_OF_FOLD, VALIDATION, Certainty, calibrate, tally
from mlssm.patches.dates import seasons
from mlssm.uncertainty.applicability import Applicability

TOLD = ("model=response", "response.residual=none", "model.lag=2", "split.test=[2023]", "split.val=[2022]")
WANTED = Wanted(0.9, (0.6,))


@pytest.fixture(scope="module")
def watershed(watersheds: Callable[..., Any]) -> Any:
    return watersheds("datamodule.simulation.seasons=4")


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*TOLD)
    return found


@pytest.fixture(scope="module")
def network(watershed: Any, experiment: Experiment) -> nn.Module:
    """The closed form alone."""
    built: nn.Module = watershed.config(*TOLD).model.build(experiment.spec, spread=False)
    return built


@pytest.fixture(scope="module")
def certainty(watershed: Any, experiment: Experiment, network: nn.Module) -> Certainty:
    return calibrate(experiment, network, watershed.config(*TOLD), None)


@pytest.fixture(scope="module")
def state(experiment: Experiment, certainty: Certainty) -> Any:
    """What comes back from a bundle's two files."""
    text, tensors = pack({**fitted_state(experiment), **certainty.state()})
    return unpack(json.loads(json.dumps(text)), tensors)


@pytest.fixture(scope="module")
def convlstm(watershed: Any) -> tuple[Experiment, Any, nn.Module]:
    """A network without the closed form, not trained."""
    told = ("model.hidden=[2]", "model.lag=2", "split.test=[2023]", "split.val=[2022]")
    experiment, config = watershed.experiment(*told), watershed.config(*told)
    return experiment, config, config.model.build(experiment.spec, spread=False)


def test_the_closed_form_wastes_no_date(watershed: Any, experiment: Experiment, certainty: Certainty) -> None:
    """Training dates are predicted without their season, and it learns nothing from validation dates."""
    of_each = seasons(watershed.cube.local_days, 9)
    assert certainty.calibration.source == OUT_OF_FOLD
    assert certainty.calibration.seasons == (2020, 2021, 2022)
    assert certainty.calibration.dates == int(np.isin(of_each, (2020, 2021, 2022)).sum())
    assert certainty.source.endswith(OUT_OF_FOLD)


def test_training_dates_stand_beside_labels_that_do_not_know_their_season(
    watershed: Any, experiment: Experiment
) -> None:
    maps = {each.time: each for each in out_of_fold_maps(experiment)}
    times = np.flatnonzero(seasons(watershed.cube.local_days, 9) == 2021)
    assert set(times) <= set(maps)
    one = maps[int(times[0])]
    assert one.known.any()
    assert (one.leverage > 0).all()
    own = experiment.retrieval.labels(0, times[:1], slice(None), slice(None)).ssm[0]
    assert not np.allclose(own[one.known], one.label[one.known], atol=1e-3)
    held, whole = (experiment.prefit.maps[time][0]["span"] for time in (times[0], experiment.datasets["test"].times[0]))
    np.testing.assert_array_equal(one.span, held)
    assert not np.allclose(held[one.known], whole[one.known], atol=1e-3)


def test_a_trained_network_is_calibrated_on_what_it_had_not_seen(convlstm: Any) -> None:
    experiment, config, network = convlstm
    found = calibrate(experiment, network, config, None)
    assert found.calibration.source == VALIDATION
    assert found.calibration.seasons == (2022,)
    assert np.isnan([each.leverage for each in predicted_maps(experiment, network, "val", config)]).all()
    given = predicted_maps(experiment, network, "test", config)
    assert calibrate(experiment, network, config, given).calibration.source == IN_TURN


def test_too_few_dates_leave_a_model_without_intervals(
    watershed: Any, experiment: Experiment, network: nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    config = watershed.config(*TOLD)
    maps = predicted_maps(experiment, network, "val", config)[:3]
    with caplog.at_level(logging.WARNING):
        found = calibrate(experiment, network, config, maps)
    assert found.calibration is None
    assert "maps of this model will have no interval: 3 held-out dates have labels" in caplog.text
    assert tally(experiment, network, config, None) is None


def test_the_intervals_of_a_map_are_those_that_were_tallied(
    watershed: Any, experiment: Experiment, network: nn.Module, certainty: Certainty, state: Any
) -> None:
    """Patches that are scored and maps from a bundle come to the same ends, by ways of their own."""
    found, calibration = ExtentCertainty.restored(state, experiment.stack.working), certainty.calibration
    scored = predicted_maps(experiment, network, "test", watershed.config(*TOLD))
    for each in scored[:: max(1, len(scored) // 3)]:
        moment = experiment.moments[each.time]
        whole = map_whole(network, experiment.features, 0, moment, 32, 8)
        sure = found.of(whole, 0, moment, WANTED)
        low, high = calibration.interval(each.mean, calibration.deviation(each), 0.9)
        known = each.known
        np.testing.assert_allclose(sure.lower[known], low[known], atol=1e-5)
        np.testing.assert_allclose(sure.upper[known], high[known], atol=1e-5)
        inside = np.isfinite(whole.ssm)
        assert (sure.lower[inside] <= whole.ssm[inside]).mean() > 0.9
        assert np.isnan(sure.lower[~inside]).all()
        above = calibration.exceedance(each.mean, calibration.deviation(each), 0.6)
        np.testing.assert_allclose(sure.exceedance[0][known], above[known], atol=1e-4)
        careful = found.of(whole, 0, moment, replace(WANTED, conservative=True))
        wider = (careful.upper - careful.lower)[inside].mean()
        assert wider > 0.9 * (sure.upper - sure.lower)[inside].mean()


def test_a_bundle_of_before_maps_without_intervals_and_says_so(
    experiment: Experiment, state: Any, caplog: pytest.LogCaptureFixture
) -> None:
    earlier = {name: values for name, values in state.items() if name not in ("calibration", "applicability")}
    earlier["labelled"] = [{name: extent[name] for name in ("corner", "pixels")} for extent in state["labelled"]]
    for each in (earlier, None):
        caplog.clear()
        found = ExtentCertainty.restored(each, experiment.stack.working)
        assert (found.calibration, found.applicability) == (None, None)
        assert np.isnan(found.spans[0]).all()
        assert "keeps no calibration" in caplog.text
        ssm = np.zeros(experiment.field.places[0].shape, np.float32)
        assert found.of(ExtentMap(ssm, None, None), 0, next(iter(experiment.moments.values())), WANTED) is None


@pytest.mark.parametrize("name", ["calibration", "applicability"])
def test_a_calibration_that_is_not_whole_is_refused(experiment: Experiment, state: Any, name: str) -> None:
    with pytest.raises(RunError, match=f"the bundle's {name} is not whole"):
        ExtentCertainty.restored({**state, name: {"scale": {}}}, experiment.stack.working)


def test_dissimilarity_does_not_depend_on_tiles_and_marks_weather_that_never_was(
    experiment: Experiment, network: nn.Module, state: Any
) -> None:
    applicability = ExtentCertainty.restored(state, experiment.stack.working).applicability
    assert applicability is not None
    assert applicability.features == feature_names(experiment.spec)
    assert "base" not in applicability.features
    moment = experiment.moments[int(experiment.datasets["train"].times[0])]
    told = network, experiment.features, 0, moment
    whole = map_whole(*told, 64, 0, applicability=applicability).dissimilarity
    tiled = map_whole(*told, 16, 8, applicability=applicability).dissimilarity
    np.testing.assert_allclose(whole, tiled, atol=0.05)  # this model's weather is of cells of a tile
    known = np.isfinite(whole)
    assert (whole[known] > applicability.threshold).mean() < 0.3
    deluge = replace(moment, window=moment.window * 8 + 60)
    drowned = map_whole(network, experiment.features, 0, deluge, 64, 0, applicability=applicability).dissimilarity
    assert (drowned[known] > applicability.threshold).all()


def test_pixels_of_training_are_drawn_alike_from_all_dates(certainty: Certainty, experiment: Experiment) -> None:
    found: Applicability = certainty.applicability
    dates = len(experiment.datasets["train"].times)
    assert 0.5 * dates * (1000 // dates) < len(found.points) <= 1000


def test_flags_add_up() -> None:
    ssm = np.array([[0.2, 0.5, np.nan]], np.float32)
    masked = {WATER: np.array([[True, False, False]]), FROZEN: np.array([[True, False, False]])}
    said = {OUTSIDE: np.array([[False, True, False]])}
    found = flags(DayFlags(forecast=True, weather_gap=False), masked, ssm, said)
    assert found.tolist() == [[FORECAST + WATER + FROZEN, FORECAST + OUTSIDE, FORECAST + MISSING]]
    assert DayFlags(forecast=False, weather_gap=True).bits == WEATHER_GAP
    assert DayFlags(forecast=False, weather_gap=False, weather_ahead=True).bits == WEATHER_AHEAD


def test_days_of_a_window_that_are_forecast_are_counted() -> None:
    days = np.datetime64("2023-01-01") + np.arange(10)
    ahead = np.arange(10) >= 7  # from the 8th
    counts = [forecast_days(days, ahead, np.datetime64(f"2023-01-{day:02}"), 3) for day in (7, 8, 9, 10, 12)]
    assert counts == [0, 1, 2, 3, 1]


def test_of_large_extents_the_middle_is_kept(
    watershed: Any, experiment: Experiment, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = watershed.config(*TOLD)
    whole = predicted_maps(experiment, network, "test", config)
    monkeypatch.setattr("mlssm.evaluation.held_out.MOST_PIXELS", whole[0].mean.size * len(whole) // 4)
    middle = predicted_maps(experiment, network, "test", config)
    assert middles([(20, 30)], 10_000) != [(slice(0, 20), slice(0, 30))]
    height, width = whole[0].mean.shape
    rows, cols = slice(height // 4, height // 4 + height // 2), slice(width // 4, width // 4 + width // 2)
    for one, other in zip(whole, middle, strict=True):
        for name in ("mean", "label", "span", "leverage"):
            np.testing.assert_array_equal(getattr(one, name)[rows, cols], getattr(other, name))
    assert out_of_fold_maps(experiment)[0].mean.size < whole[0].mean.size


def test_a_network_under_a_control_is_calibrated_under_it(convlstm: Any) -> None:
    experiment, config, network = convlstm
    blind = config.model_copy(update={"control": "no_weather"})
    seeing, blinded = (predicted_maps(experiment, network, "test", each)[0].mean for each in (config, blind))
    assert not np.allclose(seeing, blinded, equal_nan=True)


def test_a_spread_that_a_network_states_is_calibrated_with_the_rest(convlstm: Any) -> None:
    experiment, config, _ = convlstm
    network = config.model.build(experiment.spec, spread=True)
    certainty = calibrate(experiment, network, config, None)
    (each, *_) = predicted_maps(experiment, network, "test", config)
    moment, margin = experiment.moments[each.time], config.model.margin
    whole = map_whole(network, experiment.features, 0, moment, 64, 0, margin)
    middle = (slice(4, -4), slice(4, -4))  # at edges patches see less than the map
    known = each.known[middle]
    np.testing.assert_allclose(whole.spread[middle][known], each.spread[middle][known], rtol=0.2)
    found = ExtentCertainty(certainty.calibration, None, [each.span])
    sure = found.of(whole, 0, moment, WANTED)
    alone = found.of(replace(whole, spread=whole.spread * 3), 0, moment, WANTED)
    assert ((alone.upper - alone.lower)[middle] >= (sure.upper - sure.lower)[middle])[known].all()
