"""What `predict.py` writes beside its maps: each from the files, a day at a time."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from mlssm.config.predict import ProductsConfig
from mlssm.inference.mapper import Mapper
from mlssm.jobs.viewer import write_viewer
from mlssm.mapping.list import DayMap, list_maps
from mlssm.mapping.products.style import write_style

log = logging.getLogger(__name__)

ZONES, NETCDF, LHASA = "zones", "ssm.nc", "lhasa"


def write_products(mapper: Mapper, paths: Sequence[Path], folder: Path, config: ProductsConfig) -> None:
    """Write the products that were asked for, and say where they are.

    Args:
        mapper: What made the maps.
        paths: The maps.
        folder: Theirs.
        config: Which products.

    Raises:
        DataError: One cannot be made; the maps stay.
    """
    maps, polygons = list_maps(paths), None
    place = mapper.cube.path.stem.rpartition("-")[0]
    for each in maps:
        write_style(each.path)
    if config.stac:
        from mlssm.mapping.products.stac import write_stac

        _say(write_stac(maps, folder, f"Soil moisture, {place}"))
    if config.netcdf:
        from mlssm.mapping.products.netcdf import write_netcdf

        _say(write_netcdf(maps, folder / NETCDF))
    if config.lhasa:
        from mlssm.mapping.products.lhasa import write_lhasa

        (folder / LHASA).mkdir(exist_ok=True)
        _say(*(write_lhasa(each.path, folder / LHASA / each.path.name) for each in maps))
    if config.zones is not None:
        polygons = _write_zones(maps, folder, config.zones, config)
    if config.viewer:
        write_viewer(mapper, paths, folder, f"Soil moisture, {place}", polygons)


def _write_zones(maps: Sequence[DayMap], folder: Path, path: Path, config: ProductsConfig) -> dict[str, object]:
    """Write the statistics of zones, and return their outlines as GeoJSON."""
    from mlssm.mapping.products.zones import read_zones, zonal_statistics

    zones = read_zones(path, config.road_width_m)
    table = zonal_statistics(maps, zones, config.thresholds)
    table.drop(columns="geometry").to_csv(folder / f"{ZONES}.csv", index=False)
    table.to_parquet(folder / f"{ZONES}.parquet")
    _say(folder / f"{ZONES}.csv", folder / f"{ZONES}.parquet")
    return dict(json.loads(zones.geometry.to_json()))


def _say(*paths: Path) -> None:
    log.info("wrote %s%s", paths[0], f" and {len(paths) - 1} more" if len(paths) > 1 else "")
