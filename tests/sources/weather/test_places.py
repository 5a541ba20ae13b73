from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.weather.places import read_place, why_far

FILE, EXTENTS = Path("s.csv"), [(-119.7, 34.5), (-120.9, 35.2)]


def numbers(*rows: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["LATITUDE", "LONGITUDE", "ELEVATION"])


def test_the_place_of_the_last_day_counts() -> None:
    place = read_place(FILE, numbers((34.4, -119.8, 10), (34.41, -119.8, 12)))
    assert (place.longitude, place.latitude, place.elevation_m, place.notes) == (-119.8, 34.41, 12, ())
    moved = read_place(FILE, numbers((34.0, -119.8, 10), (34.4, -119.8, 12)))
    assert "differs by 0.40 degrees within the file" in moved.notes[0]


def test_longitudes_that_count_all_round_are_brought_back_and_told() -> None:
    place = read_place(FILE, numbers((34.4, 240.3, 10)))
    assert place.longitude == pytest.approx(-119.7)
    assert place.notes == ("LONGITUDE 240.3 counts from 0 to 360: it is -119.7",)


@pytest.mark.parametrize("code", [np.nan, -999.9, -999, -9999, 9999])
def test_an_unknown_elevation_is_told(code: float) -> None:
    place = read_place(FILE, numbers((34.4, -119.8, code)))
    assert np.isnan(place.elevation_m)
    assert place.notes[0].startswith("ELEVATION is unknown")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((-119.7, 34.4, 1), r"LATITUDE -119.7 is not in -90..90; it looks swapped with LONGITUDE; correct"),
        ((3424.5, -119.7, 1), r"LATITUDE 3424.5 is not in -90..90; correct"),
        ((34.4, -11942, 1), r"LONGITUDE -11942 is not in -180..180"),
        ((np.nan, -119.7, 1), r"LATITUDE nan is not in"),
        ((34.4, -119.7, 12000), r"ELEVATION 12000 is not in -450..9000; metres are wanted"),
    ],
)
def test_what_is_no_place_is_named(place: tuple[float, float, float], message: str) -> None:
    with pytest.raises(DataError, match=rf"s\.csv: {message}"):
        read_place(FILE, numbers(place))


@pytest.mark.parametrize(
    ("longitude", "latitude", "reason"),
    [
        (119.7, 34.46, "LONGITUDE's sign looks wrong, as 34.46 N -119.7 E is 4 km away"),
        (-119.7, -34.46, "LATITUDE's sign looks wrong"),
        (119.7, -34.46, "both signs look wrong"),
    ],
)
def test_a_lost_sign_is_found_out(longitude: float, latitude: float, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        why_far(FILE, longitude, latitude, EXTENTS)


def test_swapped_coordinates_are_found_out() -> None:
    with pytest.raises(DataError, match=r"at 10 N 45 E .* km from the images; LATITUDE and LONGITUDE look swapped"):
        why_far(FILE, 45, 10, [(10.5, 45.5)])


def test_far_is_beyond_500_km_of_all_areas() -> None:
    """A degree along a meridian is 111 km."""
    assert why_far(FILE, -119.7, 34.5 - 4.4, EXTENTS) is None
    assert "it is left out" in str(why_far(FILE, -119.7, 34.5 - 4.6, EXTENTS))
    assert why_far(FILE, 0, 0, ()) is None
