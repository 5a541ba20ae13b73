"""Backscatter and its incidence angles, pass by pass, onto the grid."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from mlssm import cube
from mlssm.builds import are_whole
from mlssm.config import DatamoduleConfig
from mlssm.cube_writer import CubeWriter
from mlssm.errors import ChangedError, DataError
from mlssm.prepare.levels import Levels
from mlssm.prepare.passes import PassItem, PassTask, Places, prepare_pass
from mlssm.prepare.ranks import Ranks
from mlssm.provenance import FileDigests, State, state_of
from mlssm.sources.backscatter import BackscatterIndex
from mlssm.sources.faults import BadFiles
from mlssm.sources.passes import Pass
from mlssm.weather.clock import last_closed
from mlssm.weather.windows import window_end
from mlssm.workers import Workers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """The passes that were written.

    Attributes:
        passes: Those that have a value anywhere, in the order of the array.
        files: Checksum of each file, by its path below the cube.
    """

    passes: tuple[Pass, ...]
    files: dict[str, str]


def create_backscatter(writer: CubeWriter, places: Places) -> None:
    """Create the array that tasks write into."""
    lead = (places.passes, len(places.polarisations))
    writer.raster("backscatter", ("time", "polarisation"), lead, cube.BACKSCATTER_SCALE, "dB")


def write_backscatter(
    task: PassTask,
    index: BackscatterIndex,
    workers: Workers,
    config: DatamoduleConfig,
    digests: FileDigests,
    bad: BadFiles,
) -> Written:
    """Write the passes, those that are not yet, and leave out those without a value.

    Args:
        task: Where to.
        index: The passes.
        workers: Who does it.
        config: The area.
        digests: Learns those of the files.
        bad: Takes note of what tasks noted.

    Raises:
        DataError: No image has a valid pixel; or see `prepare_pass`.
    """
    items = [PassItem(number, overpass, _states(overpass)) for number, overpass in enumerate(index.passes)]
    ranks = Ranks(task.build, task.group / "backscatter")
    moved = ranks.moved
    if moved and not all(_is_done(task, item, moved) for item in items):
        task.build.discard()  # passes stand at other places by now
        raise ChangedError(f"files of {config.root} changed while its cube was completed; start the same command again")
    left = [item for item in items if not _is_done(task, item, moved)]
    if len(left) < len(items):
        log.info("%d of %d passes are on the grid from before", len(items) - len(left), len(items))
    workers.run(partial(prepare_pass, task), left, "backscatter onto the grid")
    notes = [_marked(task, item) for item in items]
    _tell(items, notes, index, bad)
    for note in notes:
        digests.learn_all(note["states"])
    kept = [item for item, note in zip(items, notes, strict=True) if note["measured"]]
    if not kept:
        raise DataError(
            f"no image in {config.root / config.backscatter.folder} has a valid pixel; "
            f"check datamodule.backscatter.units={index.passes[0].images[0].stored.units} and the images' missing value"
        )
    if task.beside is not None:
        task.beside.finish(task.build.folder, task.places, notes)
    ranks.close([item.number for item in kept], len(items))
    return Written(tuple(item.overpass for item in kept), _checksums(kept, notes))


def _states(overpass: Pass) -> dict[Path, State]:
    return {image.path: state_of(image.path) for image in overpass.images}


def _is_done(task: PassTask, item: PassItem, moved: bool) -> bool:
    """Whether a pass was written from the files as they are now, and is there; `moved`: maybe at another place."""
    note = task.build.marked(item.name)
    if note is None:
        return False
    same = all(item.states.get(Path(path)) == tuple(state) for path, (state, *_) in note["states"].items())
    return same and (moved or are_whole(task.group / "backscatter" / "c" / str(item.number), note["files"]))


def _marked(task: PassTask, item: PassItem) -> dict[str, Any]:
    note = task.build.marked(item.name)
    if note is None:
        raise DataError(f"the marker of {item.overpass.acquired} in {task.build.folder} is gone; start again")
    return note


def _tell(
    items: Sequence[PassItem], notes: Sequence[Mapping[str, Any]], index: BackscatterIndex, bad: BadFiles
) -> None:
    """Say what was noted of the passes."""
    levels = Levels()
    for item, note in zip(items, notes, strict=True):
        bad.take(note["bad"])
        if not note["measured"]:
            log.warning("the pass of %s has no valid pixel: left out", item.overpass.acquired)
        for extent, found in enumerate(note["levels"]):
            levels.note(item.overpass, index.polarisations, found, extent)
    levels.tell(bad)


def _checksums(kept: Sequence[PassItem], notes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of the passes' files, where they are once those that are kept were moved up."""
    return {
        f"backscatter/c/{position}/{name}": checksum
        for position, item in enumerate(kept)
        for name, (_, checksum) in notes[item.number]["files"].items()
    }


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
