"""A small archive of ISMN, written as the network delivers them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.config import GroundTableConfig, parse

STATIC = """quantity_name;unit;depth_from[m];depth_to[m];value;description;quantity_source_name
land cover classification;-;-99.9;-99.9;130;Grassland;CCI_landcover_2010
climate classification;-;-99.9;-99.9;Csb;Temperate Dry Warm Summer;koeppen_geiger_2007
clay fraction;% weight;0.0;0.3;22.0;;HWSD
"""


class Archive:
    """Writes files of ISMN."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self,
        station: str,
        values: Sequence[float],
        flags: Sequence[str] | None = None,
        *,
        variable: str = "sm",
        depth: tuple[float, float] = (0.05, 0.05),
        place: tuple[float, float] = (-119.85, 34.45),
        start: str = "2021-01-01T00",
        form: str = "header_values",
        instrument: str = "Hydraprobe",
        network: str = "NET",
    ) -> Path:
        """Hourly values of one sensor."""
        folder = self.root / network / station
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{network}_{network}_{station}_static_variables.csv").write_text(STATIC, encoding="ascii")
        times = pd.date_range(start, periods=len(values), freq="h")
        first, last = times[0].strftime("%Y%m%d"), times[-1].strftime("%Y%m%d")
        upper, lower = (f"{each:.6f}" for each in depth)
        name = f"{network}_{network}_{station}_{variable}_{upper}_{lower}_{instrument}_{first}_{last}.stm"
        lon, lat = place
        head = f"{network} {network} {station} {lat:10.5f} {lon:10.5f} {120.0:8.2f} {depth[0]:8.4f} {depth[1]:8.4f}"
        lines = [] if form == "ceop_sep" else [f"{head} {instrument}"]
        for time, value, flag in zip(times, values, flags or ["G"] * len(values), strict=True):
            when = time.strftime("%Y/%m/%d %H:%M")
            if form == "ceop_sep":
                lines.append(f"{when} {when} {head} {value:8.4f} {flag} M")
            else:
                lines.append(f"{when} {value:8.4f} {flag} M")
        path = folder / name
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        return path


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "ismn")


PLAIN = {
    "station": "station",
    "longitude": "longitude",
    "latitude": "latitude",
    "date": "date",
    "depth": "depth",
    "depth_unit": "m",
    "depth_m": None,
    "moisture": "soil_moisture",
    "units": None,
    "temperature": None,
    "flag": "flag",
    "good": ["G"],
    "sensor": None,
    "time_zone": "UTC",
}


@pytest.fixture
def columns():
    """The shipped columns of plain tables, with changes."""
    return lambda **changes: parse(GroundTableConfig, PLAIN | changes)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
