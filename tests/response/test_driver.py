"""Drivers against sums written out, the simulator's own bucket, and interpolation the other way round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlssm.origins.simulation.bucket import Bucket, step
from mlssm.response.driver import Forcing, bank, bucket_driver, index_driver
from mlssm.weather.interpolation import inverse_distance_weights
from mlssm.weather.stations import VARIABLES, StationWeather

XY = np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, 3000.0]])
PIXELS = np.array([[200.0, 100.0], [900.0, 500.0], [10.0, 2500.0], [5000.0, 5000.0]])
WEIGHTS = inverse_distance_weights(XY, PIXELS, 8, 2.0)


def forcing(days: int = 60, seed: int = 0) -> Forcing:
    rng = np.random.default_rng(seed)
    rain = rng.gamma(0.3, 20, (days, 3)) * (rng.random((days, 1)) < 0.3)
    demand = rng.uniform(1, 5, (days, 3))
    return Forcing(np.datetime64("2020-09-01") + np.arange(days), rain, demand)


def record(rain: np.ndarray, demand: np.ndarray) -> StationWeather:
    values = np.full((len(rain), 3, len(VARIABLES)), np.nan)
    values[..., VARIABLES.index("precipitation")] = rain
    values[..., VARIABLES.index("evapotranspiration")] = demand
    days = np.datetime64("2020-09-01") + np.arange(len(rain))
    return StationWeather(days, ("a", "b", "c"), np.zeros(3), np.zeros(3), np.zeros(3), values)


@pytest.mark.parametrize("decay", [1.0, 3.0, 30.0])
def test_the_index_is_rain_weighted_by_its_age(decay: float) -> None:
    given_ = forcing()
    age = np.arange(60)[:, None] - np.arange(60)
    index = np.where(age >= 0, np.exp(-age / decay), 0) @ given_.rain
    assert np.allclose(index_driver(given_, decay).stored, index)
    assert np.allclose(index_driver(given_, decay).at(np.arange(60), WEIGHTS), np.log1p(index @ WEIGHTS.T))
    assert np.allclose(index_driver(given_, decay, "root").at(np.arange(60), WEIGHTS), np.sqrt(index @ WEIGHTS.T))


def test_an_interpolated_index_is_the_index_of_interpolated_rain() -> None:
    given_ = forcing()
    at_pixels = Forcing(given_.days, given_.rain @ WEIGHTS.T, None)
    direct = index_driver(at_pixels).at(np.arange(60), np.eye(4))
    assert np.allclose(index_driver(given_).at(np.arange(60), WEIGHTS), direct)


@pytest.mark.parametrize(("capacity", "drainage", "field"), [(20, 5, 0.0), (40, 20, 0.3)])
def test_the_bucket_is_that_of_a_pixel_without_runoff(capacity: float, drainage: float, field: float) -> None:
    given_ = forcing()
    like = Bucket(np.full(3, capacity), np.full(3, field * capacity), np.full(3, 1 / drainage), np.zeros(3))
    storage, expected = np.full(3, field * capacity), []
    for rain, demand in zip(given_.rain, given_.demand, strict=True):
        storage = step(like, storage, rain, demand).storage
        expected.append(storage / capacity)
    assert np.allclose(bucket_driver(given_, capacity, drainage, field).stored, expected)


@given(arrays(float, (30, 1), elements=st.floats(0, 300)), arrays(float, (30, 1), elements=st.floats(0, 7)))
def test_a_bucket_stays_within_its_capacity_and_rises_with_rain(rain: np.ndarray, demand: np.ndarray) -> None:
    days = np.datetime64("2020-09-01") + np.arange(30)
    less, more = (bucket_driver(Forcing(days, r, demand), 25, 10, 0.3).stored for r in (rain, rain + 1))
    assert (less >= 0).all()
    assert (more <= 1 + 1e-12).all()
    assert (more >= less - 1e-9).all()  # up to 7 mm: then evaporation grows by less than the storage, 0.8 x 7 x 4 / 25


def test_gaps_come_from_other_stations_and_days_without_any_are_dry(caplog: pytest.LogCaptureFixture) -> None:
    rain, demand = np.full((4, 3), 6.0), np.full((4, 3), 2.0)
    rain[1, 0], rain[1, 1], rain[1, 2] = np.nan, 10.0, 10.0
    rain[2], demand[1], demand[3] = np.nan, np.nan, 4.0
    with caplog.at_level("INFO"):
        found = Forcing.of(record(rain, demand), XY, 8, 2.0)
    assert found.rain[1].tolist() == pytest.approx([10, 10, 10])
    assert found.rain[2].tolist() == [0, 0, 0]
    assert found.demand is not None
    assert found.demand[1].tolist() == [2, 2, 2]
    assert "1 of 4 days have no rain at any station" in caplog.text


def test_before_the_record_it_was_dry_and_behind_it_nothing_is_known() -> None:
    given_ = forcing()
    driver = index_driver(given_)
    positions = given_.positions(np.array(["2020-08-01", "2020-09-03"], "datetime64[D]"))
    assert positions.tolist() == [-31, 2]
    assert driver.at(positions, WEIGHTS)[0].tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="behind a record of 60 days"):
        driver.at(np.array([60]), WEIGHTS)


def test_without_demand_the_bank_has_no_buckets() -> None:
    given_ = forcing()
    dry = Forcing.of(record(given_.rain, np.full((60, 3), np.nan)), XY, 8, 2.0)
    assert dry.demand is None
    assert len(bank(dry)) == 60
    assert len(bank(given_)) > 60
    assert len({driver.name for driver in bank(given_)}) == len(bank(given_))
    with pytest.raises(ValueError, match="needs reference evapotranspiration"):
        bucket_driver(dry, 20, 5, 0)
