"""NOAA's access service, which has the daily records of stations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlssm.config.base import Strict

ACCESS = "https://www.ncei.noaa.gov/access/services"


class NoaaWeather(Strict):
    """Daily summaries (GHCN-Daily) of the stations around a place.

    Attributes:
        service: `noaa`.
        api: Address of the service, whose `search/v1/data` and `data/v1` are asked.
        margin_km: Stations so far outside of the place's box count.
        most_stations: The nearest ones, at most so many.
        days_before: Days before the first one, which the windows of its images reach back into.
    """

    service: Literal["noaa"]
    api: str = ACCESS
    margin_km: float = Field(default=50.0, ge=0, le=500)
    most_stations: int = Field(default=40, ge=1, le=1000)
    days_before: int = Field(default=90, ge=0, le=1000)
