"""Where an area's weather is, and what its files hold."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mlssm.config.base import Strict
from mlssm.config.sources import FolderSource

WeatherFormat = Literal["ghcn", "ghcn_by_year", "access", "uscrn", "csv", "gridded"]
Quantity = Literal[
    "precipitation",
    "max_temperature",
    "min_temperature",
    "temperature",
    "relative_humidity",
    "dew_point",
    "vapour_pressure",
    "wind",
    "radiation",
    "snow_depth",
]


class WeatherColumn(Strict):
    """One quantity's column of a table, or variable of a grid.

    Attributes:
        column: Its name.
        unit: Of its numbers, e.g. mm, in, degF, km/h; null: as a grid's variable states it. A table states none.
        height_m: Of wind above ground; wind is taken to 10 m (FAO-56 eq. 47).
    """

    column: str
    unit: str | None = None
    height_m: float = Field(default=10.0, ge=0.5, le=200)


class WeatherTime(Strict):
    """When a value of a table or a grid is of.

    Attributes:
        columns: A table's column of days or times; two where the day and the clock stand apart.
        format: As for strptime, e.g. `%d.%m.%Y %H:%M`; null: ISO 8601, or a day that can be told with certainty.
        zone: `local` (the area's, with its summer time), `UTC`, an IANA name, or an offset such as `-08:00`.
        stamp: Whether a time is the end or the beginning of what its values are of; null: the end, and a line says so.
        day_ends: Hour UTC at which the days of a daily grid end (24: midnight UTC; 12: PRISM), or `local`; null: by the
            grid's own bounds, or what is known of its producer, else 24 with a warning.
        accumulated: Whether hourly sums of a grid are since the last midnight UTC (ERA5-Land), since the start of a
            forecast, or of the hour; null: found from the numbers.
    """

    columns: tuple[str, ...] = Field(default=("date",), min_length=1, max_length=2)
    format: str | None = None
    zone: str = "local"
    stamp: Literal["end", "begin"] | None = None
    day_ends: float | Literal["local"] | None = None
    accumulated: Literal["since_midnight", "since_start", "hour"] | None = None

    @model_validator(mode="after")
    def _an_hour(self) -> Self:
        if isinstance(self.day_ends, float) and not 0 < self.day_ends <= 24:
            raise ValueError("'day_ends' is an hour UTC above 0 and up to 24, or local")
        return self


class WeatherPlace(Strict):
    """Where the stations of a table stand: names of columns, or, of a single station, its values.

    Attributes:
        id: Column of the stations' names; where the table has none each file is one station, named by the file.
        latitude: Degrees north.
        longitude: Degrees east.
        elevation: Above sea level; null: unknown.
        elevation_unit: Of it.
    """

    id: str = "station"
    latitude: float | str = "latitude"
    longitude: float | str = "longitude"
    elevation: float | str | None = "elevation"
    elevation_unit: Literal["m", "ft"] = "m"


class WeatherSource(FolderSource):
    """Records of weather stations, or of a grid whose cells serve as stations.

    Attributes:
        format: What the files are; null: each is recognised by itself, and a line says as what.
        units: Of NOAA's access service: `metric` or `standard` as it was asked for them; null: GHCN-Daily's tenths,
            where the header states no unit.
        totals: What becomes of rain that is known as a total of several days: left out, or spread evenly over them.
        observation_hour: At which volunteers' stations are read whose file does not tell the hour, 0 < hour <= 24.
        columns: What a table's columns, or a grid's variables, are; a grid's are recognised where none is named.
        time: When their values are of.
        station: Where a table's stations stand.
        stations: File of the stations' places: NOAA's ghcnd-stations.txt, or a table with the columns of `station`;
            null: `ghcnd-stations.txt` of the folder where it is there.
        missing: Numbers that stand for missing in a table, besides the usual ones.
        most_stations: So many of an archive's stations at most, the nearest; a grid with more cells around the extents
            is averaged to fewer.
        forecast: Forecasts, whose days follow the record; where both have a day the record counts.
    """

    format: WeatherFormat | None = None
    units: Literal["metric", "standard"] | None = None
    totals: Literal["drop", "spread"] = "drop"
    observation_hour: float | None = Field(default=None, gt=0, le=24)
    columns: dict[Quantity, WeatherColumn] = Field(default_factory=dict)
    time: WeatherTime = WeatherTime()
    station: WeatherPlace = WeatherPlace()
    stations: str | None = None
    missing: tuple[float, ...] = ()
    most_stations: int = Field(default=256, ge=1, le=4000)
    forecast: WeatherSource | None = None

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        if self.format == "csv" and not self.columns:
            raise ValueError("format csv wants 'columns', e.g. columns: {precipitation: {column: rain, unit: mm}}")
        if self.format == "csv" and (bare := [name for name, column in self.columns.items() if column.unit is None]):
            raise ValueError(f"column '{bare[0]}' of a table wants a 'unit'")
        if self.units is not None and self.format not in (None, "ghcn", "access"):
            raise ValueError(f"'units' is for NOAA's access service; format is {self.format}")
        if self.forecast is not None and self.forecast.forecast is not None:
            raise ValueError("a forecast has no 'forecast' of its own")
        return self
