import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.weather.clock import closing_hour, day_of, last_closed, lengths
from mlssm.weather.windows import window_end

ZONE = ZoneInfo("America/Los_Angeles")


def passes(*clock: str) -> list[dt.datetime]:
    return [dt.datetime.fromisoformat(f"2022-01-{day:02d}T{time}") for day, time in enumerate(clock, 1)]


@pytest.mark.parametrize(
    ("times", "hour"),
    [
        (["17:58", "17:59"], 17),  # the hour to 18:00 has two minutes after the image
        (["18:00", "18:02"], 18),
        (["17:58", "18:58"], 17),  # winter and summer time
        (["06:10"], 6),
        (["00:20", "23:50"], 23),
        (["00:10"], 24),
        ([], 24),
    ],
)
def test_days_end_at_the_last_full_hour_before_the_images(times: list[str], hour: int) -> None:
    assert closing_hour({1: passes(*times)} if times else {})[0] == hour


def test_of_orbits_at_several_hours_most_images_count_and_the_others_are_told() -> None:
    hour, lines = closing_hour(
        {137: passes("17:58", "17:58", "17:58"), 64: passes("17:20"), 71: passes("06:05", "06:05")}
    )
    assert hour == 17
    assert len(lines) == 2
    assert lines[1] == "the 2 images of orbit 71 are taken at 6.1 h: their windows end 13 h before"
    hour, lines = closing_hour({71: passes("06:05", "06:05"), 137: passes("17:58")})
    assert hour == 6
    assert lines[1] == "the 1 images of orbit 137 are taken at 18.0 h: their windows end 12 h before"


@pytest.mark.parametrize("clock", ["06:05", "11:59", "12:00", "18:00", "23:10"])
def test_the_last_hour_before_an_image_is_of_the_day_that_its_window_ends_with(clock: str) -> None:
    image = passes(clock)[0] + dt.timedelta(days=9)
    hour, _ = closing_hour({1: [image]})
    closing = pd.Timestamp(image).floor("h")
    days = day_of(pd.DatetimeIndex([closing, closing - pd.Timedelta(hours=23), closing + pd.Timedelta(hours=1)]), hour)
    assert days[0].astype(object) == days[1].astype(object) == window_end(image)
    assert days[2].astype(object) == window_end(image) + dt.timedelta(days=1)


@given(st.integers(1, 24), st.datetimes(dt.datetime(2022, 1, 1), dt.datetime(2022, 12, 31)))
def test_no_hour_after_an_image_is_of_a_day_that_had_closed(hour: int, image: dt.datetime) -> None:
    ends = pd.date_range(pd.Timestamp(image).floor("D") - pd.Timedelta(days=2), periods=96, freq="h")
    closed = day_of(ends, hour) <= np.datetime64(last_closed(image, hour))
    assert (ends[closed] <= image).all()
    # and no day that had closed is left out
    assert image - ends[closed][-1] < pd.Timedelta(days=1)


def test_days_have_the_hours_that_clocks_leave_them() -> None:
    days = np.array(["2022-03-12", "2022-03-13", "2022-11-06", "2022-11-07"], "datetime64[D]")
    np.testing.assert_allclose(lengths(days, 24, ZONE), [24, 23, 25, 24])
    np.testing.assert_allclose(lengths(days, 18, ZONE), [24, 23, 25, 24])
    np.testing.assert_allclose(lengths(days, 6, ZONE), [23, 24, 24, 24])  # 12 March ends at 06:00 of the 13th
