import io

import numpy as np
import pytest

from mlssm.evaluation.figures import ExtentCorrelation, temporal_correlation_map
from mlssm.scores import AnyFloats

NAN = float("nan")


def test_each_extent_is_drawn_and_all_pixels_are_counted() -> None:
    first, second = np.array([[0.52, NAN], [0.72, 0.92]]), np.array([[-0.48, 0.72, 0.82]])
    figure = temporal_correlation_map(
        [ExtentCorrelation("north", first, 30.0), ExtentCorrelation("south", second, 30.0)]
    )
    figure.savefig(io.BytesIO(), dpi=30)
    maps = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in maps] == ["north", "south"]
    drawn: AnyFloats = np.ma.filled(np.ma.asarray(maps[0].images[0].get_array()), NAN)
    np.testing.assert_array_equal(drawn, first)
    histogram = next(axes for axes in figure.axes if axes.get_ylabel() == "pixels")
    heights = {round(bar.get_x(), 2): bar.get_height() for bar in histogram.patches if bar.get_height()}
    assert heights == {-0.5: 1, 0.5: 1, 0.7: 2, 0.8: 1, 0.9: 1}
    assert histogram.lines[0].get_label() == "median 0.72 of 6 pixels"


def test_extents_beyond_the_fifth_are_counted_but_not_drawn() -> None:
    extents = [ExtentCorrelation(f"{k}", np.full((3, 9), 0.1 * k), 30.0) for k in range(7)]
    figure = temporal_correlation_map(extents)
    assert len([axes for axes in figure.axes if axes.images]) == 5
    histogram = next(axes for axes in figure.axes if axes.get_ylabel() == "pixels")
    assert sum(bar.get_height() for bar in histogram.patches) == 7 * 27


def test_no_correlation_at_all_is_said() -> None:
    figure = temporal_correlation_map([ExtentCorrelation("north", np.full((2, 2), NAN), 30.0)])
    assert "no pixel has a correlation" in [text.get_text() for axes in figure.axes for text in axes.texts]


def test_no_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one extent"):
        temporal_correlation_map([])
