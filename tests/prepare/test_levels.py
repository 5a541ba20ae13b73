"""A pass that is not like the others of its orbit."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from mlssm.prepare.levels import Levels, Quartiles, quartiles
from mlssm.sources.checks.decibels import Decibels
from mlssm.sources.faults import BadFiles
from mlssm.sources.passes import Image, Pass

DECIBELS = np.random.default_rng(0).normal(-11, 2, (24, 24)).astype(np.float32)


def seen(levels: np.ndarray) -> Quartiles:
    found = Decibels()
    found.add_levels(levels)
    return quartiles(found)


def overpass(day: int, orbit: int = 137) -> Pass:
    time = dt.datetime(2023, 1, day, 2, tzinfo=dt.UTC)
    return Pass(time, orbit, (Image(Path(f"VV_{day}_{orbit}.tif"), time, "VV", orbit, (0, 0, 1, 1)),))


@pytest.mark.parametrize(("change", "told"), [(0, 0), (3, 0), (-3, 0), (7, 1), (-12, 1)])
def test_a_pass_far_from_the_others_is_told(change: float, told: int, caplog: pytest.LogCaptureFixture) -> None:
    levels = Levels()
    for day in range(1, 7):
        # another orbit may lie elsewhere
        levels.note(overpass(day, 64), ("VV", "VH"), (seen(DECIBELS + 8), None), 0)
        levels.note(overpass(day), ("VV", "VH"), (seen(DECIBELS + (change if day == 4 else day % 3)), None), 0)
    levels.tell(BadFiles("error"))
    assert len(caplog.messages) == told
    assert all(message.startswith("VV_4_137.tif has a median of ") for message in caplog.messages)


def test_one_extent_of_several_may_be_water_under_wind(caplog: pytest.LogCaptureFixture) -> None:
    levels = Levels()
    for day in range(1, 7):
        levels.note(overpass(day), ("VV",), (seen(DECIBELS - (0 if day == 4 else 9)),), 0)
        levels.note(overpass(day), ("VV",), (seen(DECIBELS),), 1)
    levels.tell(BadFiles("error"))
    assert not caplog.messages


@pytest.mark.parametrize(("factor", "told"), [(1, 0), (0.8, 0), (1.3, 0), (0.5, 1), (2, 1)])
def test_amplitude_among_power_is_told_by_its_spread(
    factor: float, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    levels, middle = Levels(), float(np.median(DECIBELS))
    for day in range(1, 7):
        changed = middle + (DECIBELS - middle) * np.float32(factor if day == 4 else 1)
        levels.note(overpass(day), ("VV",), (seen(changed),), 0)
    levels.tell(BadFiles("error"))
    assert len(caplog.messages) == told
    assert all(message.startswith("VV_4_137.tif has half of its values within") for message in caplog.messages)
