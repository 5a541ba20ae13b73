"""A day's map as an xarray array: what `predict.py` writes, read from a file that is not kept."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from mlssm.config import PredictConfig
from mlssm.errors import DataError
from mlssm.inference.opened import Place
from mlssm.inference.retrieved import retrieved_days
from mlssm.jobs.day_file import map_path
from mlssm.jobs.day_map import onto_grid
from mlssm.jobs.predict import known_moments
from mlssm.jobs.stream import stream
from mlssm.mapping.arrays import image_array, map_array
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.workers import open_workers

if TYPE_CHECKING:
    import xarray as xr


def day_array(place: Place, config: PredictConfig, day: np.datetime64) -> xr.DataArray:
    """Map a day; see `mlssm.mapping.arrays.map_array`.

    Args:
        place: The trained run and the area.
        config: Which intervals; nothing is written into its `output`.
        day: That is mapped.

    Raises:
        DataError: Weather that the model needs is missing on that day.
    """
    days = np.array([day], "datetime64[D]")
    known_moments(place.opened(), days)
    with TemporaryDirectory() as folder, open_workers(config.dask) as workers:
        stream(place, config.model_copy(update={"output": Path(folder)}), days, workers)
        return map_array(map_path(Path(folder), day))


def retrieved_array(place: Place, first: np.datetime64, last: np.datetime64) -> xr.DataArray:
    """What was retrieved from the images of a span of days; see `mlssm.mapping.arrays.image_array`.

    Args:
        place: The trained run and the area.
        first: First local day.
        last: Last one, included.

    Raises:
        DataError: There is no image in these days, or the model has no references of the area.
    """
    opened = place.opened()
    cube, working = opened.cube, opened.stack.working
    if all(each is None for each in opened.retrievals):
        raise DataError(
            f"run {opened.run_id} knows no references of this area, so nothing is retrieved from its images"
        )
    masks = frozen_or_snowy(opened.field, cube.local_days, opened.bundle.images, cube.morning)
    found = dict(retrieved_days(cube, opened.stack, opened.retrievals, masks, first, last))
    if not found:
        raise DataError(f"no image from {first} to {last}: the area has {cube.local_days[0]} to {cube.local_days[-1]}")
    values = np.full((len(found), *cube.grid.shape), np.nan, np.float32)
    for image, extents in zip(values, found.values(), strict=True):
        for coarse, whole, ssm in zip(working.extents, cube.extents, extents, strict=True):
            window, fine = onto_grid(ssm, coarse, working.factor, whole)
            image[window.slices] = fine
    return image_array(values, cube.grid, list(found))
