import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from mlssm.errors import DataError
from mlssm.evaluation.cartography import SSM_COLOURS
from mlssm.grid import Grid
from mlssm.mapping.preview import MapPanel, preview, write_preview

DAY = dt.date(2023, 1, 1)


def _panels(count: int, height: int = 12, width: int = 10) -> list[MapPanel]:
    rng = np.random.default_rng(0)
    grid = Grid("EPSG:32611", (244920.0, 3816660.0), 30.0, height, width)
    maps = rng.random((count, height, width)).astype(np.float32)
    maps[:, 0] = np.nan
    return [MapPanel(f"extent {number}", values, grid) for number, values in enumerate(maps)]


def _written(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_each_extent_is_a_panel_with_its_scale_bar(count: int) -> None:
    panels = _panels(count)
    figure = preview(panels, DAY, "Soil moisture")
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == count
    for axes, panel in zip(maps, panels, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), np.ma.masked_invalid(panel.values))
        assert axes.images[0].cmap == SSM_COLOURS
        assert axes.images[0].get_clim() == (0, 1)
        assert len(axes.findobj(AnchoredSizeBar)) == 1


def test_it_says_what_when_and_where() -> None:
    written = _written(preview(_panels(2, 100, 100), DAY, "Soil moisture, Santa Barbara"))
    for part in ("Soil moisture, Santa Barbara", "1 January 2023", "extent 1", "34.45° N, 119.76° W", "no data"):
        assert part in written
    assert "WGS 84 / UTM zone 11N, north up, 30 m pixels" in written
    assert "not shown" not in written


def test_nine_extents_are_shown_and_the_others_counted() -> None:
    figure = preview(_panels(11), DAY, "Soil moisture")
    assert len([axes for axes in figure.axes if axes.images]) == 9
    assert "2 more extents not shown" in _written(figure)


def test_the_picture_is_written_whole_and_has_the_maps_colours(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ssm_20230101.png"
    panel = _panels(1)[0]
    wet = MapPanel("wet", np.ones_like(panel.values), panel.grid)
    write_preview(path, [wet], DAY, "Soil moisture")
    pixels = imread(path)
    blue = np.abs(pixels[..., :3] - np.array(SSM_COLOURS(1.0)[:3])).max(axis=-1) < 0.01
    assert blue.mean() > 0.3
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("")
    with pytest.raises(DataError, match="choose another folder"):
        write_preview(tmp_path / "maps" / "map.png", _panels(1), DAY, "Soil moisture")


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one panel"):
        preview([], DAY, "Soil moisture")
    with pytest.raises(ValueError, match="are not on a grid"):
        MapPanel("a", np.zeros((2, 2)), _panels(1)[0].grid)


def test_what_training_never_knew_is_hatched_and_said(tmp_path: Path) -> None:
    plain, known = _panels(2)
    half = np.zeros(plain.grid.shape, bool)
    half[:, 5:] = True
    hatched = MapPanel("half", plain.values, plain.grid, half)
    figure = preview([hatched, known], DAY, "Soil moisture")
    first, second = (axes for axes in figure.axes if axes.images)
    (lines,) = first.findobj(ContourSet)
    assert lines.hatches == ["////"]
    (path,) = lines.get_paths()
    east, west = path.vertices[:, 0].max(), path.vertices[:, 0].min()
    assert west == pytest.approx(0.15)  # km: five pixels of 30 m
    assert east == pytest.approx(0.3)
    assert path.vertices[:, 1].max() == pytest.approx(0.36)
    assert first.get_xlim() == (0, pytest.approx(0.3))
    assert not second.findobj(ContourSet)
    assert "unknown to training" in _legend(figure)
    assert "unknown to training" not in _legend(preview([known], DAY, "Soil moisture"))
    whole = MapPanel("whole", plain.values, plain.grid, np.ones(plain.grid.shape, bool))
    write_preview(tmp_path / "hatched.png", [whole], DAY, "Soil moisture")
    write_preview(tmp_path / "plain.png", [plain], DAY, "Soil moisture")
    dark = [(imread(tmp_path / f"{name}.png")[..., :3].sum(axis=-1) < 0.6).mean() for name in ("hatched", "plain")]
    assert dark[0] > 1.5 * dark[1]
    with pytest.raises(ValueError, match="hatched"):
        MapPanel("odd", plain.values, plain.grid, half[1:])


def test_a_large_map_is_hatched_in_cells_that_end_where_it_ends() -> None:
    """Of 650 columns three are a cell; single pixels are no cell, and the last cell is two columns wide."""
    hatched = np.zeros((40, 650), bool)
    hatched[::7, ::7] = True
    hatched[:, 600:] = True
    grid = Grid(_panels(1)[0].grid.crs, (240000, 3816000), 10, *hatched.shape)
    figure = preview([MapPanel("large", np.full(hatched.shape, 0.5, np.float32), grid, hatched)], DAY, "Soil moisture")
    (lines,) = figure.findobj(ContourSet)
    (path,) = lines.get_paths()
    assert path.vertices.min(axis=0) == pytest.approx([6.0, 0])
    assert path.vertices.max(axis=0) == pytest.approx([6.5, 0.4])


def _legend(figure: Figure) -> str:
    return "\n".join(text.get_text() for legend in figure.legends for text in legend.get_texts())
