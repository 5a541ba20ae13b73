import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from mlssm.evaluation.figures import seeds, skill_bars
from mlssm.evaluation.figures.style import interval_arms, room

NAN = float("nan")


@pytest.fixture
def models() -> pd.DataFrame:
    rows = [("net", "network", 0.6, 0.5, 0.65, 0.8), ("no_weather", "control", 0.2, NAN, NAN, 0.8)]
    rows += [("mean", "baseline", -3.0, -4.0, -2.0, 0.8), ("ridge", "baseline", NAN, NAN, NAN, NAN)]
    return pd.DataFrame(rows, columns=["model", "kind", "r2", "r2_low", "r2_high", "r2_cap"])


def bars_of(axes: Axes) -> BarContainer:
    return next(box for box in axes.containers if isinstance(box, BarContainer))


def test_bars_have_their_scores_intervals_and_the_cap(models: pd.DataFrame) -> None:
    axes = skill_bars(models, "test").axes[0]
    bars = bars_of(axes)
    np.testing.assert_array_equal([bar.get_width() for bar in bars], models["r2"])
    assert [label.get_text() for label in axes.get_yticklabels()] == list(models["model"])
    assert [text.get_text() for text in axes.texts] == ["0.600", "0.200", "-3.000", "not defined"]
    spans = next(found for found in axes.collections if hasattr(found, "get_segments")).get_segments()
    np.testing.assert_allclose([[end[0] for end in span] for span in spans[:1]], [[0.5, 0.65]])
    assert axes.get_xlim()[0] == -1
    cap = [line.get_xdata() for line in axes.lines if line.get_label() == "cap"]
    assert cap == [[0.8, 0.8]]
    assert bars[0].get_facecolor() != bars[1].get_facecolor() != bars[2].get_facecolor()


def test_unknown_cap_and_intervals_are_left_out(models: pd.DataFrame) -> None:
    axes = skill_bars(models[["model", "kind", "r2"]], "test").axes[0]
    assert "cap" not in [line.get_label() for line in axes.lines]
    assert len(list(bars_of(axes))) == 4


def test_an_unknown_kind_is_refused(models: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"\['oracle'\] is not one of"):
        skill_bars(models.assign(kind="oracle"), "test")


def test_arms_reach_to_the_interval_and_never_inwards() -> None:
    frame = pd.DataFrame({"r2": [0.5, 0.5, 0.5], "r2_low": [0.4, 0.55, NAN], "r2_high": [0.7, 0.6, 0.6]})
    np.testing.assert_allclose(interval_arms(frame, "r2"), [[0.1, 0.0, NAN], [0.2, 0.1, 0.1]])
    assert np.isnan(interval_arms(frame[["r2"]], "r2")).all()


def test_room_holds_zero_and_all_values() -> None:
    assert room([0.2, NAN, 0.5]) == pytest.approx((0, 0.56))
    assert room([-1.0, 0.0]) == pytest.approx((-1.12, 0.12))
    assert room([NAN]) == pytest.approx((0, 1.12))
    assert room([0.0]) == pytest.approx((0, 0.12))


def test_seeds_show_mean_and_sample_standard_deviation() -> None:
    frame = pd.DataFrame({"seed": [0, 1, 2], "r2": [0.6, 0.7, NAN], "rmse": [0.1, 0.2, 0.3]})
    left, right = seeds(frame, "test").axes
    assert left.get_title() == "mean 0.650, sd 0.071 of 2 seeds"
    assert right.get_title() == "mean 0.200, sd 0.100 of 3 seeds"
    assert right.lines[0].get_ydata() == pytest.approx([0.2, 0.2])
    band = right.patches[0].get_window_extent().transformed(right.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((0.1, 0.3))
    points = np.ma.getdata(right.collections[0].get_offsets())
    np.testing.assert_allclose(points, [[0, 0.1], [1, 0.2], [2, 0.3]])


def test_one_seed_has_no_spread() -> None:
    left, _ = seeds(pd.DataFrame({"seed": [0], "r2": [0.6], "rmse": [0.1]}), "test").axes
    assert left.get_title() == "mean 0.600, one seed: no spread"
    assert not left.patches
