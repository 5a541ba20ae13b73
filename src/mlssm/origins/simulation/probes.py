"""Probes in the ground: what stations measure of the true soil moisture of their pixel, as a plain table.

A probe reports water by volume: porosity x relative storage, with an error of its own that lasts and one of each day.
It fails for days on end, and some of its values are wrong, which its flag says.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.origins.simulation.arrays import Floats
from mlssm.origins.simulation.landscape import Landscape
from mlssm.origins.simulation.scene import Scene, daily_moisture
from mlssm.origins.simulation.stations import gaps, spread
from mlssm.origins.simulation.streams import Component, stream

FOLDER, FILE = "insitu", "probes.csv"
PROBES = 6
OFFERED = 4  # times as many places, of which those on land are taken
# of sand, loam, silt and clay: Clapp & Hornberger 1978 (Water Resour. Res. 14, table 2; silt as silt loam)
POROSITY = (0.395, 0.451, 0.485, 0.482)
DEPTH_M = 0.05
CALIBRATION_ERROR, DAILY_ERROR = 0.02, 0.01  # m3/m3, standard deviations
GAP_FRACTION, GAP_DAYS = 0.1, 12.0
WRONG_SHARE = 0.02  # of the days; a value at random, and flagged
GOOD, WRONG = "G", "D"


@dataclass(frozen=True)
class Probe:
    """A probe: its name, its pixel, and degrees."""

    name: str
    row: int
    col: int
    longitude: float
    latitude: float


@dataclass
class Probes:
    """The probes of a scene, which are shown the moisture day by day.

    Attributes:
        scene: What they stand in.
        places: The probes.
        days: Those that they were shown.
        truth: Relative storage at each probe at the end of each of them, 0..1.
    """

    scene: Scene
    places: tuple[Probe, ...]
    days: list[dt.date] = field(default_factory=list)
    truth: list[Floats] = field(default_factory=list)

    @classmethod
    def of(cls, scene: Scene) -> Probes:
        """Place them."""
        return cls(scene, place_probes(scene.config.seed, scene.landscape))

    def see(self, day: dt.date, ssm: Floats) -> None:
        """Keep a day's moisture."""
        self.days.append(day)
        self.truth.append(np.array([ssm[probe.row, probe.col] for probe in self.places], float))

    def write(self, folder: Path) -> None:
        """Write the table of all probes into a folder that is there."""
        truth = np.array(self.truth).reshape(len(self.days), len(self.places))
        tables = [self._table(number, truth[:, number]) for number in range(len(self.places))]
        pd.concat(tables).to_csv(folder / FILE, index=False, lineterminator="\n")

    def _table(self, number: int, truth: Floats) -> pd.DataFrame:
        probe, seed = self.places[number], self.scene.config.seed
        soil = int(self.scene.landscape.soil[probe.row, probe.col])
        rng = stream(seed, Component.PROBE_ERRORS, number)
        moisture, flag = measured(truth, POROSITY[max(soil, 1) - 1], rng)
        missing = gaps(stream(seed, Component.PROBE_GAPS, number), len(truth), GAP_FRACTION, GAP_DAYS)
        kept = np.flatnonzero(~missing)
        return pd.DataFrame(
            {
                "station": probe.name,
                "longitude": probe.longitude,
                "latitude": probe.latitude,
                "date": np.array(self.days, "datetime64[D]")[kept].astype(str),
                "depth": DEPTH_M,
                "soil_moisture": moisture[kept].round(4),
                "unit": "m3/m3",
                "flag": flag[kept],
            }
        )


def write_probes(scene: Scene, folder: Path) -> None:
    """Write `insitu` alone into an area's folder: for one that an earlier version wrote."""
    probes = Probes.of(scene)
    for day, ssm in daily_moisture(scene):
        probes.see(day, ssm)
    probes.write(folder)


def place_probes(seed: int, landscape: Landscape) -> tuple[Probe, ...]:
    """Up to `PROBES` pixels on land, spread over the area."""
    grid = landscape.grid
    places = spread(stream(seed, Component.PROBE_PLACES), OFFERED * PROBES, 0.45)
    rows, cols = ((0.5 + places.T) * np.array([[grid.height], [grid.width]])).astype(int)
    pixels = [(int(row), int(col)) for row, col in zip(rows, cols, strict=True) if landscape.land[row, col]]
    chosen = list(dict.fromkeys(pixels))[:PROBES]
    x, y = grid.centres(grid.full)
    degrees = grid.geographic(np.array([x[col] for _, col in chosen]), np.array([y[row] for row, _ in chosen]))
    return tuple(
        Probe(f"PROBE{number}", row, col, round(float(longitude), 6), round(float(latitude), 6))
        for number, ((row, col), longitude, latitude) in enumerate(zip(chosen, *degrees, strict=True), 1)
    )


def measured(truth: Floats, porosity: float, rng: np.random.Generator) -> tuple[Floats, npt.NDArray[np.str_]]:
    """What a probe reports, m3/m3 [day], and the flag of each value.

    Args:
        truth: Relative storage, 0..1 [day].
        porosity: Share of the soil that water can fill.
        rng: The stream of its errors.
    """
    found = porosity * truth + CALIBRATION_ERROR * rng.standard_normal() + DAILY_ERROR * rng.standard_normal(len(truth))
    wrong = rng.random(len(truth)) < WRONG_SHARE
    found = np.where(wrong, rng.uniform(0, porosity, len(truth)), found)
    return np.clip(found, 0, porosity), np.where(wrong, WRONG, GOOD)
