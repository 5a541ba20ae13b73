"""What `predict.py` writes beside its maps: each from the files, a day at a time."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mlssm.config import PredictConfig
from mlssm.inference.opened import Opened
from mlssm.jobs.series import Series
from mlssm.jobs.viewer import write_viewer
from mlssm.jobs.warning import check_warning
from mlssm.mapping.list import DayMap
from mlssm.mapping.products.style import write_style
from mlssm.workers import Workers

log = logging.getLogger(__name__)

ZONES, NETCDF, LHASA = "zones.csv", "ssm.nc", "lhasa"


def check_products(opened: Opened, config: PredictConfig) -> None:
    """Refuse products that cannot be made, before anything is mapped.

    Raises:
        RunError: The model has no probabilities, which warnings need.
        DataError: The area has no slope, which they need, or the file of zones cannot be used or is of another place.
    """
    check_warning(opened, config)
    if config.products.zones is not None:
        from mlssm.mapping.products.zones import check_place, read_zones

        zones = read_zones(config.products.zones, config.products.road_width_m)
        check_place(zones, opened.cube.grid.geographic_bounds())


def write_products(opened: Opened, paths: Sequence[Path], config: PredictConfig, workers: Workers) -> None:
    """Write the products that were asked for, and say where they are.

    Args:
        opened: What made the maps.
        paths: The maps that were asked for; one at least.
        config: Which products. What is made of several days has those of earlier commands, too, see `Series`.
        workers: Who makes what is a map's own.

    Raises:
        DataError: One cannot be made; the maps stay.
    """
    folder, wanted, polygons = config.output, config.products, None
    warnings: Sequence[Path] = ()
    place, series = opened.cube.path.stem.rpartition("-")[0], Series.of(paths)
    maps = series.around(wanted.days)
    if more := len(maps) - len(series.asked):
        log.info("of this run and settings, %d maps of other days in %s are shown beside these", more, folder)
    for each in series.asked:
        write_style(each.path)
    log.info("beside each map in %s lie its preview (.png) and its style for QGIS (.qml)", folder)
    if wanted.stac:
        from mlssm.mapping.products.stac import write_stac

        _say(write_stac(series.whole, folder, f"Soil moisture, {place}"))
    if wanted.netcdf:
        from mlssm.mapping.products.netcdf import write_netcdf

        _say(write_netcdf(maps, folder / NETCDF))
    if wanted.lhasa:
        from mlssm.mapping.products.lhasa import write_lhasa

        (folder / LHASA).mkdir(exist_ok=True)
        asked = [each.path for each in series.asked]
        _say(*workers.run(partial(write_lhasa, folder / LHASA), asked, "maps onto the grid of LHASA"))
    if wanted.root_zone_days is not None:
        from mlssm.mapping.products.root_zone import write_root_zone

        cube = opened.cube
        first = series.asked[0].day
        _say(*write_root_zone(series.whole, cube.grid, cube.extents, folder, wanted.root_zone_days, first))
    if wanted.warning is not None:
        from mlssm.jobs.warning import write_warning_layer

        warnings = write_warning_layer(opened, maps, wanted.warning)
        _say(*warnings)
    if wanted.zones is not None:
        polygons = _write_zones(opened, maps, config, wanted.zones)
    if wanted.viewer:
        write_viewer(opened, maps, folder, f"Soil moisture, {place}", workers, polygons, warnings)


def _write_zones(opened: Opened, maps: Sequence[DayMap], config: PredictConfig, path: Path) -> dict[str, object]:
    """Write the statistics of zones, and return their outlines as GeoJSON."""
    from mlssm.mapping.products.zones import ZoneRule, read_zones, write_zones, zonal_statistics

    calibration, rule = None if opened.certainty is None else opened.certainty.calibration, None
    if calibration is not None:
        in_one = float(opened.stack.working.factor**2)
        rule = ZoneRule(calibration, config.level, config.intervals == "conservative", in_one)
    zones = read_zones(path, config.products.road_width_m)
    _say(*write_zones(zonal_statistics(maps, zones, config.thresholds, rule), config.output / ZONES))
    return dict(json.loads(zones.geometry.to_json()))


def _say(*paths: Path) -> None:
    log.info("wrote %s%s", paths[0], f" and {len(paths) - 1} more" if len(paths) > 1 else "")
