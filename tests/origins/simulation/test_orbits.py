import datetime as dt
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from timezonefinder import TimezoneFinder

from mlssm.origins.simulation.landscape import AREA_CENTRE, area_grid
from mlssm.origins.simulation.orbits import (
    EVENING,
    MORNING,
    TRACKS,
    bursts_of,
    image_name,
    incidence_angle,
    incidence_name,
    schedule,
)

PACIFIC = ZoneInfo("America/Los_Angeles")
OPERA = re.compile(
    r"OPERA_L2_RTC-S1_(T\d{3}-\d{6}-IW[123])_(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)_(S1[AB])_(\d+)_v1\.0_(VV|VH)\.tif"
)


def test_the_area_keeps_pacific_time() -> None:
    longitude, latitude = AREA_CENTRE
    assert TimezoneFinder().timezone_at(lng=longitude, lat=latitude) == PACIFIC.key


def test_names_are_the_producers() -> None:
    time = dt.datetime(2023, 1, 1, 1, 59, 2, tzinfo=dt.UTC)
    name = image_name("T137-292319-IW2", time, 30, "VV")
    assert name == "OPERA_L2_RTC-S1_T137-292319-IW2_20230101T015902Z_20230101T115902Z_S1A_30_v1.0_VV.tif"
    assert (
        incidence_name("T137-292319-IW2", 29.6)
        == "OPERA_L2_RTC-S1-STATIC_T137-292319-IW2_20140403_S1A_30_v1.0_incidence_angle.tif"
    )


def test_names_have_the_form_of_the_real_ones(shared: Path) -> None:
    real = [path.name for path in (shared / "santa_barbara" / "sentinel1").glob("*.tif")]
    assert real
    assert all(OPERA.fullmatch(name) for name in real)
    time = dt.datetime(2023, 1, 1, 1, 59, 2, tzinfo=dt.UTC)
    assert OPERA.fullmatch(image_name(MORNING.bursts[1], time, 10, "VH"))


@pytest.mark.parametrize("revisit", [1, 6, 12])
def test_passes_are_in_order_on_their_local_days(configure, revisit: int) -> None:
    passes = schedule(configure(revisit_days=revisit))
    times = [each.time for each in passes]
    assert times == sorted(set(times))
    for each in passes:
        local = each.time.astimezone(PACIFIC)
        assert local.date() == each.local_day
        assert dt.date(2020, 9, 1) <= each.local_day <= dt.date(2021, 8, 31)
        evening = local.hour >= 12
        assert each.state_day == (each.local_day if evening else each.local_day - dt.timedelta(days=1))


def test_tracks_interleave_by_half_a_revisit(configure) -> None:
    passes = schedule(configure(revisit_days=12, seasons=3))
    days = {track: [each.local_day for each in passes if each.track is track] for track in TRACKS}
    assert {(b - a).days for a, b in zip(days[EVENING], days[EVENING][1:], strict=False)} == {12}
    assert (days[MORNING][0] - days[EVENING][0]).days == 6
    assert 180 <= len(passes) <= 184


@pytest.mark.parametrize("size", [40, 41, 240])
def test_bursts_cover_the_area_and_share_rows(size: int) -> None:
    grid = area_grid(size, 30)
    for track in TRACKS:
        first, second = bursts_of(track, grid)
        rows = np.zeros(size, dtype=int)
        for burst in (first, second):
            rows[burst.window.slices[0]] += 1
        assert rows.min() == 1
        assert (rows == 2).sum() >= 4
        # northwards the southern burst comes first
        assert (first.window.row > second.window.row) == track.ascending


def test_incidence_grows_away_from_the_satellite() -> None:
    grid = area_grid(100, 30)
    evening, morning = incidence_angle(EVENING, grid), incidence_angle(MORNING, grid)
    assert (evening.min(), evening.max()) == (36, 41)
    assert (morning.min(), morning.max()) == (41, 44)
    # right-looking: eastwards on the ascending track, westwards on the descending one
    assert (np.diff(evening, axis=1) > 0).all()
    assert (np.diff(morning, axis=1) < 0).all()
