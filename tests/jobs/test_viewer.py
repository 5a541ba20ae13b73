"""What the viewer says of a day."""

from pathlib import Path

import pytest

from mlssm.jobs.viewer import note_of
from mlssm.mapping.list import DayMap


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({"last_image": "2023-01-05", "forecast_weather_days": "0"}, ""),
        ({"last_image": "2023-01-01", "forecast_weather_days": "0"}, "after the last image"),
        ({"last_image": "2023-01-01", "forecast_weather_days": "1"}, "forecast: 1 day of forecast weather"),
        ({"last_image": "2023-01-01", "forecast_weather_days": "3"}, "forecast: 3 days of forecast weather"),
        ({}, ""),
    ],
)
def test_a_day_of_forecast_weather_is_no_day_after_an_image(tags: dict[str, str], note: str) -> None:
    assert note_of(DayMap(Path("ssm_20230102.tif"), "2023-01-02", tags, ())) == note
