"""A folder of dated NDVI rasters, scaled as they say, and masked where they have a mask of clouds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from rasterio.enums import Resampling

from mlssm.config.sources import NdviSource
from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.checks.ndvi import disagree, ndvi_layer
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.folder import raster_files
from mlssm.sources.images import DatedImage, index_images
from mlssm.sources.mosaic import Mosaic, Reading
from mlssm.sources.ndvi_masks import CloudMask, clear_share, masks_of, own_mask, tell_masks, without_masks
from mlssm.sources.ndvi_scale import Scale, recognised_scale
from mlssm.sources.raster import Lend, from_disk


@dataclass(frozen=True)
class NdviImage(DatedImage):
    """The NDVI of one day: one raster, or several tiles.

    Attributes:
        scale: Of whole numbers whose file states none; None: such are refused.
        masks: Of a file its mask of clouds.
    """

    scale: Scale | None = None
    masks: Mapping[Path, CloudMask] = field(default_factory=dict)


def index_ndvi(
    folder: Path,
    pattern: str | None,
    bad: BadFiles,
    latest: dt.datetime | None = None,
    source: NdviSource | None = None,
) -> list[NdviImage]:
    """All NDVI rasters of a folder by day, in the order of the days.

    Args:
        folder: The folder.
        pattern: Regular expression of whole names with the group `date`; None: names as producers write them.
        bad: Whether a file that cannot be read or dated stops the run or is left out.
        latest: As in `index_dated`.
        source: What is known of the files.

    Raises:
        ConfigError: The pattern is not a regular expression with the group `date`.
        DataError: The folder is missing, no name matches, a file is bad, or the scale of whole numbers is not told.
    """
    files = raster_files(folder, bad)
    rasters, beside = without_masks(files, bad)
    images = index_images(rasters, pattern, "ndvi_pattern", bad, latest)
    if not images:
        raise DataError(f"no NDVI raster in {folder} can be read; replace them, or set datamodule.ndvi=null")
    paths = [path for image in images for path in image.paths]
    stated = None if source is None or source.scale is None else Scale(source.scale, source.offset)
    scale = stated or recognised_scale(paths, bad)
    masks = masks_of(paths, beside) | own_mask(paths)
    tell_masks(paths, beside, masks, bad)
    return [NdviImage(image.paths, image.day, scale, masks) for image in images]


class NdviReading(Reading):
    """NDVI of one day, -1..1, NaN where missing; of two tiles the first that has a value.

    Where a mask of clouds is there, a pixel that is made from any cloudy one is missing. See
    `mlssm.sources.mosaic.Mosaic`.
    """

    def __init__(self, grid: Grid, bad: BadFiles, lend: Lend = from_disk, *, image: NdviImage) -> None:
        """Open nothing yet.

        Args:
            grid: The grid.
            bad: Whether a bad file stops the run or is left out.
            lend: Gives a file's content.
            image: The day's files.
        """
        layer = ndvi_layer(bad, image.scale)
        make = partial(Mosaic, grid=grid, resampling=Resampling.bilinear, bad=bad, layer=layer, lend=lend)
        if not image.masks:
            self._tiles: list[tuple[Mosaic, Mosaic | None]] = [(make(image.paths, disagree=disagree), None)]
            return
        self._tiles = [
            (make([path]), clear_share(image.masks[path], grid, bad, lend) if path in image.masks else None)
            for path in image.paths
        ]

    def close(self) -> None:
        """Close the files."""
        for mosaic in self._mosaics():
            mosaic.close()

    def window(self, window: Window) -> Array:
        """NDVI of a window, float32 [height, width].

        Raises:
            DataError: A file cannot be read, or its values are not NDVI (-1..1), and the policy is "error".
        """
        found = np.full(window.shape, np.nan, np.float32)
        for ndvi, mask in self._tiles:
            values = ndvi.window(window)
            if mask is not None:
                values = np.where(mask.window(window) == 1, values, np.float32(np.nan))
            found = np.where(np.isnan(found), values, found)
        return found

    def judged(self) -> bool:
        """Whether what was read stands.

        Raises:
            DataError: A file holds no NDVI, and the policy is "error"; or two tiles disagree.
        """
        stands = all([mosaic.judged() for mosaic in self._mosaics()])
        if not stands:
            for mosaic in self._mosaics():
                mosaic.begin()
        return stands

    def _mosaics(self) -> Iterator[Mosaic]:
        return (mosaic for tile in self._tiles for mosaic in tile if mosaic is not None)
