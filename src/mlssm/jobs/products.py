"""What `predict.py` writes beside its maps: each from the files, a day at a time."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from mlssm.config import PredictConfig
from mlssm.inference.opened import Opened
from mlssm.jobs.viewer import write_viewer
from mlssm.jobs.warning import check_warning
from mlssm.mapping.list import DayMap, list_maps
from mlssm.mapping.products.style import write_style

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


def write_products(opened: Opened, paths: Sequence[Path], config: PredictConfig) -> None:
    """Write the products that were asked for, and say where they are.

    Args:
        opened: What made the maps.
        paths: The maps.
        config: Which products.

    Raises:
        DataError: One cannot be made; the maps stay.
    """
    maps, folder, wanted, polygons = list_maps(paths), config.output, config.products, None
    warnings: Sequence[Path] = ()
    place = opened.cube.path.stem.rpartition("-")[0]
    if more := len(list(folder.glob("ssm_*.tif"))) - len(maps):
        log.info(
            "%s has maps of %d more days: what is made of several days (index.html, collection.json, ...) is of "
            "the %d of this command; name all in dates to have them in it, none is made again",
            *(folder, more, len(maps)),
        )
    for each in maps:
        write_style(each.path)
    log.info("beside each map in %s lie its preview (.png) and its style for QGIS (.qml)", folder)
    if wanted.stac:
        from mlssm.mapping.products.stac import write_stac

        _say(write_stac(maps, folder, f"Soil moisture, {place}"))
    if wanted.netcdf:
        from mlssm.mapping.products.netcdf import write_netcdf

        _say(write_netcdf(maps, folder / NETCDF))
    if wanted.lhasa:
        from mlssm.mapping.products.lhasa import write_lhasa

        (folder / LHASA).mkdir(exist_ok=True)
        _say(*(write_lhasa(each.path, folder / LHASA / each.path.name) for each in maps))
    if wanted.root_zone_days is not None:
        from mlssm.mapping.products.root_zone import write_root_zone

        cube = opened.cube
        _say(*write_root_zone(maps, cube.grid, cube.extents, folder, wanted.root_zone_days))
    if wanted.warning is not None:
        from mlssm.jobs.warning import write_warning_layer

        warnings = write_warning_layer(opened, maps, wanted.warning)
        _say(*warnings)
    if wanted.zones is not None:
        polygons = _write_zones(opened, maps, config, wanted.zones)
    if wanted.viewer:
        write_viewer(opened, maps, folder, f"Soil moisture, {place}", polygons, warnings)


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
