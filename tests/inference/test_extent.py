"""Maps of whole extents, on fields that are made up so that what must come out is known."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from mlssm.config import WeatherConfig
from mlssm.data.features import FeatureSource
from mlssm.data.layers import ExtentLayers
from mlssm.data.moment import Moment
from mlssm.data.spec import FeatureSpec
from mlssm.inference.extent import map_extent
from mlssm.models.convlstm import ConvLSTM
from mlssm.models.prediction import Prediction
from mlssm.weather.field import ExtentPixels, WeatherField
from mlssm.weather.stations import VARIABLES, StationWeather

HEIGHT, WIDTH, STEPS = 61, 50, 3
SPEC = FeatureSpec(("precipitation", "temperature"), ("slope",), (1.0, 10.0, 5.0), (1.0, 5.0, 3.0))


def _features(slope: npt.NDArray[np.float32], stations: int) -> FeatureSource:
    place = np.linspace(0, 5000, stations)
    values = np.random.default_rng(1).uniform(0, 20, (STEPS, stations, len(VARIABLES)))
    days = np.datetime64("2023-01-01") + np.arange(STEPS)
    names = tuple("ABC"[:stations])
    weather = StationWeather(days, names, place, place, np.zeros(stations), values)
    x, y = np.arange(WIDTH) * 90.0, 5000 - np.arange(HEIGHT) * 90.0
    pixels = ExtentPixels(x, y, np.zeros((HEIGHT, WIDTH), np.float32))
    config = WeatherConfig(neighbours=8, power=2, min_coverage=0.75)
    field = WeatherField(weather, np.stack([place, place[::-1]], axis=1), (pixels,), config)
    layers = ExtentLayers({"slope": slope}, {})
    return FeatureSource(field, (layers,), SPEC)


def _moment(features: FeatureSource) -> Moment:
    return Moment(features.field.weather.values, features.field.weather.days[-1])


@pytest.fixture
def slope() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).gamma(2, 3, (HEIGHT, WIDTH)).astype(np.float32)


@pytest.fixture
def network() -> ConvLSTM:
    torch.manual_seed(0)
    return ConvLSTM(2, 1, (5,), 3, False, 0.5)


def test_a_tiled_map_is_the_whole_one_away_from_where_tiles_meet(
    network: ConvLSTM, slope: npt.NDArray[np.float32]
) -> None:
    features = _features(slope, 3)
    whole = map_extent(network, features, 0, _moment(features), 64, 16)
    tiled = map_extent(network, features, 0, _moment(features), 32, 16)
    # tiles begin at rows 0, 16, 29 and columns 0, 16, 18: up to 16 and from 48 on there is one alone
    for rows in (slice(0, 16), slice(48, None)):
        for cols in (slice(0, 16), slice(48, None)):
            np.testing.assert_allclose(tiled[rows, cols], whole[rows, cols], atol=1e-6)
    assert np.abs(tiled - whole).max() < 0.02
    assert whole.std() > 0.01


def test_a_whole_extent_in_one_tile_is_the_networks_own_map(network: ConvLSTM, slope: npt.NDArray[np.float32]) -> None:
    features = _features(slope, 3)
    inputs = features.patch(0, _moment(features), slice(None), slice(None))
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(inputs.dynamic)[None], torch.from_numpy(inputs.static)[None]).ssm
    found = map_extent(network, features, 0, _moment(features), 64, 16)
    # the network reaches 4 pixels: one for the inputs, one for each step's state
    inner = slice(4, -4), slice(4, -4)
    np.testing.assert_allclose(found[inner], expected[0, 0].numpy()[inner], atol=1e-6)


def test_the_edge_leaves_no_frame(network: ConvLSTM) -> None:
    features = _features(np.full((HEIGHT, WIDTH), 7, np.float32), stations=1)  # the same everywhere
    ssm = map_extent(network, features, 0, _moment(features), 64, 16)
    assert np.ptp(ssm) < 1e-6
    framed = map_extent(network, features, 0, _moment(features), 64, 0)
    assert np.ptp(framed) > 1e-3, "without the margin there would be one"


def test_dropout_is_off(network: ConvLSTM, slope: npt.NDArray[np.float32]) -> None:
    features = _features(slope, 3)
    network.train()
    first, second = (map_extent(network, features, 0, _moment(features), 32, 8) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_pixel_without_an_input_has_no_value_and_is_filled_for_its_neighbours(
    network: ConvLSTM, slope: npt.NDArray[np.float32]
) -> None:
    slope[10:20, 30:33] = np.nan
    features = _features(slope, 3)
    ssm = map_extent(network, features, 0, _moment(features), 32, 8)
    np.testing.assert_array_equal(np.isnan(ssm), np.isnan(slope))
    assert ssm.dtype == np.float32


def test_a_day_without_weather_that_is_needed_has_no_value(network: ConvLSTM, slope: npt.NDArray[np.float32]) -> None:
    features = _features(slope, 3)
    window = features.field.weather.values.copy()
    window[1, :, VARIABLES.index("temperature")] = np.nan
    assert np.isnan(map_extent(network, features, 0, replace(_moment(features), window=window), 32, 8)).all()


class Corner(nn.Module):
    """Predicts each tile's share of a ramp, so that a tile that is put in a wrong place shows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        return Prediction(static * self.weight)


def test_every_tile_comes_to_its_place(slope: npt.NDArray[np.float32]) -> None:
    features = _features(slope, 3)
    found = map_extent(Corner(), features, 0, _moment(features), 20, 6)
    np.testing.assert_allclose(found, np.clip((slope - 5) / 3, 0, 1), rtol=1e-5, atol=1e-6)
