from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.config import DatamoduleConfig, PredictConfig, parse
from mlssm.errors import ConfigError, RunError
from mlssm.grid import Window
from mlssm.jobs.day_map import onto_grid
from mlssm.jobs.open_run import _area_config, _has_channel
from mlssm.retrieval.stack import load_stack


@pytest.mark.parametrize(
    ("extent", "expected"),
    [
        (Window(0, 0, 6, 4), Window(0, 0, 6, 4)),
        (Window(0, 0, 5, 3), Window(0, 0, 5, 3)),  # the last blocks reach past the extent
        (Window(1, 1, 5, 3), Window(1, 1, 5, 3)),  # and so do the first
        (Window(0, 0, 9, 9), Window(0, 0, 6, 4)),  # pixels without a block stay without a value
    ],
)
def test_each_block_stands_on_its_pixels_inside_the_extent(extent: Window, expected: Window) -> None:
    ssm = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, np.nan]], np.float32)
    window, values = onto_grid(ssm, Window(0, 0, 3, 2), 2, extent)
    assert window == expected
    assert values.dtype == np.float32
    assert values.shape == window.shape
    for row in range(window.height):
        for col in range(window.width):
            block = ssm[(window.row + row) // 2, (window.col + col) // 2]
            np.testing.assert_equal(values[row, col], block)


def test_blocks_are_counted_from_the_grids_corner() -> None:
    ssm = np.array([[0.7]], np.float32)
    window, values = onto_grid(ssm, Window(2, 5, 1, 1), 3, Window(5, 10, 20, 20))
    assert window == Window(6, 15, 3, 3)
    assert (values == np.float32(0.7)).all()


def test_single_pixels_stay_as_they_are() -> None:
    ssm = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    window, values = onto_grid(ssm, Window(10, 20, 4, 5), 1, Window(10, 20, 4, 5))
    assert window == Window(10, 20, 4, 5)
    np.testing.assert_array_equal(values, ssm)


@pytest.fixture
def told(composed, tmp_path, monkeypatch):
    """What predict is told, with more overrides, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *more: parse(PredictConfig, composed("predict", "dates=2023-01-01", *more))


@pytest.fixture
def model(composed):
    """The area that a model names, with changes."""
    return lambda **changes: parse(DatamoduleConfig, composed("train")["datamodule"] | changes)


@pytest.mark.parametrize("place", ["/etc/cubes", "../elsewhere", "data/../../elsewhere"])
@pytest.mark.parametrize("key", ["cubes", "root"])
def test_a_model_does_not_choose_where_files_are_written(told, model, key: str, place: str) -> None:
    with pytest.raises(
        RunError, match=f"the model names datamodule.{key}={place}, which is not below the working"
    ) as found:
        _area_config(model(**{key: place}), told())
    assert str(found.value).endswith(f"give {key}={place}")


def test_the_users_own_word_counts_wherever_it_is(told, model, tmp_path: Path) -> None:
    (tmp_path / "area").mkdir()
    for name in ("dem", "soil", "ndvi"):
        (tmp_path / "area" / name).mkdir()
    found = _area_config(model(cubes="/etc/cubes", root="/etc"), told("root=area", "cubes=/big/cubes"))
    assert (found.root, found.cubes, found.simulation) == (Path("area"), Path("/big/cubes"), None)


def test_what_lies_below_the_working_directory_is_the_models_as_before(told, model, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("/var")  # the user's own link to a large disk
    assert _area_config(model(), told()) == model()
    with pytest.raises(ConfigError, match="a forecast has no 'forecast' of its own"):
        told("forecast={folder: coming, forecast: later}")
    with_forecast = _area_config(model(), told("forecast=coming"))
    assert with_forecast.weather.forecast is not None
    assert with_forecast.weather.forecast.folder == "coming"
    assert with_forecast.weather.model_copy(update={"forecast": None}) == model().weather
    assert _area_config(model(cubes=str(tmp_path / "cubes")), told()).cubes == tmp_path / "cubes"
    real = model(name="opera_rtc", simulation=None, root="/areas/one")
    assert _area_config(real, told()).root == Path("/areas/one"), "files are only read there"


def test_earlier_images_that_lack_a_part_of_the_models_channel_are_refused(watershed: Any, caplog: Any) -> None:
    stack = load_stack(watershed.cube, watershed.config().retrieval)
    mix = {"VV": 0.7, "VH": 0.3}
    for nowcast in (
        {"retrieval": [{}], "nowcast": True},
        {"retrieval": [{}]},
    ):  # earlier bundles kept them for it alone
        with pytest.raises(RunError, match=r"are of 0\.7 VV \+ 0\.3 VH, and the area's images have VV alone"):
            _has_channel(stack, mix, nowcast)
    assert not _has_channel(stack, mix, {"retrieval": [{}], "nowcast": False})
    assert "nothing is retrieved from them" in caplog.text
    assert _has_channel(stack, {"VV": 1.0}, {"retrieval": [{}], "nowcast": True})


def test_a_model_fetches_nothing(composed: Any, told: Any) -> None:
    """Its files are there; what is asked for and written is not for a model to choose."""
    plain = composed("train", "datamodule=stac", "area=[-77,38,-76,39]", "dates=2022-01-01/2022-02-01")["datamodule"]
    trained = parse(DatamoduleConfig, plain | {"root": "/somewhere/else"})
    for given in (told(), told("root=.")):
        found = _area_config(trained, given)
        assert (found.origin, found.area, found.dates) == (None, None, None)
