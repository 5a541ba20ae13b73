"""Maps of many days from the area's files, tile by tile; a command that was killed goes on where it was.

Blocks of days follow each other. Of a block each tile is mapped on all its days, which share what does not depend on
the day, and has a file in a folder `unfinished-<settings>` beside the maps; then each day's map is made from the tiles.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mlssm.config import PredictConfig
from mlssm.errors import DataError
from mlssm.files import disk_fault, sweep, whole_file
from mlssm.grid import Window
from mlssm.inference.chains import together
from mlssm.inference.mapper import Days, day_of
from mlssm.inference.means import ExtentPart, extent_means
from mlssm.inference.opened import Opened, Place
from mlssm.inference.surround import side_by_side
from mlssm.jobs.day_file import map_path, write_day
from mlssm.jobs.settings_of_maps import INPUT, SETTINGS, input_digest, settings_digest, shown, tags_of
from mlssm.jobs.tile import TileJob, write_tile
from mlssm.scratch import Trimmed
from mlssm.workers import Workers

log = logging.getLogger(__name__)
TILE = 512  # pixels along a tile
BLOCK, CARRIED_BLOCK = 16, 32  # days
UNFINISHED, BLOCKS, RECORD = "unfinished-", "*-*", "record.json"  # folder, folders in it, file in each of these
# what this command writes into a folder of maps
OWN = re.compile(
    r"(ssm|swi)_\d{8}\.(tif|png|json|qml|csv)|collection\.json|index\.html|zones\.\w+|ssm\.nc|lhasa|warning.*|unfinished-\w+"
)


def days_to_map(opened: Opened, config: PredictConfig, days: Days) -> Days:
    """The days whose maps are not there already.

    Raises:
        DataError: Another run or other settings made a map that is there, or what is there is no map; and
            `overwrite` is not set.
    """
    _check_folder(config.output, map_path(config.output, days[0]))
    settings, kept, changed, others = settings_digest(opened, config), [], [], []
    for day in days:
        path = map_path(config.output, day)
        if not path.exists():
            continue
        tags = tags_of(path) or {}
        if tags.get(SETTINGS) != settings:
            others.append(path.name)
        elif tags.get(INPUT) == input_digest(opened, day):
            kept.append(day)
        else:
            changed.append(path.name)
    if others and not config.overwrite:
        raise DataError(
            f"{config.output}: {shown(others)} {'is' if len(others) == 1 else 'are'} there, made by another run or "
            "with other settings; choose another output, or replace them: overwrite=true"
        )
    if kept:
        log.info("%d of %d maps are there already, made by this run with these settings", len(kept), len(days))
    if changed:
        log.info("made anew, as weather or images are others now: %s", shown(changed))
    return days[~np.isin(days, np.array(kept, "datetime64[D]"))]


def _check_folder(folder: Path, first: Path) -> None:
    """Say what is left alone in the folder; what a killed command was writing there vanishes.

    Raises:
        DataError: It is a file.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError(f"{first} cannot be written, as {folder} is a file; choose another folder")
    sweep(folder)
    foreign = sorted(each.name for each in folder.iterdir() if not OWN.fullmatch(each.name))
    if foreign:
        log.info("%s holds other files, which are left alone: %s", folder, shown(foreign))


def stream(place: Place, config: PredictConfig, days: Days, workers: Workers) -> None:
    """Map days.

    Args:
        place: The trained run and the extent.
        config: What is asked.
        days: Sorted; all can be mapped.
        workers: That map tiles and write maps.

    Raises:
        DataError: A file of the extent is bad, or one cannot be written.
    """
    opened = place.opened()
    folder = _unfinished(opened, config)
    try:
        if not workers.here:
            place = _moved(place, folder / "model")
        blocks = _blocks(opened, folder, days)
        for number, block in enumerate(blocks, 1):
            _map_block(place, config, block, workers, f" {number}/{len(blocks)}" if len(blocks) > 1 else "")
    except OSError as error:
        raise DataError(f"{config.output}: {disk_fault(error) or error}") from error


def discard_unfinished(opened: Opened, config: PredictConfig) -> None:
    """Remove what is needed no more, once all maps are there."""
    shutil.rmtree(_unfinished(opened, config), ignore_errors=True)


def _unfinished(opened: Opened, config: PredictConfig) -> Path:
    return config.output / f"{UNFINISHED}{settings_digest(opened, config)}"


@dataclass(frozen=True)
class Block:
    """Days whose tiles are made together.

    Attributes:
        folder: Of the tiles.
        days: That the tiles have, sorted.
        wanted: Those whose maps are not there yet.
    """

    folder: Path
    days: Days
    wanted: Days


def _blocks(opened: Opened, folder: Path, days: Days) -> list[Block]:
    """Those that an earlier command left unfinished, and then what is left of the days."""
    found = []
    for block in sorted(folder.glob(BLOCKS)):
        of_tiles = _recorded(block)
        known = np.array(list(of_tiles), "datetime64[D]")
        wanted = days[np.isin(days, known)]
        if len(wanted) and all(input_digest(opened, day) == of_tiles[str(day)] for day in known):
            found.append(Block(block, known, wanted))
            days = days[~np.isin(days, known)]
        else:
            shutil.rmtree(block)
    if found:
        log.info("going on with %d days whose tiles are there in part", sum(len(block.wanted) for block in found))
    for several in days_together(opened, days):
        found.append(Block(folder / f"{several[0]}-{len(several)}", several, several))
    return found


def _recorded(block: Path) -> dict[str, str]:
    """The digest of what the tiles of each day are made from; empty where a kill left tiles that are of no use."""
    try:
        return dict(json.loads((block / RECORD).read_bytes()))
    except FileNotFoundError:
        return {}


def days_together(opened: Opened, days: Days) -> list[Days]:
    """Days in blocks: where a state is carried, those of whole chains, so that few steps are made twice."""
    if not opened.carried:
        return [days[start : start + BLOCK] for start in range(0, len(days), BLOCK)]
    blocks = together(opened.chains(days), CARRIED_BLOCK)
    return [np.array([day_of(opened.bundle, end) for end in ends], "datetime64[D]") for ends in blocks]


def _map_block(place: Place, config: PredictConfig, block: Block, workers: Workers, which: str) -> None:
    """The tiles of some days, and then their maps."""
    opened, days = place.opened(), block.days
    parts = all_parts(opened)
    of_tiles = {str(day): input_digest(opened, day) for day in days}
    with whole_file(block.folder / RECORD) as record:
        record.write_text(json.dumps(of_tiles), encoding="utf-8")
    means = extent_means(place, parts, opened.step_days(days), workers)
    job = TileJob(place, config, days, means, block.folder)
    workers.run(Trimmed(partial(write_tile, job)), parts, f"tiles of {len(days)} days{which}")
    numbers = [int(number) for number in np.flatnonzero(np.isin(days, block.wanted))]
    valued = workers.run(Trimmed(partial(write_day, job, parts)), numbers, f"maps{which}")
    for day, has_value in zip(block.wanted, valued, strict=True):
        if not has_value:
            log.warning("the map of %s has no value: all its pixels are water, frozen, snowy or lack an input", day)
        log.info("wrote %s", map_path(config.output, day))
    shutil.rmtree(block.folder)


def _moved(place: Place, folder: Path) -> Place:
    """The model where workers of other processes find it."""
    shutil.copytree(place.bundle, folder, dirs_exist_ok=True)
    return replace(place, bundle=folder.absolute(), cube=place.cube.absolute())


def all_parts(opened: Opened) -> list[ExtentPart]:
    """The tiles of all extents."""
    wholes = enumerate(Window(0, 0, *shape) for shape in opened.shapes)
    return [ExtentPart(extent, window) for extent, whole in wholes for window in side_by_side(whole, TILE)]
