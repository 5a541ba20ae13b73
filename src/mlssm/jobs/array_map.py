"""A day's map as an xarray array: what `predict.py` writes, without the file."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from mlssm.config import PredictConfig
from mlssm.inference.mapper import Mapper
from mlssm.jobs.day_map import bands, blocks_of, certainty_tags, map_day
from mlssm.jobs.predict import known_moments, map_tags
from mlssm.mapping.arrays import map_array

if TYPE_CHECKING:
    import xarray as xr


def day_array(mapper: Mapper, config: PredictConfig, day: np.datetime64) -> xr.DataArray:
    """Map a day; see `mlssm.mapping.arrays.map_array`.

    Args:
        mapper: The model, opened on the area.
        config: Tiles, and which intervals.
        day: That is mapped.

    Raises:
        DataError: Weather that the model needs is missing on that day.
    """
    moment = known_moments(mapper, np.array([day], "datetime64[D]"))[day]
    found = map_day(mapper, config, day, moment, mapper.water())
    about = bands(found, mapper, config)
    values = {"ssm": blocks_of(found.values["ssm"], mapper), **{band.name: band.blocks for band in about}}
    tags = {**map_tags(mapper, day.astype(dt.date), moment), **certainty_tags(found, mapper, config, day)}
    return map_array(values, about, mapper.cube.grid, tags)
