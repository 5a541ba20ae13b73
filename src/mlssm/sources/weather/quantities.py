"""What weather is measured: the quantities that readers deliver, their units, and what becomes of them in a day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlssm import variables
from mlssm.errors import DataError
from mlssm.weather.stations import Floats

INCH_MM, FOOT_MM, MILE_M, KNOT, LANGLEY = 25.4, 304.8, 1609.344, 1852 / 3600, 0.04184


@dataclass(frozen=True)
class Unit:
    """How numbers of a unit become the quantity's: value * factor + offset.

    Attributes:
        factor: Multiplies.
        offset: Is added then.
        per_hours: Of a rate, the hours that it is of: an amount is the rate times the step's hours over these.
    """

    factor: float = 1.0
    offset: float = 0.0
    per_hours: float | None = None

    def convert(self, values: Floats, step_hours: float) -> Floats:
        """Values of steps of so many hours."""
        steps = 1.0 if self.per_hours is None else step_hours / self.per_hours
        return np.asarray(values * (self.factor * steps) + self.offset, dtype=np.float64)


_LENGTHS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": INCH_MM, "ft": FOOT_MM, "tenths of mm": 0.1, "0.01 in": 0.254}
_RAIN = {name: Unit(factor) for name, factor in _LENGTHS.items()} | {
    "kg m-2": Unit(),  # of water: 1000 kg/m3
    "mm d-1": Unit(per_hours=24),
    "mm h-1": Unit(per_hours=1),
    "in h-1": Unit(INCH_MM, per_hours=1),
    "kg m-2 d-1": Unit(per_hours=24),
    "kg m-2 h-1": Unit(per_hours=1),
    "mm s-1": Unit(per_hours=1 / 3600),
    "kg m-2 s-1": Unit(per_hours=1 / 3600),
    "m s-1": Unit(1000.0, per_hours=1 / 3600),
    "m d-1": Unit(1000.0, per_hours=24),
    "m h-1": Unit(1000.0, per_hours=1),
}
_TEMPERATURE = {
    "degC": Unit(),
    "tenths of degC": Unit(0.1),
    "K": Unit(offset=-273.15),
    "degF": Unit(5 / 9, -160 / 9),
}
_HUMIDITY = {"%": Unit(), "1": Unit(100.0)}
_PRESSURE = {"kPa": Unit(), "hPa": Unit(0.1), "Pa": Unit(0.001)}
_WIND = {
    "m s-1": Unit(),
    "km h-1": Unit(1 / 3.6),
    "kn": Unit(KNOT),
    "mph": Unit(MILE_M / 3600),
    "ft s-1": Unit(0.3048),
    "tenths of m s-1": Unit(0.1),
}
_RADIATION = {
    "MJ m-2": Unit(),
    "MJ m-2 d-1": Unit(per_hours=24),
    "J m-2": Unit(1e-6),
    "W m-2": Unit(0.0036, per_hours=1),
    "Wh m-2": Unit(0.0036),
    "kWh m-2": Unit(3.6),
    "kWh m-2 d-1": Unit(3.6, per_hours=24),
    "Ly": Unit(LANGLEY),
}
_DEPTH = {name: Unit(factor) for name, factor in _LENGTHS.items()}


@dataclass(frozen=True)
class Quantity:
    """What is measured.

    Attributes:
        name: As in `datamodule.weather.columns` and in a station's record.
        unit: Of a record's values; of a sum, of the whole day.
        day: What becomes of the hours of a day.
        low: Least value that a day can have.
        high: Greatest one.
        units: Units that files may have it in.
    """

    name: str
    unit: str
    day: Literal["sum", "mean", "max", "min"]
    low: float
    high: float
    units: Mapping[str, Unit]


def _of_variable(name: str, day: Literal["sum", "mean", "max", "min"], units: Mapping[str, Unit]) -> Quantity:
    """A quantity that is a channel of its own: its range stands with the channel."""
    channel = variables.named(name)
    return Quantity(name, channel.unit.removesuffix("/day"), day, channel.low, channel.high, units)


_AIR = variables.named("temperature")
QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        _of_variable("precipitation", "sum", _RAIN),
        Quantity("max_temperature", "degC", "max", _AIR.low, _AIR.high, _TEMPERATURE),
        _of_variable("min_temperature", "min", _TEMPERATURE),
        _of_variable("temperature", "mean", _TEMPERATURE),
        Quantity("relative_humidity", "%", "mean", 0, 100, _HUMIDITY),
        Quantity("dew_point", "degC", "mean", _AIR.low, _AIR.high, _TEMPERATURE),
        _of_variable("vapour_pressure", "mean", _PRESSURE),
        _of_variable("wind", "mean", _WIND),
        # above the atmosphere a day has 45 MJ/m2 at most
        Quantity("radiation", "MJ/m2", "sum", 0, 45, _RADIATION),
        _of_variable("snow_depth", "mean", _DEPTH),
    )
}

# spellings, in lower case and with single blanks, of units that the tables above have
_SPELLINGS = {
    "millimeter": "mm",
    "millimeters": "mm",
    "millimetre": "mm",
    "millimetres": "mm",
    "metre": "m",
    "meter": "m",
    "metres": "m",
    "meters": "m",
    "m of water equivalent": "m",
    "m of water": "m",
    "inch": "in",
    "inches": "in",
    '"': "in",
    "feet": "ft",
    "0.1 mm": "tenths of mm",
    "hundredths of in": "0.01 in",
    "hundredths of inches": "0.01 in",
    "mm/day": "mm d-1",
    "mm/d": "mm d-1",
    "mm day-1": "mm d-1",
    "mm/h": "mm h-1",
    "mm/hr": "mm h-1",
    "mm/hour": "mm h-1",
    "mm hr-1": "mm h-1",
    "in/h": "in h-1",
    "in/hr": "in h-1",
    "mm/s": "mm s-1",
    "kg/m2": "kg m-2",
    "kg/m2/s": "kg m-2 s-1",
    "kg/(m2 s)": "kg m-2 s-1",
    "kg/m2/day": "kg m-2 d-1",
    "kg m-2 day-1": "kg m-2 d-1",
    "m/s": "m s-1",
    "m/day": "m d-1",
    "m/h": "m h-1",
    "c": "degC",
    "degc": "degC",
    "deg c": "degC",
    "°c": "degC",
    "celsius": "degC",
    "degrees c": "degC",
    "degree c": "degC",
    "degrees celsius": "degC",
    "degree celsius": "degC",
    "degree_celsius": "degC",
    "degrees_celsius": "degC",
    "degree_c": "degC",
    "0.1 degc": "tenths of degC",
    "tenths of degc": "tenths of degC",
    "k": "K",
    "kelvin": "K",
    "f": "degF",
    "degf": "degF",
    "deg f": "degF",
    "°f": "degF",
    "fahrenheit": "degF",
    "degrees f": "degF",
    "degrees fahrenheit": "degF",
    "degree_fahrenheit": "degF",
    "percent": "%",
    "fraction": "1",
    "0-1": "1",
    "0..1": "1",
    "kpa": "kPa",
    "hpa": "hPa",
    "mb": "hPa",
    "mbar": "hPa",
    "millibar": "hPa",
    "pa": "Pa",
    "pascal": "Pa",
    "km/h": "km h-1",
    "kmh": "km h-1",
    "kph": "km h-1",
    "km/hr": "km h-1",
    "knot": "kn",
    "knots": "kn",
    "kt": "kn",
    "kts": "kn",
    "mi/h": "mph",
    "miles/hour": "mph",
    "miles per hour": "mph",
    "ft/s": "ft s-1",
    "tenths of m/s": "tenths of m s-1",
    "mj/m2": "MJ m-2",
    "mj m-2": "MJ m-2",
    "mj/m2/day": "MJ m-2 d-1",
    "mj m-2 day-1": "MJ m-2 d-1",
    "mj m-2 d-1": "MJ m-2 d-1",
    "j/m2": "J m-2",
    "j m-2": "J m-2",
    "w/m2": "W m-2",
    "w m-2": "W m-2",
    "wh/m2": "Wh m-2",
    "wh m-2": "Wh m-2",
    "kwh/m2": "kWh m-2",
    "kwh m-2": "kWh m-2",
    "kwh/m2/day": "kWh m-2 d-1",
    "kwh m-2 d-1": "kWh m-2 d-1",
    "ly": "Ly",
    "langley": "Ly",
    "langleys": "Ly",
}


def unit_of(name: str, text: str, where: str) -> Unit:
    """A unit of a quantity, from the way it is written.

    Args:
        name: The quantity.
        text: As a file or a key has it; exponents as m-2, m**-2, m^-2 or m².
        where: The file and column or the key, for messages.

    Raises:
        DataError: The quantity has no such unit here.
    """
    known = QUANTITIES[name].units
    plain = re.sub(r"\*\*|\^", "", text.strip()).replace("²", "2").replace("⁻", "-").replace("·", " ").replace("¹", "1")
    plain = re.sub(r"\s+", " ", plain)
    found = _SPELLINGS.get(plain.lower(), plain)
    if found not in known:
        raise DataError(f"{where}: unit {text!r} is none of {name}; known are {', '.join(known)}")
    return known[found]


def range_of(name: str) -> tuple[float, float]:
    """Least and greatest value of a day, of a quantity or of a channel that was added to `variables`."""
    found = QUANTITIES[name] if name in QUANTITIES else variables.named(name)
    return found.low, found.high
