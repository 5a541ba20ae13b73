"""A day's map as an xarray array: what `predict.py` writes, read from a file that is not kept."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from mlssm.config import PredictConfig
from mlssm.inference.opened import Place
from mlssm.jobs.day_file import map_path
from mlssm.jobs.predict import known_moments
from mlssm.jobs.stream import stream
from mlssm.mapping.arrays import map_array
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
