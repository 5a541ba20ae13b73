from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from mlssm.evaluation.labels.page import labels_figures, labels_page, summary_table
from mlssm.evaluation.labels.survey import (
    ExtentSurvey,
    Surveyor,
    correlation_over_time,
    date_level,
    most_frequent,
    reason_counts,
    reference_errors,
)
from mlssm.evaluation.page import render
from mlssm.retrieval.fit import fit_retrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.platforms import platform_offsets
from mlssm.retrieval.reasons import TITLES, Reason
from mlssm.retrieval.slopes import SlopeSummary
from mlssm.retrieval.stack import load_stack

NAN = np.nan


def test_the_references_errors_are_those_of_quantiles_of_a_normal_distribution() -> None:
    """sqrt(p (1 - p) / n) / density: 0.21 of a standard deviation for 100 dates at 5 and 95 %."""
    rng = np.random.default_rng(0)
    found = reference_errors(rng.normal(-12, 2, (100, 30, 30)), 5, 95, rng)
    wanted = 2 * np.sqrt(0.05 * 0.95 / 100) / norm.pdf(norm.ppf(0.05))
    for each in found:
        assert abs(each.mean() / wanted - 1) < 0.1
    missing = rng.normal(0, 1, (20, 1, 2))
    missing[:, 0, 0] = NAN
    assert np.isnan(reference_errors(missing, 5, 95, rng)[0]).tolist() == [[True, False]]


def test_the_correlation_over_time_is_numpys_on_the_dates_of_both() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 12, 1, 3))
    a[:2, 0, 1] = NAN
    b[:6, 0, 2] = NAN
    found = correlation_over_time(a, b)
    assert found[0, 0] == pytest.approx(np.corrcoef(a[:, 0, 0], b[:, 0, 0])[0, 1])
    assert found[0, 1] == pytest.approx(np.corrcoef(a[2:, 0, 1], b[2:, 0, 1])[0, 1])
    assert np.isnan(found[0, 2])  # six dates are too few


def test_reasons_are_counted_each_and_alone() -> None:
    flags = np.array([[[0, 4]], [[4 | 128, 128]], [[128, 0]], [[128, 0]]], np.uint16)
    table = reason_counts(flags).set_index("mask")
    assert table.loc[TITLES[Reason.WATER]].tolist() == [25, 12.5]
    assert table.loc[TITLES[Reason.FROZEN]].tolist() == [50, 37.5]
    assert table.loc["any", "percent"] == 62.5
    assert most_frequent(flags).tolist() == [[Reason.FROZEN, 0]]


def test_an_offset_between_satellites_is_found_within_its_error() -> None:
    """Two orbits of their own level, flown in turn; one satellite reads 0.4 dB higher."""
    rng = np.random.default_rng(2)
    orbits = np.tile([71, 137], 100)
    platforms = ["S1A" if number % 4 < 2 else "S1B" for number in range(200)]
    level = 0.4 * (np.array(platforms) == "S1B") + np.where(orbits == 71, -0.2, 0.3) + rng.normal(0, 0.8, 200)
    (found,) = platform_offsets(level, platforms, orbits)
    assert (found.platform, found.against, found.dates) == ("S1B", "S1A", 100)
    assert abs(found.error_db / (0.8 * np.sqrt(2 / 100)) - 1) < 0.1
    assert abs(found.offset_db - 0.4) < 2 * found.error_db
    # satellites that never fly the same orbit cannot be told from the orbits
    assert not platform_offsets(level, np.where(orbits == 71, "S1A", "S1B").tolist(), orbits)
    assert not platform_offsets(level, [""] * 200, orbits)


def test_a_dates_level_is_what_its_pixels_have_in_common() -> None:
    pixel = np.array([[-10.0, -14, -20]])
    change = np.array([0.5, -0.5, 1.0, -1.0])
    sigma = pixel + change[:, None, None]
    sigma[0, 0, 0] = NAN
    found = date_level(sigma, np.array([71, 71, 137, 137]))
    np.testing.assert_allclose(found[2:], [1, -1])
    np.testing.assert_allclose(found[0], 0.5)


@pytest.fixture(scope="module")
def survey(watershed: Any) -> ExtentSurvey:
    config = watershed.config("retrieval.multilook_m=90")
    stack = load_stack(watershed.cube, config.retrieval)
    shape = stack.extents[0].packed.shape[1:]
    training = np.ones(len(watershed.cube.times), bool)
    masks = DateMasks({(0, 3): np.full(shape, Reason.FROZEN, np.uint16)}, (shape,))
    retrieval = fit_retrieval(watershed.cube, stack, config.retrieval, training, masks)
    tracks = config.tracks.model_copy(update={"most_hours": 240.0})  # the simulated orbits are days apart
    return Surveyor(watershed.cube, retrieval, config.retrieval, tracks, training, 0).survey(0)


def test_an_extent_is_surveyed_as_its_labels_are(survey: ExtentSurvey, watershed: Any) -> None:
    assert [each.title for each in survey.references] == ["orbit 71", "orbit 137"]
    assert survey.pixel_m == 90
    assert np.nanmedian(survey.looks) == pytest.approx(90)
    frozen = survey.counts.set_index("mask").loc[TITLES[Reason.FROZEN], "percent"]
    assert frozen == pytest.approx(100 / len(watershed.cube.times))
    assert set(summary_table(survey)["references"]) == {"orbit 71", "orbit 137"}
    # wetness lasts for days, so that tracks agree, more so where they are sensitive
    assert survey.agreement["r"].max() > 0.3
    assert [*survey.correlation] == ["71 and 137"]


def test_the_page_shows_all_of_it(survey: ExtentSurvey) -> None:
    html = render(labels_page("somewhere", [survey], labels_figures([survey])))
    for text in ("Sensitivity and references", "Why pixels have no label", "What two tracks agree on", "frozen"):
        assert text in html
    alone = replace(survey, correlation={}, agreement=survey.agreement.head(0))
    assert "No two tracks" in render(labels_page("somewhere", [alone], labels_figures([alone])))


def test_several_extents_tell_one_offset_together(survey: ExtentSurvey, watershed: Any) -> None:
    """Each extent has half of the dates: all of them make the error smaller."""
    rng, count = np.random.default_rng(3), 80
    cube = SimpleNamespace(platforms=["S1A", "S1B"] * (count // 2), orbits=np.full(count, 71))
    level = 0.4 * (np.arange(count) % 2) + rng.normal(0, 0.5, count)
    first = np.arange(count) < count // 2
    surveys = [replace(survey, level=np.where(half, level, NAN)) for half in (first, ~first)]
    surveyor = Surveyor(cube, *[None] * 5)  # type: ignore[arg-type]
    assert surveyor.offsets(surveys) == platform_offsets(level, cube.platforms, cube.orbits)
    doubled = [replace(survey, level=level)] * 2
    assert surveyor.offsets(doubled) == surveyor.offsets(surveys)
    html = render(labels_page("somewhere", surveys, labels_figures(surveys), surveyor.offsets(surveys)))
    assert "all extents together" in html
    assert "all extents together" not in render(labels_page("somewhere", [survey], labels_figures([survey])))


def test_the_page_tells_the_slope_with_the_angle(survey: ExtentSurvey) -> None:
    assert survey.slope is None
    sloped = replace(survey, slope=SlopeSummary(-0.21, -0.15, -0.09, 0.03))
    html = render(labels_page("somewhere", [sloped], labels_figures([sloped])))
    assert "changes by -0.150 dB a degree of incidence" in html
