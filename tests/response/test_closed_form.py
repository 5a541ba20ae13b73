"""The closed form as a whole: what it may know, what it recovers, and what it refuses."""

import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils._pytree

from mlssm.config import DaskConfig
from mlssm.errors import DataError, SplitError
from mlssm.response.bank import Driven
from mlssm.response.closed_form import ClosedForm
from mlssm.response.extent_form import ExtentForm
from mlssm.response.fitted import Extent, Settings
from mlssm.response.weighing import Weighing
from mlssm.retrieval import bands
from mlssm.workers import open_workers


def numbers(value: Any) -> Iterator[np.ndarray]:
    """All arrays and numbers of a dataclass, in order."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, dict):
        for key, item in sorted(value.items()):
            yield from numbers(key)
            yield from numbers(item)
    elif value is not None and not callable(value):
        yield np.asarray(value)


def same(left: Any, right: Any) -> bool:
    pairs = list(zip(numbers(left), numbers(right), strict=True))
    equal = [a == b if a.dtype.kind == "U" else np.array_equal(a, b, equal_nan=True) for a, b in pairs]
    return len(pairs) >= 4 and all(equal)


def test_labels_of_the_held_out_season_move_nothing_that_is_fitted(made_up: Any) -> None:
    extent = made_up()
    test = extent.seasons == 2022
    changed = extent.with_sigma(test, 4.0)
    before, after = (ClosedForm.fit([each.extent], each.dates, ~test, Settings()) for each in (extent, changed))
    assert same(before.extents, after.extents)
    assert before.inner.phi == after.inner.phi
    assert same(before.inner.own_share, after.inner.own_share)
    assert same(before.memory(0), after.memory(0))
    assert np.array_equal(before.forecasts(0), after.forecasts(0))
    assert not np.array_equal(before.labels(0)[test], after.labels(0)[test])
    # and those of a training season do
    moved = extent.with_sigma(extent.seasons == 2021, 4.0)
    assert not same(before.extents, ClosedForm.fit([moved.extent], moved.dates, ~test, Settings()).extents)


def test_a_training_seasons_labels_move_none_of_what_forecasts_it(made_up: Any) -> None:
    extent, settings = made_up(), Settings(own_shares=(0.4,), penalties=())
    training = extent.seasons < 2023
    season = extent.seasons == 2021
    changed = extent.with_sigma(season, 4.0)
    before, after = (ClosedForm.fit([each.extent], each.dates, training, settings) for each in (extent, changed))
    assert np.array_equal(before.forecasts(0)[season], after.forecasts(0)[season])
    assert np.array_equal(before.memory(0).of(2021), after.memory(0).of(2021))
    other = extent.seasons == 2020
    assert not np.array_equal(before.forecasts(0)[other], after.forecasts(0)[other])


def test_out_of_fold_forecasts_are_those_of_a_fit_without_the_season(made_up: Any) -> None:
    extent, settings = made_up(), Settings(own_shares=(0.4,), penalties=())
    training, season = extent.seasons < 2023, extent.seasons == 2020
    found = ClosedForm.fit([extent.extent], extent.dates, training, settings)
    without = ClosedForm.fit([extent.extent], extent.dates, training & ~season, settings)
    assert np.array_equal(found.forecasts(0)[season], without.forecasts(0)[season])
    assert np.array_equal(found.labels(0)[season], without.labels(0)[season])
    assert np.array_equal(found.memory(0).of(2020), without.memory(0).whole)


def test_earlier_images_tell_a_seasons_departure(made_up: Any) -> None:
    extent = made_up(dates=8)
    test = extent.seasons == 2023
    found = ClosedForm.fit([extent.extent], extent.dates, ~test, Settings())
    forecasts = found.forecasts(0)
    labels, nowcasts = found.labels(0)[test], found.nowcasts(0, forecasts)[test]
    assert found.inner.phi > 0.3
    error = np.abs(labels - forecasts[test]).mean(axis=(1, 2))
    better = error - np.abs(labels - nowcasts).mean(axis=(1, 2))
    assert better[0] == 0  # the season's first image
    assert better[1:].mean() > 0.02
    assert np.array_equal(found.nowcasts(0, forecasts, phi=0.0), np.clip(forecasts, 0, 1))


def test_without_noise_or_departures_the_response_is_recovered(made_up: Any) -> None:
    extent = made_up(dates=8)
    wet = np.tile([0.0, 3.0, 1.0, 3.0, 0.0, 2.0, 3.0, 0.0], 4)[:, None, None]  # extremes so often that none is clipped
    sigma = np.linspace(-14, -10, 30).reshape(6, 5) + np.linspace(1, 2, 5) * wet
    clean = dataclasses.replace(extent, sigma=sigma, driver=wet)
    test = extent.seasons == 2023
    found = ClosedForm.fit([clean.extent], clean.dates, ~test, Settings(penalties=()))
    assert np.allclose(found.forecasts(0), np.broadcast_to(wet / 3, sigma.shape))
    assert np.allclose(found.labels(0), wet / 3)


def test_an_extent_without_labels_is_forecast_as_the_mean_extent(made_up: Any) -> None:
    extent = made_up()
    unknown = dataclasses.replace(extent, sigma=np.full_like(extent.sigma, np.nan))
    test = extent.seasons == 2023
    found = ClosedForm.fit([extent.extent, unknown.extent], extent.dates, ~test, Settings())
    alone = ClosedForm.fit([extent.extent], extent.dates, ~test, Settings())
    assert np.allclose(found.forecasts(0), alone.forecasts(0))
    mean = found.population
    expected = np.clip(mean.mean + mean.slope * (extent.driver - mean.centre), 0, 1)
    assert np.allclose(found.forecasts(1)[test], expected[test])
    assert np.isnan(found.memory(1).of(2020)).all()


def test_one_training_season_is_too_few_to_choose_by(made_up: Any) -> None:
    extent = made_up()
    with pytest.raises(SplitError, match="need 2 training seasons, and there is 1"):
        ClosedForm.fit([extent.extent], extent.dates, extent.seasons == 2020, Settings())


def test_without_any_label_there_is_nothing_to_choose_by(made_up: Any) -> None:
    extent = made_up()
    unknown = Extent(
        dataclasses.replace(extent, sigma=np.full_like(extent.sigma, np.nan)).retrieve, extent.extent.driven, 150
    )
    with pytest.raises(DataError, match="fewer than two training seasons have labels"):
        ClosedForm.fit([unknown], extent.dates, extent.seasons < 2023, Settings())


def test_one_season_with_labels_is_too_few_to_choose_by(made_up: Any) -> None:
    extent = made_up()
    masked = dataclasses.replace(extent, sigma=np.where((extent.seasons == 2021)[:, None, None], extent.sigma, np.nan))

    def retrieve(training: np.ndarray) -> Any:  # references of all dates, so that the season is labelled throughout
        found = extent.retrieve(training)
        return dataclasses.replace(found, relative=np.where(np.isfinite(masked.sigma), found.relative, np.nan))

    with pytest.raises(DataError, match="fewer than two training seasons have labels"):
        ClosedForm.fit([Extent(retrieve, extent.extent.driven, 150)], extent.dates, extent.seasons < 2022, Settings())


def test_where_one_season_alone_can_be_held_out_the_base_stands_without_correction(made_up: Any, caplog: Any) -> None:
    """References of 2021 alone mask all pixels, as few dates do, so that 2020 has no label when it is held out."""
    extent = made_up()

    def retrieve(training: np.ndarray) -> Any:
        found = extent.retrieve(training)
        alone = set(extent.seasons[training]) == {2021}
        return dataclasses.replace(found, relative=np.full_like(found.relative, np.nan)) if alone else found

    few = Extent(retrieve, extent.extent.driven, 150)
    training = extent.seasons < 2022
    found = ClosedForm.fit([few], extent.dates, training, Settings())
    assert "one training season alone has labels when it is held out: no correction" in caplog.text
    assert found.inner.penalty is None
    plain = ClosedForm.fit([few], extent.dates, training, Settings(penalties=()))
    np.testing.assert_array_equal(found.forecasts(0), plain.forecasts(0))
    assert np.isfinite(found.forecasts(0)[~training]).all()


def test_the_choice_is_the_candidate_with_the_least_error(made_up: Any) -> None:
    extent = made_up()
    found = ClosedForm.fit([extent.extent], extent.dates, extent.seasons < 2023, Settings())
    for choice in (found.inner.own_share, found.inner.penalty):
        assert choice is not None
        assert choice.errors[choice.value] == min(choice.errors.values())
    share = found.inner.own_share
    only = ClosedForm.fit([extent.extent], extent.dates, extent.seasons < 2023, Settings(own_shares=(share.value,)))
    assert only.inner.own_share.errors[share.value] == pytest.approx(share.errors[share.value])


@pytest.mark.parametrize("penalties", [(), (0.5, 4.0)])
def test_a_form_is_restored_from_what_a_bundle_keeps(made_up: Any, penalties: tuple[float, ...]) -> None:
    extent = made_up()
    found = ClosedForm.fit([extent.extent], extent.dates, extent.seasons < 2023, Settings(penalties=penalties)).extents[
        0
    ]
    tensors = torch.utils._pytree.tree_map_only(np.ndarray, torch.from_numpy, found.state())
    torch.save(tensors, buffer := io.BytesIO())
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=True)
    arrays = torch.utils._pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.numpy(), loaded)
    again = ExtentForm.restored(arrays)
    assert same(found, again)
    assert np.array_equal(found.forecast(extent.driver[-1]), again.forecast(extent.driver[-1]))


def test_bands_that_are_fitted_side_by_side_come_to_the_same(made_up: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "VALUES", 1)
    extent = made_up(12)
    training, random = extent.seasons < 2023, np.random.default_rng(1)
    maps = {name: random.gamma(1, 1, (len(training), 6, 5)) for name in ("first", "second")}
    several = dataclasses.replace(extent.extent, driven=Driven(maps["first"]))

    def fitted() -> tuple[ClosedForm, Any]:
        form = ClosedForm.fit([several], extent.dates, training, Settings())
        weighing = Weighing.of(
            extent.retrieve, {name: lambda own=own: own for name, own in maps.items()}, training, extent.seasons
        )
        return form, weighing.bank(2021)

    alone, its_bank = fitted()
    with open_workers(DaskConfig(workers=3)):
        form, bank = fitted()
        memory = form.memory(0)
    assert same(alone.extents, form.extents)
    assert same(alone.inner.own_share, form.inner.own_share)
    assert same(alone.memory(0), memory)
    assert np.array_equal(alone.forecasts(0), form.forecasts(0))
    assert np.array_equal(its_bank.weights, bank.weights)
