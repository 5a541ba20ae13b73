"""The units in which NOAA writes GHCN-Daily: its own tenths, or what its access service converts them to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.weather.quantities import unit_of

Declared = Literal["metric", "standard"] | None


@dataclass(frozen=True)
class Written:
    """An element's numbers: unit, as people write it; value = number * factor + offset; whether they are whole."""

    unit: str
    factor: float
    offset: float = 0.0
    whole: bool = False


def _written(name: str, unit: str) -> Written:
    found = unit_of(name, unit, "mlssm")
    return Written(unit, found.factor, found.offset)


# https://www.ncei.noaa.gov/support/access-data-service-api-user-documentation, `units`
CONVERTED: Mapping[str, Mapping[str, Written]] = {
    "metric": {
        "precipitation": _written("precipitation", "mm"),
        "max_temperature": _written("max_temperature", "degC"),
        "min_temperature": _written("min_temperature", "degC"),
        "wind": _written("wind", "m/s"),
        "relative_humidity": _written("relative_humidity", "%"),
        "snow_depth": _written("snow_depth", "mm"),
    },
    "standard": {
        "precipitation": _written("precipitation", "in"),
        "max_temperature": _written("max_temperature", "degF"),
        "min_temperature": _written("min_temperature", "degF"),
        "wind": _written("wind", "mph"),
        "relative_humidity": _written("relative_humidity", "%"),
        "snow_depth": _written("snow_depth", "in"),
    },
}
# what a header may say beside an element, as in "PRCP (Inches)"
IN_HEADERS: Mapping[str, Declared] = {"mm": "metric", "in": "standard", "inches": "standard"}
HEADER = re.compile(r"([A-Z0-9_]+)\s*\(([^)]*)\)")


def without_units(path: Path, lines: pd.DataFrame, declared: Declared) -> tuple[pd.DataFrame, Declared, str | None]:
    """Columns without the units that their headers state, the units, and a line on them.

    Raises:
        DataError: A header contradicts `datamodule.weather.units`.
    """
    stated = {name: match for name in lines.columns if (match := HEADER.fullmatch(name))}
    if not stated:
        return lines, declared, None
    rain = next((match[2].strip().lower() for match in stated.values() if match[1] == "PRCP"), "")
    found = IN_HEADERS.get(rain)
    if found is None or declared not in (None, found):
        raise DataError(
            f"{path}: its header has PRCP in {rain!r}, which is "
            + (f"{found}, and datamodule.weather.units={declared}" if found else "neither mm nor inches")
            + "; correct one of them"
        )
    named = lines.rename(columns={name: match[1] for name, match in stated.items()})
    return named, found, f"the header states {found} units"


def in_words(message: str, declared: Declared) -> str:
    """A check's words with the units that were declared in the place of tenths."""
    if declared is None:
        return message
    words = CONVERTED[declared]
    for tenths, name in (("mm", "precipitation"), ("degC", "max_temperature"), ("m/s", "wind")):
        message = message.replace(f"tenths of {tenths}", words[name].unit)
    return message
