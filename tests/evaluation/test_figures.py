import datetime as dt
import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from mlssm.evaluation.cartography import MASKED, SSM_COLOURS, bar_length, left_out
from mlssm.evaluation.figures import ExtentMaps, density, loss_curves, map_triplet
from mlssm.scores import AnyFloats
from mlssm.scores.epoch import EpochPoint
from mlssm.scores.histogram import DensityHistogram
from mlssm.scores.sums import Scores

NAN = float("nan")
DAY = dt.date(2023, 1, 1)
SCORES = Scores(n=1200, r2=0.412, rmse=0.21, mae=0.16, corr=0.7, bias=-0.01, r2_cap=NAN)


def _written(figure: Figure) -> str:
    """All text of a figure, once it has been drawn."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def _extents(count: int) -> list[ExtentMaps]:
    rng = np.random.default_rng(0)
    maps = rng.random((count, 2, 12, 10))
    maps[:, 0, :3] = np.nan
    return [ExtentMaps(f"extent {k}", retrieved, predicted, 30.0) for k, (retrieved, predicted) in enumerate(maps)]


def test_density_shows_shares_of_pixels_and_the_scores() -> None:
    histogram = DensityHistogram(4)
    histogram.add(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.1, 0.1, 0.1, 0.9]))
    figure = density(histogram, "ConvLSTM, test, natural", SCORES)
    mesh = figure.axes[0].collections[0]
    shares: AnyFloats = np.ma.filled(np.ma.asarray(mesh.get_array()), 0.0).reshape(4, 4)
    expected = np.array([[0.5, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0.25, 0, 0, 0.25]])
    np.testing.assert_allclose(shares / 16, expected)
    written = _written(figure)
    for part in ("ConvLSTM, test, natural", "= 0.412", "cap = -", "n = 1,200", "1:1"):
        assert part in written


def test_density_of_one_filled_bin_has_a_scale() -> None:
    histogram = DensityHistogram(5)
    histogram.add(np.full(3, 0.5), np.full(3, 0.5))
    figure = density(histogram, "one", SCORES)
    assert "one" in _written(figure)
    low, high = figure.axes[0].collections[0].get_clim()
    assert 0 < low < high


def test_density_of_nothing_says_so() -> None:
    assert "no labelled pixels" in _written(density(DensityHistogram(5), "none", SCORES))


def test_loss_curves_mark_the_best_epoch() -> None:
    history = [EpochPoint(0, 0.3, NAN), EpochPoint(1, 0.2, 0.25), EpochPoint(2, 0.1, 0.27)]
    figure = loss_curves(history)
    assert "best: 0.250, epoch 1" in _written(figure)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [0.3, 0.2, 0.1])


def test_loss_curves_without_validation_claim_no_best() -> None:
    assert "best" not in _written(loss_curves([EpochPoint(0, 0.3, NAN)]))


def test_loss_curves_of_no_epoch_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one epoch"):
        loss_curves([])


def test_map_triplet_draws_a_row_an_extent_with_one_scale_bar() -> None:
    extents = _extents(2)
    figure = map_triplet(extents, DAY)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 6
    drawn: AnyFloats = np.ma.filled(np.ma.asarray(maps[5].images[0].get_array()), np.nan)
    np.testing.assert_allclose(drawn, extents[1].predicted - extents[1].retrieved)
    assert [len(axes.findobj(AnchoredSizeBar)) for axes in maps] == [1, 0, 0, 1, 0, 0]
    assert maps[0].get_xlim() == pytest.approx((0, 0.3))
    written = _written(figure)
    assert "Soil moisture on 2023-01-01" in written
    assert "not shown" not in written


def test_map_triplet_says_what_it_leaves_out() -> None:
    figure = map_triplet(_extents(6), DAY)
    assert len([axes for axes in figure.axes if axes.images]) == 15
    assert "1 more extent not shown" in _written(figure)


def test_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        ExtentMaps("a", np.zeros((2, 2)), np.zeros((2, 3)), 30.0)
    with pytest.raises(ValueError, match="at least one extent"):
        map_triplet([], DAY)


def test_masked_pixels_are_grey_and_no_moisture_is() -> None:
    assert tuple(SSM_COLOURS(np.ma.masked)) == pytest.approx(to_rgba(MASKED))
    colours = SSM_COLOURS(np.linspace(0, 1, 256))[:, :3]
    assert np.abs(colours - np.array(to_rgba(MASKED)[:3])).max(axis=1).min() > 0.1


@pytest.mark.parametrize(("width", "length"), [(3.0, 1.0), (0.3, 0.1), (110.0, 20.0), (1.5, 0.5)])
def test_scale_bars_have_round_lengths(width: float, length: float) -> None:
    assert bar_length(width) == pytest.approx(length)


def test_left_out_counts_in_words() -> None:
    assert [left_out(n, 9) for n in (3, 9, 10, 12)] == [
        "",
        "",
        " (1 more extent not shown)",
        " (3 more extents not shown)",
    ]


def test_no_figure_needs_pyplot() -> None:
    code = "import sys, mlssm.evaluation.figures, mlssm.mapping.preview; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
