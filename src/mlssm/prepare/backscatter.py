"""Backscatter and its incidence angles, pass by pass, onto the grid."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np

from mlssm import cube
from mlssm.config import DatamoduleConfig
from mlssm.cube import Array
from mlssm.cube_writer import CubeWriter
from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.progress import track
from mlssm.sources.backscatter import BackscatterIndex, read_pass
from mlssm.sources.checks.backscatter import check_polarisations
from mlssm.sources.faults import BadFiles
from mlssm.sources.passes import Pass
from mlssm.sources.static import read_incidence
from mlssm.weather.windows import window_end

log = logging.getLogger(__name__)

# weather moves the median of an area by less, dB; another unit or quantity by more
FAR_FROM_OTHERS = 5.0
LEAST_OTHERS = 4
STEP = 4  # of the pixels that the median is taken of


@dataclass
class Levels:
    """Medians of the passes, dB, by orbit, polarisation and area, to find one that is not like the others."""

    _medians: dict[tuple[int, str, int], list[tuple[Pass, float]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, overpass: Pass, polarisations: Sequence[str], layers: Sequence[Array | None], area: int) -> None:
        """Remember the medians of a pass on an area."""
        for polarisation, layer in zip(polarisations, layers, strict=True):
            known = None if layer is None else layer[::STEP, ::STEP]
            if known is not None and np.isfinite(known).any():
                self._medians[overpass.orbit, polarisation, area].append((overpass, float(np.nanmedian(known))))

    def tell(self, bad: BadFiles) -> None:
        """Warn of passes far from the others of their orbit on every area; on one alone it may be wind on water."""
        away: dict[tuple[Pass, str], list[tuple[float, float]]] = defaultdict(list)
        for (_, polarisation, _), found in self._medians.items():
            middle = float(np.median([median for _, median in found]))
            for overpass, median in found if len(found) > LEAST_OTHERS else ():
                away[overpass, polarisation].append((median, middle))
        for (overpass, polarisation), each in away.items():
            if all(abs(median - middle) > FAR_FROM_OTHERS for median, middle in each):
                name = next(image.path.name for image in overpass.images if image.polarisation == polarisation)
                bad.say(
                    f"{name} has a median of {each[0][0]:.1f} dB, the other {polarisation} images of orbit "
                    f"{overpass.orbit} one of {each[0][1]:.1f} dB: another unit or quantity, or snow or flood?"
                )


def write_backscatter(
    writer: CubeWriter, config: DatamoduleConfig, index: BackscatterIndex, bad: BadFiles
) -> tuple[Pass, ...]:
    """Write the passes that have a value anywhere, and return them."""
    lead = (len(index.passes), len(index.polarisations))
    array = writer.raster("backscatter", ("time", "polarisation"), lead, cube.BACKSCATTER_SCALE, "dB")
    kept: list[Pass] = []
    levels = Levels()
    for overpass in track(index.passes, "backscatter onto the grid"):
        measured = False
        for number, area in enumerate(index.areas):
            layers = _layers(overpass, index, area, bad)
            if any(layer is not None for layer in layers):
                levels.note(overpass, index.polarisations, layers, number)
                packed = [_packed(layer, area, cube.BACKSCATTER_SCALE) for layer in layers]
                array[len(kept), :, *area.slices] = np.stack(packed)
                measured = True
        if measured:
            kept.append(overpass)
        else:
            log.warning("the pass of %s has no valid pixel: left out", overpass.acquired)
    if not kept:
        raise DataError(
            f"no image in {config.root / config.backscatter.folder} has a valid pixel; "
            f"check datamodule.backscatter.units={index.passes[0].images[0].stored.units} and the images' missing value"
        )
    levels.tell(bad)
    array.resize((len(kept), *array.shape[1:]))
    return tuple(kept)


def _layers(overpass: Pass, index: BackscatterIndex, area: Window, bad: BadFiles) -> list[Array | None]:
    """One pass on one area, dB, in the order of the polarisations; all None where they contradict each other."""
    layers = [read_pass(overpass, pol, index.grid, area, bad) for pol in index.polarisations]
    path = overpass.images[0].path
    with bad.handled(path):
        check_polarisations(path, dict(zip(index.polarisations, layers, strict=True)))
        return layers
    return [None for _ in layers]


def _packed(layer: Array | None, area: Window, scale: float) -> cube.Packed:
    return np.full(area.shape, cube.FILL) if layer is None else cube.pack(layer, scale)


def write_times(writer: CubeWriter, passes: Sequence[Pass], zone: ZoneInfo) -> None:
    """Write when, and on which relative orbit, each pass was acquired."""
    local = [overpass.acquired.astimezone(zone) for overpass in passes]
    seconds = np.array([int(overpass.acquired.timestamp()) for overpass in passes], np.int64)
    meaning = {"units": "seconds since 1970-01-01", "long_name": "acquisition, UTC"}
    writer.array("time", seconds, ("time",), meaning)
    writer.days("local_day", (moment.date() for moment in local), "time")
    writer.days("window_end", (window_end(moment) for moment in local), "time")
    writer.array("orbit", np.array([overpass.orbit for overpass in passes], np.int64), ("time",))
    platforms = [overpass.platform for overpass in passes]
    codes = np.array([cube.PLATFORMS.index(name) if name in cube.PLATFORMS else 0 for name in platforms], np.int8)
    flags = {"flag_values": [*range(len(cube.PLATFORMS))], "flag_meanings": " ".join(["unknown", *cube.PLATFORMS[1:]])}
    writer.array("platform", codes, ("time",), flags)


def write_incidence(writer: CubeWriter, index: BackscatterIndex, bad: BadFiles) -> None:
    """Write the incidence angles of the orbits that have them."""
    if not index.incidence:
        return
    lead = (len(index.incidence),)
    array = writer.raster("incidence", ("incidence_orbit",), lead, cube.ANGLE_SCALE, "degrees")
    for position, orbit in enumerate(sorted(index.incidence)):
        for area in index.areas:
            angle = read_incidence(index.incidence[orbit], index.grid, area, bad, index.angle)
            array[position, *area.slices] = cube.pack(angle, cube.ANGLE_SCALE)
