import logging

import numpy as np
import pandas as pd
import pytest

from mlssm.sources.weather.ghcn import ELEMENTS
from mlssm.sources.weather.quality import StationQuality, check_quality
from mlssm.sources.weather.record import StationRecord


def record(days: int = 60, flagged: int = 0, **columns: list[float]) -> StationRecord:
    """A station whose days differ from each other, with the first days of some elements replaced."""
    table = pd.DataFrame(index=pd.date_range("2020-01-01", periods=days))
    wobble = np.arange(days) % 7
    for element, base in zip(ELEMENTS, (1.0, 20.0, 5.0, 2.0, 60.0, 0.0), strict=True):
        table[element.name] = base + wobble * (element.name != "snow_depth")
    for name, values in columns.items():
        table.loc[table.index[: len(values)], name] = values
    return StationRecord("A", -119.0, 34.0, 10.0, table, flagged)


def rejected(before: StationRecord, after: StationRecord, name: str) -> list[int]:
    lost = before.observations[name].notna() & after.observations[name].isna()
    return list(np.flatnonzero(lost))


def test_good_values_all_stay(caplog: pytest.LogCaptureFixture) -> None:
    before = record()
    after, report = check_quality(before)
    pd.testing.assert_frame_equal(after.observations, before.observations)
    assert report == StationQuality("A", 0, 0, 0, 0, 0)
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "wrong", "allowed"),
    [
        ("precipitation", [-0.1, 1828.9], [0.0, 1828.8]),
        ("wind", [-0.1, 60.1], [0.0, 60.0]),
        ("relative_humidity", [-1, 101], [0, 100]),
        ("snow_depth", [-1, 11461], [0, 11460]),
    ],
)
def test_values_beyond_the_physical_range(name: str, wrong: list[float], allowed: list[float]) -> None:
    before = record(**{name: [*allowed, *wrong]})
    after, report = check_quality(before)
    assert rejected(before, after, name) == [2, 3]
    assert report.out_of_range == report.rejected == 2


@pytest.mark.parametrize("zero", [0.0, -17.8])
def test_gaps_filled_with_zeros_reject_both_temperatures(zero: float) -> None:
    before = record(max_temperature=[zero, zero, 5.0], min_temperature=[zero, zero - 1, zero])
    after, report = check_quality(before)
    assert rejected(before, after, "max_temperature") == rejected(before, after, "min_temperature") == [0]
    assert report.out_of_range == 2


def test_maximum_below_minimum_rejects_both() -> None:
    before = record(max_temperature=[20, 4.9, 5.0], min_temperature=[5, 5.0, 5.0])
    after, report = check_quality(before)
    assert rejected(before, after, "max_temperature") == rejected(before, after, "min_temperature") == [1]
    assert report.inverted == 2


@pytest.mark.parametrize(
    ("temperatures", "expected"),
    [
        ([20, 45, 20], [1]),  # up and down by 25
        ([20, 44.9, 20], []),
        ([40, 14, 40], [1]),  # down and up
        ([10, 35, 36], []),  # a front: up and it stays
        ([-4, 21.5, 46.5, 40], []),  # up and up
        ([20, 50, np.nan], []),  # one neighbour is not enough
    ],
)
def test_temperature_spikes(temperatures: list[float], expected: list[int]) -> None:
    before = record(max_temperature=[20, 20, *temperatures, 20], min_temperature=[-20, -19] * 4)
    after, report = check_quality(before)
    assert rejected(before, after, "max_temperature") == [2 + day for day in expected]
    assert report.spikes == len(expected)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("max_temperature", [30.0] * 19, 0),
        ("max_temperature", [30.0] * 20, 20),
        ("min_temperature", [0.0] * 20, 20),  # frozen sensor
        ("min_temperature", [3.0] * 10 + [np.nan] * 5 + [3.0] * 10, 20),  # a gap does not break it
        ("precipitation", [0.0] * 40, 0),  # a dry season
        ("precipitation", [5.1] * 20, 20),
        ("precipitation", [5.1] * 19 + [0.0] + [5.1] * 19, 0),
        ("relative_humidity", [100.0] * 40, 0),  # fog
    ],
)
def test_streaks(name: str, values: list[float], expected: int) -> None:
    before = record(**{name: values})
    after, report = check_quality(before)
    assert report.streaks == report.rejected == len(rejected(before, after, name)) == expected


def test_an_impossible_value_is_counted_once_and_does_not_hide_its_neighbours() -> None:
    before = record(max_temperature=[20, 90, 45, 20])
    after, report = check_quality(before)
    assert rejected(before, after, "max_temperature") == [1]
    assert (report.out_of_range, report.spikes) == (1, 0)


def test_what_is_rejected_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    check_quality(record(flagged=3, wind=[99.0]))
    assert [(line.levelno, line.getMessage()) for line in caplog.records] == [
        (
            logging.WARNING,
            "A: 4 values rejected: 3 flagged, 1 out of range, 0 with TMAX below TMIN, 0 spikes, 0 in streaks",
        )
    ]
