from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from mlssm.mapping.list import DayMap
from mlssm.mapping.products.root_zone import SoilWaterIndex, write_root_zone

from ..conftest import DAYS, EXTENTS, GRID, values


def by_the_integral(ssm: np.ndarray, days: np.ndarray, decay: float) -> float:
    """Wagner's filter as he wrote it: a mean of all values until the last, weighed by exp(-age / T)."""
    known = np.isfinite(ssm)
    weight = np.exp(-(days[-1] - days[known]) / decay)
    return float((weight * ssm[known]).sum() / weight.sum())


@given(
    st.lists(st.tuples(st.integers(1, 9), st.one_of(st.just(np.nan), st.floats(0, 1))), min_size=1, max_size=12),
    st.floats(0.5, 60),
)
def test_the_recursion_is_wagners_mean(series: list[tuple[int, float]], decay: float) -> None:
    days = np.cumsum([step for step, _ in series])
    ssm = np.array([0.3, *(value for _, value in series[1:])])  # the first day has a value
    state = SoilWaterIndex.start((1,), decay)
    for day, value in zip(days, ssm, strict=True):
        found = state.add(np.array([value]), int(day))
    last = np.flatnonzero(np.isfinite(ssm))[-1] + 1
    assert found[0] == pytest.approx(by_the_integral(ssm[:last], days[:last], decay), rel=1e-9, abs=1e-12)


def test_it_begins_with_the_first_value() -> None:
    state = SoilWaterIndex.start((2,), 10.0)
    np.testing.assert_array_equal(state.add(np.array([0.4, np.nan]), 0), [0.4, np.nan])
    np.testing.assert_array_equal(state.add(np.array([np.nan, 0.7]), 1), [0.4, 0.7])


def test_maps_of_the_root_zone_lag_behind(maps: list[DayMap], tmp_path: Path) -> None:
    maps = [replace(each, tags={**each.tags, "ssm_mean": "0.5", "software": "mlssm"}) for each in maps]
    paths = write_root_zone(maps, GRID, EXTENTS, tmp_path, 5.0)
    assert [path.name for path in paths] == [f"swi_{day.replace('-', '')}.tif" for day in DAYS]
    with rasterio.open(paths[1]) as source:
        found = source.read(1)[EXTENTS[0].slices]
        assert source.tags()["warmed_up"] == "no: 1 days since the first map"
        assert source.tags(1)["name"] == "swi"
        assert source.tags()["software"] == "mlssm"
        assert "ssm_mean" not in source.tags(), "that is the map's"
    weight = np.exp(-1 / 5)
    expected = (weight * values(EXTENTS[0], 0) + values(EXTENTS[0], 1)) / (weight + 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_later_command_goes_on_from_the_maps_before(maps: list[DayMap], tmp_path: Path) -> None:
    whole = write_root_zone(maps, GRID, EXTENTS, tmp_path, 5.0)
    (later,) = write_root_zone(maps, GRID, EXTENTS, tmp_path / "later", 5.0, since=DAYS[-1])
    assert later.name == whole[-1].name
    assert later.read_bytes() == whole[-1].read_bytes()


def test_it_warms_up_anew_after_a_gap_and_what_is_forgotten_is_not_read(maps: list[DayMap], tmp_path: Path) -> None:
    far = [*maps[:2], replace(maps[2], day="2023-03-01")]

    def warmed(path: Path) -> str:
        with rasterio.open(path) as source:
            return str(source.tags()["warmed_up"])

    assert warmed(write_root_zone(far, GRID, EXTENTS, tmp_path, 5.0)[-1]) == "no: 0 days since the first map"
    assert warmed(write_root_zone(far, GRID, EXTENTS, tmp_path, 0.1)[1]) == "yes"
    lost = [replace(far[0], path=tmp_path / "gone.tif"), far[2]]
    assert len(write_root_zone(lost, GRID, EXTENTS, tmp_path, 2.0, since="2023-03-01")) == 1
