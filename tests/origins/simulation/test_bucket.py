import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.origins.simulation.bucket import SURFACE_SHARE, Bucket, bucket_of, step


def bucket(capacity: float, field_capacity: float, rate: float, runoff: float) -> Bucket:
    return Bucket(*(np.array([value]) for value in (capacity, field_capacity, rate, runoff)))


@given(
    capacity=st.floats(5, 200),
    field=st.floats(0, 1),
    rate=st.floats(0, 3),
    runoff=st.floats(0, 1),
    filled=st.floats(0, 1),
    rain=st.floats(0, 300),
    demand=st.floats(0, 15),
)
def test_water_is_conserved_and_storage_stays_in_bounds(
    capacity: float, field: float, rate: float, runoff: float, filled: float, rain: float, demand: float
) -> None:
    before = np.array([filled * capacity])
    day = step(bucket(capacity, field * capacity, rate, runoff), before, np.array([rain]), np.array([demand]))
    outflow = day.runoff + day.evapotranspiration + day.drainage
    assert (rain - outflow)[0] == pytest.approx((day.storage - before)[0], abs=1e-9)
    assert (day.infiltration + day.runoff)[0] == pytest.approx(rain)
    flows = (day.infiltration, day.runoff, day.evapotranspiration, day.drainage, day.storage)
    assert min(flow[0] for flow in flows) >= 0
    assert day.storage[0] <= capacity * (1 + 1e-12)


def test_without_rain_and_demand_it_drains_exponentially_to_field_capacity() -> None:
    storage, none = np.array([40.0]), np.zeros(1)
    for _ in range(15):
        storage = step(bucket(50, 20, 0.1, 0), storage, none, none).storage
    assert storage[0] == pytest.approx(20 + 20 * np.exp(-1.5))
    assert step(bucket(50, 20, 0.1, 0), np.array([19.0]), none, none).drainage[0] == 0


def test_a_moist_soil_meets_the_demand_and_a_dry_one_by_the_square() -> None:
    none = np.zeros(1)
    moist, dry = (step(bucket(50, 0, 0, 0), np.array([s]), none, np.array([4.0])) for s in (30.0, 10.0))
    assert moist.evapotranspiration[0] == pytest.approx(SURFACE_SHARE * 4)
    assert dry.evapotranspiration[0] == pytest.approx(SURFACE_SHARE * 4 * (10 / 25) ** 2)


def test_a_full_soil_sheds_all_rain() -> None:
    day = step(bucket(50, 20, 0.1, 0.2), np.array([50.0]), np.array([12.0]), np.zeros(1))
    assert day.runoff[0] == pytest.approx(12)


def test_clay_hollows_hold_longer_than_sandy_crests_and_steep_slopes_shed_more() -> None:
    crest, hollow = (np.array([value], dtype=np.float32) for value in (0.0, 1.0))
    flat, steep = (np.array([value], dtype=np.float32) for value in (0.0, 30.0))
    sand = bucket_of(np.array([1], dtype=np.uint8), flat, crest)
    clay = bucket_of(np.array([4], dtype=np.uint8), steep, hollow)
    assert clay.capacity[0] > sand.capacity[0]
    assert clay.drainage_rate[0] < sand.drainage_rate[0]
    assert sand.runoff_share[0] == 0
    assert clay.runoff_share[0] == pytest.approx(0.8 * 0.5)
