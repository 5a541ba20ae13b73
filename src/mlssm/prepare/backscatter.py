"""Backscatter and its incidence angles, pass by pass, onto the grid."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np

from mlssm import cube
from mlssm.config import DatamoduleConfig
from mlssm.cube import Array
from mlssm.cube_writer import CubeWriter
from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.prepare.levels import Levels
from mlssm.progress import track
from mlssm.sources.backscatter import BackscatterIndex, read_pass
from mlssm.sources.checks.backscatter import check_polarisations
from mlssm.sources.faults import BadFiles
from mlssm.sources.passes import Pass
from mlssm.sources.static import read_incidence
from mlssm.weather.clock import last_closed
from mlssm.weather.windows import window_end

log = logging.getLogger(__name__)


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
        for number, extent in enumerate(index.extents):
            layers = _layers(overpass, index, extent, bad)
            if any(layer is not None for layer in layers):
                levels.note(overpass, index.polarisations, layers, number)
                packed = [_packed(layer, extent, cube.BACKSCATTER_SCALE) for layer in layers]
                array[len(kept), :, *extent.slices] = np.stack(packed)
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


def _layers(overpass: Pass, index: BackscatterIndex, extent: Window, bad: BadFiles) -> list[Array | None]:
    """One pass on one extent, dB, in the order of the polarisations; all None where they contradict each other."""
    layers = [read_pass(overpass, pol, index.grid, extent, bad) for pol in index.polarisations]
    path = overpass.images[0].path
    with bad.handled(path):
        check_polarisations(path, dict(zip(index.polarisations, layers, strict=True)))
        return layers
    return [None for _ in layers]


def _packed(layer: Array | None, extent: Window, scale: float) -> cube.Packed:
    return np.full(extent.shape, cube.FILL) if layer is None else cube.pack(layer, scale)


def write_times(writer: CubeWriter, passes: Sequence[Pass], zone: ZoneInfo, closing_hour: int | None = None) -> None:
    """Write when, and on which relative orbit, each pass was acquired.

    Args:
        writer: Of the cube.
        passes: In the order of time.
        zone: The area's.
        closing_hour: At which days of hourly weather end: no window ends after its image. None: without any.
    """
    local = [overpass.acquired.astimezone(zone) for overpass in passes]
    seconds = np.array([int(overpass.acquired.timestamp()) for overpass in passes], np.int64)
    meaning = {"units": "seconds since 1970-01-01", "long_name": "acquisition, UTC"}
    writer.array("time", seconds, ("time",), meaning)
    writer.days("local_day", (moment.date() for moment in local), "time")
    writer.days("window_end", (_window_end(moment, closing_hour) for moment in local), "time")
    writer.array("orbit", np.array([overpass.orbit for overpass in passes], np.int64), ("time",))
    platforms = [overpass.platform for overpass in passes]
    codes = np.array([cube.PLATFORMS.index(name) if name in cube.PLATFORMS else 0 for name in platforms], np.int8)
    flags = {"flag_values": [*range(len(cube.PLATFORMS))], "flag_meanings": " ".join(["unknown", *cube.PLATFORMS[1:]])}
    writer.array("platform", codes, ("time",), flags)


def _window_end(acquired_local: dt.datetime, closing_hour: int | None) -> dt.date:
    end = window_end(acquired_local)
    return end if closing_hour is None else min(end, last_closed(acquired_local, closing_hour))


def write_incidence(writer: CubeWriter, index: BackscatterIndex, bad: BadFiles) -> None:
    """Write the incidence angles of the orbits that have them."""
    if not index.incidence:
        return
    lead = (len(index.incidence),)
    array = writer.raster("incidence", ("incidence_orbit",), lead, cube.ANGLE_SCALE, "degrees")
    for position, orbit in enumerate(sorted(index.incidence)):
        for extent in index.extents:
            angle = read_incidence(index.incidence[orbit], index.grid, extent, bad, index.angle)
            array[position, *extent.slices] = cube.pack(angle, cube.ANGLE_SCALE)
