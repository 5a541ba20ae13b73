"""Statistics of zones: polygons, or roads as lines with a width, of each day's map."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlssm.errors import DataError
from mlssm.files import whole_file
from mlssm.grid import Bounds, Floats
from mlssm.mapping.list import DayMap
from mlssm.progress import track
from mlssm.spreadsheet import as_csv
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.unclipped import Unclipped

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

log = logging.getLogger(__name__)

QUANTILES = (0.1, 0.5, 0.9)
ZONE = "zone"
OWN = "own_"  # before the name of an attribute that a statistic has, too
MOST_NAMED = 10  # zones without a value
NOWHERE = "no zone meets a mapped pixel; give zones of the maps' place, in longitude and latitude"
DEGREES = "EPSG:4326"
LINES = ("LineString", "MultiLineString")
NEEDS = "zonal statistics need the extra 'products': pip install 'mlssm[products]'"


DEVIATION = "deviation"
STANDARD_ERROR = "standard_error"  # band of the maps


@dataclass(frozen=True)
class ZoneRule:
    """How sure the mean of a zone is: less than independent pixels would make it, see `mlssm.uncertainty.support`.

    Attributes:
        calibration: Of the maps.
        level: Of the intervals.
        conservative: Whether they are those for warnings.
        pixels: Of the maps in one of the pixels that were calibrated.
    """

    calibration: Calibration
    level: float
    conservative: bool
    pixels: float

    def columns(
        self, mean: Floats, deviation: Floats, pixels: Floats, thresholds: Sequence[float]
    ) -> dict[str, Floats]:
        """Standard error, interval and P(mean > threshold) of zones [n]; NaN where no pixel has a value."""
        known = np.isfinite(mean) & np.isfinite(deviation)
        count = np.maximum(np.where(known, pixels, 1) / self.pixels, 1.0)
        calibration = self.calibration
        ends = calibration.conservative_mean_interval if self.conservative else calibration.mean_interval
        lower, upper = ends(mean, deviation, count, self.level)
        error = calibration.mean_deviation(deviation, count)
        above = {
            f"probability_mean_above_{each:g}": calibration.mean_exceedance(mean, deviation, count, each)
            for each in thresholds
        }
        return {STANDARD_ERROR: error, "lower": lower, "upper": upper, **above}


def read_zones(path: Path, width_m: float) -> gpd.GeoDataFrame:
    """Zones of a GeoJSON file, longitude and latitude, with their own attributes.

    Args:
        path: The file.
        width_m: That lines are given, half of it on each side, metres.

    Raises:
        DataError: The file cannot be read, holds points or no geometry at all, or a polygon crosses itself.
    """
    import geopandas as gpd  # slow, and few ask for it

    try:
        zones = gpd.read_file(path)
    except (OSError, RuntimeError, ValueError) as error:  # pyogrio's faults of files are runtime errors
        raise DataError(f"zones={path} cannot be read ({error}); give a GeoJSON file") from error
    kinds = set(zones.geometry.geom_type.dropna())
    if zones.empty or zones.geometry.isna().any() or kinds & {"Point", "MultiPoint"}:
        raise DataError(f"zones={path} holds {', '.join(sorted(kinds)) or 'no geometry'}; give polygons or lines")
    zones = zones.set_crs(DEGREES) if zones.crs is None else zones.to_crs(DEGREES)
    west, south, east, north = zones.total_bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise DataError(f"zones={path} lies at {west:g}..{east:g}, {south:g}..{north:g}: no longitudes and latitudes")
    if not zones.geometry.is_valid.all():
        number = int((~zones.geometry.is_valid).idxmax())
        raise DataError(f"zones={path}: feature {number} crosses itself; mend it, e.g. with QGIS' Fix geometries")
    return _widened(zones, width_m)


def check_place(zones: gpd.GeoDataFrame, bounds: Bounds) -> None:
    """Refuse zones that all lie elsewhere.

    Args:
        zones: Of `read_zones`.
        bounds: West, south, east and north of the maps, degrees.

    Raises:
        DataError: They do.
    """
    west, south, east, north = bounds
    if zones.cx[west:east, south:north].empty:
        raise DataError(f"{NOWHERE}: the maps lie at {west:.3f}..{east:.3f}, {south:.3f}..{north:.3f}")


def _widened(zones: gpd.GeoDataFrame, width_m: float) -> gpd.GeoDataFrame:
    """Lines as polygons of a width, which is measured on the UTM zone of their place."""
    lines = zones.geometry.geom_type.isin(LINES)
    if lines.any():
        metric = zones.estimate_utm_crs()
        wide = zones.geometry[lines].to_crs(metric).buffer(width_m / 2).to_crs(DEGREES)
        zones = zones.assign(geometry=zones.geometry.where(~lines, wide))
        log.info("%d lines are zones of %g m width", int(lines.sum()), width_m)
    return zones


def zonal_statistics(
    maps: Sequence[DayMap], zones: gpd.GeoDataFrame, thresholds: Sequence[float], rule: ZoneRule | None = None
) -> gpd.GeoDataFrame:
    """Statistics of soil moisture, a row a zone and day; a pixel counts by the share of it that the zone covers.

    Args:
        maps: The days' maps.
        zones: Of `read_zones`.
        thresholds: SSM above which a pixel's ground counts for `share_above_<threshold>`.
        rule: How sure means are; None leaves that out.

    Returns:
        `zone` (number in the file), the zone's own attributes (as `own_<name>` where one is named as a column here),
        `date`, `mean`, `pixels` (those with a value that it covers, in whole pixels), `q10`, `q50`, `q90`, the shares
        and the geometry; NaN where it covers none. With a rule also `standard_error`, `lower` and `upper` of the mean
        and `probability_mean_above_<threshold>`.

    Raises:
        DataError: exactextract is not installed, or no zone meets the maps.
    """
    try:
        import exactextract
    except ImportError as error:
        raise DataError(NEEDS) from error
    import geopandas as gpd
    import pandas as pd
    import rasterio

    operations = ["mean", "count", *(f"quantile(q={q})" for q in QUANTILES)]
    shares = [_share_above(threshold) for threshold in thresholds]
    sure = [] if rule is None else [_mean_deviation(Unclipped.of(rule.calibration.shape))]
    numbered = zones.reset_index(drop=True).rename(columns={ZONE: f"{OWN}{ZONE}"})
    numbered[ZONE] = numbered.index
    tables = []
    for each in track(maps, "statistics of zones"):
        with rasterio.open(each.path) as source:
            here = numbered[[ZONE, "geometry"]].to_crs(source.crs)
            band = partial(exactextract.raster.RasterioRasterSource, source)
            errors = None if rule is None else band(_number_of(each, STANDARD_ERROR))
            found = exactextract.exact_extract(
                band(1), here, [*operations, *shares, *sure], weights=errors, include_cols=[ZONE], output="pandas"
            )
            if rule is not None:
                mean, deviation, count = (found[name].to_numpy(float) for name in ("mean", DEVIATION, "count"))
                found = found.drop(columns=DEVIATION).assign(**rule.columns(mean, deviation, count, thresholds))
        tables.append(found.assign(date=each.day))
    table = pd.concat(tables, ignore_index=True)
    names = {f"quantile_{round(100 * q)}": f"q{round(100 * q)}" for q in QUANTILES}
    table = table.rename(columns={**names, "count": "pixels"})
    _tell_empty(table.groupby(ZONE)["pixels"].max())
    own = numbered.rename(columns={name: f"{OWN}{name}" for name in table.columns if name != ZONE})
    first = [ZONE, *(name for name in own.columns if name not in (ZONE, "geometry")), "date"]
    joined = table.merge(own, on=ZONE)
    return gpd.GeoDataFrame(joined[first + [name for name in joined.columns if name not in first]], crs=DEGREES)


def _tell_empty(most: pd.Series[float]) -> None:
    """Name the zones that have a value on no day.

    Args:
        most: Pixels with a value that each covers on the day with the most, by number.

    Raises:
        DataError: None has.
    """
    if not (most > 0).any():
        raise DataError(NOWHERE)
    if empty := [str(number) for number in most.index[most == 0]]:
        shown = ", ".join(empty[:MOST_NAMED]) + (", ..." if len(empty) > MOST_NAMED else "")
        log.warning("%d of %d zones cover no mapped pixel and have no values: zone %s", len(empty), len(most), shown)


def write_zones(table: gpd.GeoDataFrame, path: Path) -> tuple[Path, Path]:
    """Write statistics as CSV, without geometries, and as GeoParquet; each file has its name when it is whole.

    Args:
        table: Of `zonal_statistics`.
        path: The CSV; the other lies beside it.

    Raises:
        DataError: A file cannot be written.
    """
    beside = path.with_suffix(".parquet")
    try:
        with whole_file(path) as finished:
            finished.write_text(as_csv(table.drop(columns="geometry")), encoding="utf-8", newline="")
        with whole_file(beside) as finished:
            table.to_parquet(finished)
    except OSError as error:
        text = f"{path} and {beside.name} cannot be written ({error}); choose another folder or free some space"
        raise DataError(text) from error
    return path, beside


def _number_of(each: DayMap, name: str) -> int:
    """Number of a map's band.

    Raises:
        DataError: It has none of this name.
    """
    found = next((number for number, band, _ in each.bands if band == name), None)
    if found is None:
        raise DataError(f"{each.path} has no band {name}, which the intervals of zones need; make the map again")
    return found


def _mean_deviation(table: Unclipped) -> Callable[[Any, Any, Any], float]:
    """Mean deviation of a zone's pixels before clipping, from their SSM and, as weights, their standard errors."""

    def deviation(values: Any, coverage: Any, weights: Any) -> float:
        known_values, errors = (np.ma.filled(np.ma.asarray(each), np.nan).astype(float) for each in (values, weights))
        known = np.isfinite(known_values) & np.isfinite(errors) & (coverage > 0)
        if not known.any():
            return math.nan
        found = table.deviation(known_values[known], errors[known])
        return float(np.average(found, weights=coverage[known]))

    deviation.__name__ = DEVIATION
    return deviation


def _share_above(threshold: float) -> Callable[[Any, Any], float]:
    """The share of a zone's mapped ground that is above a threshold, as exactextract asks for it."""

    def share(values: Any, coverage: Any) -> float:
        known = np.ma.filled(np.ma.asarray(values), np.nan)
        weight = np.where(np.isfinite(known), coverage, 0)
        return float(weight[known > threshold].sum() / weight.sum()) if weight.sum() else math.nan

    share.__name__ = f"share_above_{threshold:g}"
    return share
