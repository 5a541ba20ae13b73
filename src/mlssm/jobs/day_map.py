"""The bands of a day's map, on a part of an extent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mlssm.config import PredictConfig
from mlssm.data.moment import Moment, PrefitMaps
from mlssm.grid import Window
from mlssm.inference.certainty import Sure, Wanted
from mlssm.inference.extent import ExtentMap
from mlssm.inference.flags import (
    FROZEN,
    LEGEND,
    MEANING,
    MISSING,
    NO_IMAGE,
    OUTSIDE,
    WATER,
    DayFlags,
    flags,
    forecast_days,
)
from mlssm.inference.mapper import Booleans, Mapper, window_end
from mlssm.inference.opened import Opened
from mlssm.mapping.geotiff import STEP, Band, Block
from mlssm.weather.bridging import within
from mlssm.weather.stations import VARIABLES, Days

AGE = "previous_age"
OLDEST = 366.0  # days: earlier images are those of a season
LABELLED = "1 where the pixel carried labels in training, 0 where its value is told from others alone"
Array = npt.NDArray[np.float32]


@dataclass
class DayMap:
    """Maps of a day by the names of their bands.

    Attributes:
        values: By band [height, width]; the first is `ssm`.
    """

    values: dict[str, Array] = field(default_factory=dict)

    def add(self, name: str, values: Array) -> None:
        """Put in a band."""
        self.values[name] = values.astype(np.float32)


def band_names(opened: Opened, config: PredictConfig) -> tuple[str, ...]:
    """The bands of each map, in order; `ssm` is the first and `flags` the last."""
    names = ["ssm"] if opened.labelled is None else ["ssm", "labelled"]
    if opened.certainty is not None and opened.certainty.calibration is not None:
        names += ["lower", "upper", "standard_error", *map(threshold_name, config.thresholds)]
    nowcast = opened.form is not None and opened.form.nowcast
    return (*names, "image_age", "flags") if nowcast else (*names, "flags")


def day_map(
    mapper: Mapper,
    config: PredictConfig,
    of_day: DayFlags,
    moment: Moment,
    found: ExtentMap,
    water: Booleans,
    inner: tuple[slice, slice],
) -> DayMap:
    """The bands of a day on a part of an extent.

    Args:
        mapper: The model, opened on the part and what is around it.
        config: Which intervals.
        of_day: What is flagged of all its pixels.
        moment: What is known of the day there.
        found: What was predicted of the part.
        water: Open water of the part.
        inner: The part's rows and columns of what was opened.
    """
    day, bands = moment.day, DayMap()
    maps = {name: values[inner] for name, values in moment.maps[0].items()} if moment.maps else {}
    masked = {WATER: water, FROZEN: mapper.frozen(day)[0][inner]}
    bands.add("ssm", _masked(found.ssm, masked))
    if mapper.labelled is not None:
        bands.add("labelled", np.where(np.isnan(bands.values["ssm"]), np.nan, mapper.labelled[0][inner]))
    if mapper.certainty is not None:
        sure = mapper.certainty.part(0, *inner).of(found, 0, replace(moment, maps=(maps,)), wanted(config))
        _add_sure(bands, sure, config.thresholds, masked)
    if AGE in maps:
        bands.add("image_age", _masked(maps[AGE], masked))
    # of masked pixels it would say nothing, and with all other bits the sum would be a byte's nodata
    filled = _filled(mapper, inner) & np.isfinite(bands.values["ssm"])
    said = {**_said(mapper, maps, found), MISSING: filled}
    bands.add("flags", flags(of_day, masked, found.ssm, said))
    return bands


def wanted(config: PredictConfig) -> Wanted:
    """Which intervals are asked."""
    return Wanted(config.level, config.thresholds, config.intervals == "conservative")


def about_bands(names: Sequence[str], config: PredictConfig, day: str) -> list[Band]:
    """What each band is."""
    about, highest = _about(config), {"flags": float(sum(MEANING)), "image_age": OLDEST}
    about["ssm"] = f"surface soil moisture, relative, {day}", "1"
    steps = {"flags": 1.0, "image_age": 2.0}
    return [Band(name, *about[name], (), highest.get(name, 1.0), steps.get(name, STEP)) for name in names]


def onto_grid(values: Array, window: Window, factor: int, extent: Window) -> Block:
    """A map on the working grid brought onto the extent's own pixels: each block's value stands on all its pixels.

    Args:
        values: [height, width] of `window`.
        window: On the working grid.
        factor: Extent pixels along a working pixel.
        extent: The extent on its own grid; what reaches past it is cut.

    Returns:
        A window of the extent's grid and its values.
    """
    fine = window.refine(factor)
    whole = np.repeat(np.repeat(values, factor, axis=0), factor, axis=1)
    row, col = max(fine.row, extent.row), max(fine.col, extent.col)
    bottom = min(fine.row + fine.height, extent.row + extent.height)
    right = min(fine.col + fine.width, extent.col + extent.width)
    common = Window(row, col, bottom - row, right - col)
    return common, np.ascontiguousarray(whole[common.within(fine).slices])


def _about(config: PredictConfig) -> dict[str, tuple[str, str]]:
    """Description and unit of each band."""
    share = f"{config.level:.0%}"
    careful = ", conservative" if config.intervals == "conservative" else ""
    found = {
        "labelled": (LABELLED, "1"),
        "lower": (f"lower end of the {share} interval of SSM{careful}", "1"),
        "upper": (f"upper end of the {share} interval of SSM{careful}", "1"),
        "standard_error": ("standard error of SSM", "1"),
        "image_age": ("age of the last earlier image of the season", "d"),
        "flags": (f"flags, the sum of: {LEGEND}", "1"),
    }
    names = {threshold_name(value): value for value in config.thresholds}
    return found | {name: (f"probability that SSM is above {value:g}", "1") for name, value in names.items()}


def threshold_name(threshold: float) -> str:
    """Name of the band of P(SSM > threshold)."""
    return f"probability_above_{threshold:g}"


def _add_sure(found: DayMap, sure: Sure | None, thresholds: Sequence[float], masked: Mapping[int, Booleans]) -> None:
    if sure is None:
        return
    for name in ("lower", "upper", "standard_error"):
        found.add(name, _masked(getattr(sure, name), masked))
    for threshold, values in zip(thresholds, sure.exceedance, strict=True):
        found.add(threshold_name(threshold), _masked(values, masked))


def _said(mapper: Mapper, maps: PrefitMaps, found: ExtentMap) -> dict[int, Booleans]:
    """Bits of pixels that have a value."""
    said: dict[int, Booleans] = {}
    applicability = None if mapper.certainty is None else mapper.certainty.applicability
    if applicability is not None and found.dissimilarity is not None:
        said[OUTSIDE] = found.dissimilarity > applicability.threshold
    if AGE in maps:
        said[NO_IMAGE] = ~np.isfinite(maps[AGE])
    return said


def _filled(mapper: Mapper, inner: tuple[slice, slice]) -> Booleans:
    """Pixels of which terrain, soil or another layer that does not change is not known."""
    layers = mapper.features.layers[0]
    own = [values[inner] for name, values in layers.fixed.items() if name in mapper.features.spec.static]
    nowhere = np.zeros(mapper.stack.working.extents[0].shape, bool)[inner]
    return np.asarray(np.logical_or.reduce([nowhere, *map(np.isnan, own)]))


def unknown_to_training(bands: Mapping[str, Array]) -> Array:
    """1 where a map has a value of which training knew nothing, 0 where it did, NaN without a value [h, w].

    No label was there, an input is filled, or the inputs are unlike those of training.
    """
    unknown = bands["flags"].astype(np.int64) & (OUTSIDE | MISSING) > 0
    if "labelled" in bands:
        unknown |= bands["labelled"] == 0
    return np.where(np.isnan(bands["ssm"]), np.float32(np.nan), unknown.astype(np.float32))


def _masked(values: Array, masked: Mapping[int, Booleans]) -> Array:
    return np.where(np.logical_or.reduce([*masked.values()]), np.float32(np.nan), values)


def day_flags(opened: Opened, day: np.datetime64) -> DayFlags:
    """What is flagged of all pixels of a day."""
    gap = _has_gap(opened, day) or bool(bridged_in(opened, day))
    return DayFlags(is_forecast(opened, day), gap, days_ahead(opened, day) > 0)


def is_forecast(opened: Opened, day: np.datetime64) -> bool:
    """Whether a day is later than the last image."""
    return bool(day > opened.cube.local_days[-1])


def days_seen(opened: Opened, day: np.datetime64) -> int:
    """Days of weather that the network has seen for the map of a day."""
    return int((window_end(opened.bundle, day) - opened.first_day(day)) / np.timedelta64(1, "D")) + 1


def days_ahead(opened: Opened, day: np.datetime64) -> int:
    """How many of these days have forecast weather."""
    weather, end = opened.cube.weather, window_end(opened.bundle, day)
    return forecast_days(weather.days, opened.cube.forecast_days, end, days_seen(opened, day))


def bridged_in(opened: Opened, day: np.datetime64) -> dict[str, Days]:
    """Which of these days have weather that was drawn from those around, by quantity that the model sees."""
    found = within(opened.features.field.bridged, opened.first_day(day), window_end(opened.bundle, day))
    return {name: days for name, days in found.items() if name in opened.features.spec.dynamic}


def _has_gap(opened: Opened, day: np.datetime64) -> bool:
    """Whether a quantity lacks on one of these days at every station."""
    features, end = opened.features, np.array([window_end(opened.bundle, day)], "datetime64[D]")
    (seen,) = features.field.windows(end, days_seen(opened, day), "sequence")
    used = [VARIABLES.index(name) for name in features.spec.dynamic if name in VARIABLES]
    return bool(~np.isfinite(seen[:, :, used]).any(axis=1).all())
