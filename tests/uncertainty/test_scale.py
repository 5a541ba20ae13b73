from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from mlssm.uncertainty.held_out import HeldOutMap, Sample
from mlssm.uncertainty.quantiles import weighted_quantiles
from mlssm.uncertainty.scale import Scale

Maps = Callable[..., list[HeldOutMap]]


def test_each_date_weighs_the_same_however_many_pixels_it_has(made_up: Maps) -> None:
    maps = made_up(3, 0)
    label = maps[1].label.copy()
    label[:, 1:] = np.nan
    sample = Sample.of([maps[0], replace(maps[1], label=label), maps[2]])
    assert sample.dates == 3
    assert np.bincount(sample.date, sample.weights) == pytest.approx([1 / 3] * 3)


def test_a_date_gives_no_more_pixels_than_are_asked(made_up: Maps) -> None:
    assert np.bincount(Sample.of(made_up(2, 0), most=50).date).tolist() == [50, 50]


def test_extents_of_one_time_are_one_date(made_up: Maps) -> None:
    (one,) = made_up(1, 0)
    assert Sample.of([one, replace(one, extent=1)]).dates == 1


def test_the_first_fit_is_that_of_scipys_nnls_on_all_rows(made_up: Maps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlssm.uncertainty.scale.REWEIGHTINGS", 0)
    sample = Sample.of(made_up(8, 1))
    m, squares, root = sample.mean, sample.residual**2, np.sqrt(sample.weights)
    terms = [np.ones_like(m), 4 * m * (1 - m), (3 / sample.span) ** 2, np.minimum(sample.leverage, 1)]
    expected, _ = nnls(np.column_stack(terms) * root[:, None], squares * root)
    found = Scale.fit(sample)
    own = found.deviation(m, sample.span, sample.leverage) ** 2
    variance = np.maximum(np.column_stack(terms) @ expected, 0.2 * sample.weights @ squares)
    assert own == pytest.approx(variance * (sample.weights @ (squares / variance)), rel=1e-6)


def test_known_variances_are_found(made_up: Maps) -> None:
    maps = made_up(300, 2, common=0.0, size=0.05)
    scale = Scale.fit(Sample.of(maps))
    for each in maps[:3]:
        true = 0.05 * np.sqrt(0.5 + 2 * each.mean * (1 - each.mean) + (3 / each.span) ** 2)
        inside = (each.mean > 0.25) & (each.mean < 0.75)  # where labels are not clipped
        assert scale.deviation(each.mean, each.span, each.leverage)[inside] == pytest.approx(true[inside], rel=0.1)


def test_scaled_residuals_have_a_mean_square_of_one(made_up: Maps) -> None:
    sample = Sample.of(made_up(8, 3))
    deviation = Scale.fit(sample).deviation(sample.mean, sample.span, sample.leverage)
    assert sample.weights @ (sample.residual / deviation) ** 2 == pytest.approx(1)


def test_a_networks_own_spread_counts_where_it_tells(made_up: Maps) -> None:
    rng = np.random.default_rng(4)
    maps = []
    for each in made_up(30, 4):
        spread = rng.uniform(0.02, 0.2, each.mean.shape).astype(np.float32)
        label = (each.mean + spread * rng.normal(size=spread.shape)).astype(np.float32)
        maps.append(replace(each, label=label, spread=spread))
    scale = Scale.fit(Sample.of(maps))
    told = np.array([0.1, 0.15, 0.2])  # smaller ones stand at the least variance
    found = scale.deviation(np.array(0.5), np.array(4.0), np.array(0.1), told)
    assert found == pytest.approx(told, rel=0.1)


def test_what_is_not_known_is_as_usual(made_up: Maps) -> None:
    scale = Scale.fit(Sample.of(made_up(8, 5)))
    half, missing, span = np.array(0.5), np.array(np.nan), np.array(3 / np.sqrt(scale.usual_span))
    usual = scale.deviation(half, missing, missing)
    assert usual == pytest.approx(scale.deviation(half, span, np.array(0.1)))


def test_without_any_error_there_is_no_scale(made_up: Maps) -> None:
    maps = [replace(each, label=each.mean) for each in made_up(5, 6)]
    with pytest.raises(ValueError, match="needs residuals"):
        Scale.fit(Sample.of(maps))


@given(st.integers(1, 40), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_weighted_quantiles_of_whole_weights_are_those_of_repeated_values(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, counts, levels = rng.normal(size=size), rng.integers(1, 5, size), np.array([0.05, 0.31, 0.5, 0.9, 1.0])
    expected = np.quantile(np.repeat(values, counts), levels, method="inverted_cdf")
    assert weighted_quantiles(values, counts.astype(float), levels) == pytest.approx(expected)
