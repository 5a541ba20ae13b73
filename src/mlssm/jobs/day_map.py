"""One day's map of all extents: its bands, and what it says of itself beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mlssm.config import PredictConfig
from mlssm.data.moment import Moment
from mlssm.grid import Window
from mlssm.inference.certainty import Sure, Wanted
from mlssm.inference.extent import ExtentMap, map_whole
from mlssm.inference.flags import (
    FROZEN,
    LEGEND,
    MEANING,
    NO_IMAGE,
    OUTSIDE,
    WATER,
    DayFlags,
    flags,
    forecast_days,
)
from mlssm.inference.mapper import Booleans, Mapper
from mlssm.mapping.geotiff import Band, Block
from mlssm.weather.stations import VARIABLES

AGE = "previous_age"
OLDEST = 366.0  # days: earlier images are those of a season
LABELLED = "1 where the pixel carried labels in training, 0 where its value is told from others alone"
Array = npt.NDArray[np.float32]


@dataclass
class DayMap:
    """Maps of a day, extent by extent, by the names of their bands.

    Attributes:
        values: By band, of each extent [height, width] on the working grid; the first is `ssm`.
    """

    values: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, name: str, values: Array) -> None:
        """Put in the next extent's band."""
        self.values.setdefault(name, []).append(values.astype(np.float32))

    def share(self, name: str, bit: int) -> float:
        """Share of the mapped pixels that have a bit of a band of flags; NaN without a pixel."""
        pairs = zip(self.values[name], self.values["ssm"], strict=True)
        known = np.concatenate([each[np.isfinite(ssm)] for each, ssm in pairs]).astype(np.int64)
        return float((known & bit > 0).mean()) if known.size else float("nan")

    def mean(self, name: str) -> float:
        """Mean of a band over its pixels; NaN without one."""
        known = np.concatenate([each[np.isfinite(each)] for each in self.values[name]])
        return float(known.mean()) if known.size else float("nan")


def map_day(
    mapper: Mapper, config: PredictConfig, day: np.datetime64, moment: Moment, water: Sequence[Booleans]
) -> DayMap:
    """Map all extents on a day, with their intervals where the model has a calibration.

    Args:
        mapper: The model, opened on the area.
        config: Tiles, and which intervals.
        day: That is mapped.
        moment: What is known of it.
        water: Open water of each extent.
    """
    found, frozen = DayMap(), mapper.frozen(day)
    of_day = DayFlags(_is_forecast(mapper, day), _has_gap(mapper, moment), _days_ahead(mapper, day) > 0)
    for extent in range(len(mapper.stack.working.extents)):
        certainty, margin = mapper.certainty, mapper.bundle.model.margin
        applicability = None if certainty is None else certainty.applicability
        tiling = config.tile, config.overlap, margin, applicability
        whole = map_whole(mapper.network, mapper.features, extent, moment, *tiling)
        masked = {WATER: water[extent], FROZEN: frozen[extent]}
        said = _said(mapper, extent, moment, whole)
        found.add("ssm", _masked(whole.ssm, masked))
        if mapper.labelled is not None:
            found.add("labelled", np.where(np.isnan(found.values["ssm"][extent]), np.nan, mapper.labelled[extent]))
        if certainty is not None:
            sure = certainty.of(whole, extent, moment, wanted(config))
            _add_sure(found, sure, config.thresholds, masked)
        if moment.maps and AGE in moment.maps[extent]:
            found.add("image_age", _masked(moment.maps[extent][AGE], masked))
        found.add("flags", flags(of_day, masked, whole.ssm, said))
    return found


def wanted(config: PredictConfig) -> Wanted:
    """Which intervals are asked."""
    return Wanted(config.level, config.thresholds, config.intervals == "conservative")


def bands(found: DayMap, mapper: Mapper, config: PredictConfig) -> list[Band]:
    """The bands that follow the soil moisture, on the extent's own pixels."""
    about, highest = _about(config), {"flags": float(sum(MEANING)), "image_age": OLDEST}
    return [
        Band(name, *about[name], blocks_of(values, mapper), highest.get(name, 1.0))
        for name, values in found.values.items()
        if name != "ssm"
    ]


def certainty_tags(found: DayMap, mapper: Mapper, config: PredictConfig, day: np.datetime64) -> dict[str, str]:
    """What the intervals rest on, what the map knew, and its means."""
    cube, certainty = mapper.cube, mapper.certainty
    tags = {
        "last_image": str(cube.local_days[-1]),
        "weather_until": str(cube.weather.days[-1]),
        "forecast_weather_days": str(_days_ahead(mapper, day)),
        "ssm_mean": f"{found.mean('ssm'):.3f}",
        "flags": LEGEND,
    }
    if certainty is not None and certainty.applicability is not None:
        tags["share_outside_training"] = f"{found.share('flags', OUTSIDE):.3f}"
    if "lower" in found.values and certainty is not None and certainty.calibration is not None:
        calibration = certainty.calibration
        seasons = ", ".join(str(season) for season in calibration.seasons)
        width = found.mean("upper") - found.mean("lower")
        tags |= {
            "interval": f"{config.level:g}, {config.intervals}",
            "calibrated_on": f"{calibration.dates} dates of the seasons {seasons}: {calibration.source}",
            "interval_mean_width": f"{width:.3f}",
        }
        tags |= {f"mean_{name}": f"{found.mean(name):.3f}" for name in found.values if name.startswith("probability")}
    return tags


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


def blocks_of(values: Sequence[Array], mapper: Mapper) -> list[Block]:
    """Each extent's map as a block of the extent's grid."""
    working = mapper.stack.working
    extents = zip(values, working.extents, mapper.cube.extents, strict=True)
    return [onto_grid(each, window, working.factor, extent) for each, window, extent in extents]


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


def _said(mapper: Mapper, extent: int, moment: Moment, whole: ExtentMap) -> dict[int, Booleans]:
    """Bits of pixels that have a value."""
    said: dict[int, Booleans] = {}
    applicability = None if mapper.certainty is None else mapper.certainty.applicability
    if applicability is not None and whole.dissimilarity is not None:
        said[OUTSIDE] = whole.dissimilarity > applicability.threshold
    if moment.maps and AGE in moment.maps[extent]:
        said[NO_IMAGE] = ~np.isfinite(moment.maps[extent][AGE])
    return said


def _masked(values: Array, masked: Mapping[int, Booleans]) -> Array:
    return np.where(np.logical_or.reduce([*masked.values()]), np.float32(np.nan), values)


def _is_forecast(mapper: Mapper, day: np.datetime64) -> bool:
    return bool(day > mapper.cube.local_days[-1])


def _days_ahead(mapper: Mapper, day: np.datetime64) -> int:
    """How many days of a day's window have forecast weather."""
    cube, bundle = mapper.cube, mapper.bundle
    end = day if bundle.knows_the_day else day - np.timedelta64(1, "D")
    return forecast_days(cube.weather.days, cube.forecast_days, end, bundle.window.lag)


def _has_gap(mapper: Mapper, moment: Moment) -> bool:
    used = [VARIABLES.index(name) for name in mapper.features.spec.dynamic if name in VARIABLES]
    return bool(~np.isfinite(moment.window[:, :, used]).any(axis=1).all())
