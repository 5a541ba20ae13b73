"""What does not change in time: the place, its terrain, soil, land cover and textures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from mlssm.config import SimulationConfig
from mlssm.grid import DEGREES, Grid, Window
from mlssm.origins.simulation.arrays import Classes, Floats
from mlssm.origins.simulation.landcover import PATCHINESS, WATER_SHARE, Cover, Greenness, classify
from mlssm.origins.simulation.streams import Component, stream
from mlssm.origins.simulation.terrain import (
    fill_lake,
    quantile_rank,
    slope_degrees,
    spectral_field,
    synthesise_elevation,
    wetness_index,
)

AREA_CRS = "EPSG:32611"
AREA_CENTRE = (-119.9, 34.5)  # longitude, latitude: the hills north of Santa Barbara, so Pacific time
MARGIN = 0.3  # terrain beyond each side of the area, as a share of its size: for stations and the DEM
SOIL_CHANCE = 1.0  # standard deviation of the chance in the soil map; that of wetness is 1
ROUGHNESS_EXPONENT = 1.0  # nearly white: roughness changes from field to field


@dataclass(frozen=True)
class Landscape:
    """The area; arrays have the grid's shape but for `wide_elevation`.

    Attributes:
        grid: The area's grid.
        wide: The grid with a margin on each side.
        wide_elevation: On the wide grid, metres.
        elevation: Metres.
        slope: Degrees.
        wetness: Topographic wetness, 0..1.
        cover: Values of `Cover`.
        soil: Classes 1 to 4; 0 under water.
        greenness: The yearly course of NDVI.
        roughness: Texture with mean 0 and standard deviation 1.
    """

    grid: Grid
    wide: Grid
    wide_elevation: Floats
    elevation: Floats
    slope: Floats
    wetness: Floats
    cover: Classes
    soil: Classes
    greenness: Greenness
    roughness: Floats

    @property
    def land(self) -> npt.NDArray[np.bool_]:
        """Where there is soil: all but open water."""
        return np.asarray(self.cover != Cover.WATER)


def area_grid(size: int, pixel_m: float) -> Grid:
    """A square grid of `size` pixels around the area's centre, its corner on a whole multiple of the pixel."""
    x, y = Transformer.from_crs(DEGREES, AREA_CRS, always_xy=True).transform(*AREA_CENTRE)
    half = size // 2
    origin = ((round(x / pixel_m) - half) * pixel_m, (round(y / pixel_m) + half) * pixel_m)
    return Grid(AREA_CRS, origin, pixel_m, size, size)


def widen(grid: Grid) -> tuple[Grid, Window]:
    """The grid with its margin, and the window of the grid within it."""
    margin = math.ceil(MARGIN * grid.width)
    origin = (grid.origin[0] - margin * grid.pixel, grid.origin[1] + margin * grid.pixel)
    wide = Grid(grid.crs, origin, grid.pixel, grid.height + 2 * margin, grid.width + 2 * margin)
    return wide, Window(margin, margin, grid.height, grid.width)


def soil_classes(rng: np.random.Generator, wetness: Floats) -> Classes:
    """Soil from 1 (sand, on crests) to 4 (clay, in hollows), a quarter of the area each, uint8.

    Args:
        rng: The stream to draw from.
        wetness: Topographic wetness, 0..1.
    """
    chance = SOIL_CHANCE * spectral_field(rng, wetness.shape, PATCHINESS)
    standard = (wetness - wetness.mean()) / wetness.std()
    return (np.digitize(quantile_rank(standard + chance), (0.25, 0.5, 0.75)) + 1).astype(np.uint8)


def build_landscape(config: SimulationConfig) -> Landscape:
    """Draw the area from its seed."""
    grid = area_grid(config.size, config.pixel_m)
    wide, inner = widen(grid)
    dry = synthesise_elevation(stream(config.seed, Component.TERRAIN), wide.shape, grid.pixel)
    level = float(np.quantile(dry[inner.slices], WATER_SHARE))
    if level < 0:  # the relief of a large area is: its lowest water is the sea
        dry, level = dry - np.float32(level), 0.0
    wide_elevation = fill_lake(dry, level)
    elevation = wide_elevation[inner.slices]
    cover = classify(stream(config.seed, Component.LAND_COVER), elevation, level)
    wetness = wetness_index(elevation, grid.pixel)
    soil = soil_classes(stream(config.seed, Component.SOIL), wetness)
    return Landscape(
        grid=grid,
        wide=wide,
        wide_elevation=wide_elevation,
        elevation=elevation,
        slope=slope_degrees(wide_elevation, grid.pixel)[inner.slices],
        wetness=wetness,
        cover=cover,
        soil=np.where(cover == Cover.WATER, np.uint8(0), soil),
        greenness=Greenness.draw(stream(config.seed, Component.GREENNESS), cover),
        roughness=spectral_field(stream(config.seed, Component.ROUGHNESS), grid.shape, ROUGHNESS_EXPONENT),
    )
