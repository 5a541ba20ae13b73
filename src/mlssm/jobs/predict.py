"""From a trained run to maps: what `predict.py` does."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np

from mlssm.config import PredictConfig
from mlssm.data.moment import Moment
from mlssm.errors import DataError
from mlssm.inference.mapper import Days, Mapper
from mlssm.inference.opened import Opened
from mlssm.inference.tiles import plan_tiles
from mlssm.jobs.day_file import map_path
from mlssm.jobs.gone import tell_gone
from mlssm.jobs.lacking import last_possible, reasons, tell_bridged
from mlssm.jobs.open_run import check_fit, find_place
from mlssm.jobs.products import check_products, write_products
from mlssm.jobs.stream import days_to_map, discard_unfinished, stream
from mlssm.mapping.days import parse_days
from mlssm.workers import open_workers

log = logging.getLogger(__name__)


def predict(config: PredictConfig) -> list[Path]:
    """Map SSM of each day: one Cloud-Optimised GeoTIFF and one PNG preview a day.

    Returns:
        The GeoTIFFs, also of days whose maps were there already.

    Raises:
        MlssmError: The run, the model or the area do not allow it; the message says what to do.
    """
    config = config.model_copy(update={"output": config.dask.shared(config.output)})
    asked = None if config.dates is None else parse_days(config.dates)
    plan_tiles(config.tile, config.tile, config.tile, config.overlap)  # refuses what does not fit before any work
    with tempfile.TemporaryDirectory() as folder:
        place = find_place(config, Path(folder), certain=config.intervals != "none", state=config.state)
        opened = place.opened()
        check_fit(opened)
        tell_gone(opened)
        check_products(opened, config)
        days = settle_days(opened, asked)
        tell_bridged(opened, days)
        left = days_to_map(opened, config, days)
        with open_workers(config.dask) as workers:
            if len(left):
                stream(place, config, left, workers)
            discard_unfinished(opened, config)
            paths = [map_path(config.output, day) for day in days]
            write_products(opened, paths, config, workers)
    return paths


def settle_days(opened: Opened, asked: Days | None) -> Days:
    """The days that are mapped, sorted.

    Args:
        opened: The model and the extent.
        asked: None: the last day that the weather reaches.

    Raises:
        DataError: No day can be mapped.
    """
    if asked is None:
        return last_day(opened)
    return np.array(sorted(known_moments(opened, asked)), "datetime64[D]")


def last_day(opened: Opened) -> Days:
    """The last day that can be mapped.

    Raises:
        DataError: None of the last days can.
    """
    lag, last = opened.bundle.window.lag, opened.cube.weather.days[-1]
    # the map of a morning has the weather of the day before
    days = np.arange(last - np.timedelta64(lag, "D"), last + np.timedelta64(2, "D"))
    day = max(known_moments(opened, days, quiet=True))
    log.info("dates: %s, the last day that the weather reaches", day)
    return np.array([day], "datetime64[D]")


def known_moments(mapper: Mapper | Opened, days: Days, *, quiet: bool = False) -> dict[np.datetime64, Moment]:
    """Weather and NDVI of the days that can be mapped; the log names those that cannot, unless it is to be quiet.

    Raises:
        DataError: No day can be mapped.
    """
    first, last = mapper.cube.weather.days[[0, -1]]
    lag = mapper.bundle.window.lag
    # a window that ends later than this has no weather in it at all
    near = days[(days >= first) & (days <= last + np.timedelta64(lag, "D"))]
    moments = {day: moment for day in near if (moment := mapper.moment(day)) is not None}
    record = f"the stations have {first} to {last}"
    if not moments:
        last_day = last_possible(mapper)
        until = "no day can be mapped" if last_day is None else f"the last day that can be mapped is {last_day}"
        raise DataError(
            f"dates: none of the {len(days)} days ({_span(days)}) has all that the model needs in its window of {lag} "
            f"days ({reasons(mapper, days)}); {record}, and {until}"
        )
    without = np.array([day for day in days if day not in moments], "datetime64[D]")
    if len(without) and not quiet:
        text = "%d of %d days are left out, as something lacks that the model needs in their window of %d days (%s): %s"
        log.warning(text, len(without), len(days), lag, record, reasons(mapper, without))
    return moments


def _span(days: Days) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
