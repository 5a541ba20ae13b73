"""One day's files, from the tiles: the map and its preview."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlssm.grid import Window
from mlssm.inference.means import ExtentPart
from mlssm.inference.opened import Opened
from mlssm.jobs.block_means import BlockMeans
from mlssm.jobs.day_map import about_bands, band_names, onto_grid, unknown_to_training
from mlssm.jobs.day_tags import day_tags
from mlssm.jobs.day_totals import DayTotals
from mlssm.jobs.settings_of_maps import INPUT, SETTINGS, input_digest, settings_digest
from mlssm.jobs.tile import TileJob, tile_file
from mlssm.mapping.geotiff import MapWriter
from mlssm.mapping.preview import MapPanel, write_preview

log = logging.getLogger(__name__)
MOST_SHOWN = 1500  # pixels along the longer side of an extent in the preview
MOSTLY = 0.5  # share of a cell of the preview


def map_path(folder: Path, day: np.datetime64) -> Path:
    """Where a day's map is."""
    return folder / f"ssm_{str(day).replace('-', '')}.tif"


def write_day(job: TileJob, parts: Sequence[ExtentPart], number: int) -> bool:
    """Write the map of one of the job's days and its preview, which is there where the map is.

    Returns:
        Whether the map has a value.

    Raises:
        DataError: A file cannot be written.
    """
    opened, config, day = job.place.opened(), job.config, job.days[number]
    names, totals = band_names(opened, config), DayTotals()
    panels, unknown = ([_panel(shape) for shape in opened.shapes] for _ in range(2))
    path = map_path(config.output, day)
    bands = about_bands(names, config, str(day))
    with MapWriter(path, opened.cube.grid, bands, packed=config.products.uint8) as target:
        for part in parts:
            tile = np.array(np.load(tile_file(job.folder, part), mmap_mode="r")[number])
            totals.add(dict(zip(names, tile, strict=True)))
            panels[part.extent].add(part.window, tile[0])
            unknown[part.extent].add(part.window, unknown_to_training(dict(zip(names, tile, strict=True))))
            for band, values in enumerate(tile, 1):
                target.write(band, *onto_grid(values, *_placed(opened, part)))
        made = {SETTINGS: settings_digest(opened, config), INPUT: input_digest(opened, day)}
        target.tag({**day_tags(opened, config, day, totals), **made})
        _preview(opened, panels, unknown, path, day)
    return bool(totals.counts["ssm"])


def _placed(opened: Opened, part: ExtentPart) -> tuple[Window, int, Window]:
    """A tile's window on the working grid, the grid's factor, and the extent on the cube's own grid."""
    working = opened.stack.working
    extent, window = working.extents[part.extent], part.window
    placed = Window(extent.row + window.row, extent.col + window.col, *window.shape)
    return placed, working.factor, opened.cube.extents[part.extent]


def _panel(shape: tuple[int, int]) -> BlockMeans:
    """An extent's map as coarsely as a preview shows it."""
    return BlockMeans(shape, max(1, -(-max(shape) // MOST_SHOWN)))


def _preview(
    opened: Opened, panels: Sequence[BlockMeans], unknown: Sequence[BlockMeans], path: Path, day: np.datetime64
) -> None:
    working, date = opened.stack.working, dt.date.fromisoformat(str(day))
    shown = []
    for number, (panel, not_known, window) in enumerate(zip(panels, unknown, working.extents, strict=True), 1):
        whole = Window(window.row, window.col, *(size * panel.factor for size in panel.values.shape))
        grid = working.grid.crop(whole).coarsen(panel.factor)
        hatched = np.nan_to_num(not_known.values) > MOSTLY
        shown.append(MapPanel(f"extent {number}", panel.values, grid, hatched))
    write_preview(path.with_suffix(".png"), shown, date, "Surface soil moisture")
