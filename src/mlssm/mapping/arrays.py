"""An area's cube and a day's maps as xarray, with their CRS, for notebooks and other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from mlssm.cube import STATION_PROPERTIES, Cube
from mlssm.cube_writer import GRID_MAPPING
from mlssm.grid import Grid
from mlssm.mapping.geotiff import Band, Block

PACKED = ("backscatter", "incidence", "ndvi")  # as int16; float32 holds their steps
TOLD = ("mlssm", "digest", "crs", "pixel", "time_zone", "looks")  # of the cube's attributes; the others are for itself


def cube_dataset(cube: Cube) -> xr.Dataset:
    """A cube's arrays, decoded and read when they are asked for.

    Args:
        cube: The cube.

    Returns:
        The arrays that `mlssm.cube` lists, in physical units and NaN where nothing was measured. Polarisations, static
        features, stations, weather variables and orbits are coordinates by their names; the stations' places are
        coordinates of theirs. `spatial_ref` has the CRS and transform, as rioxarray and GDAL read them.
    """
    stored, manifest = xr.open_zarr(cube.path, consolidated=False), cube.manifest
    places = stored["station"].values
    found: xr.Dataset = stored.drop_vars("station").set_coords(GRID_MAPPING)
    found = found.assign({name: found[name].astype(np.float32) for name in PACKED if name in found})
    names: dict[str, Sequence[Any]] = {
        "polarisation": manifest.polarisations,
        "feature": manifest.features,
        "station": manifest.stations,
        "variable": manifest.variables,
        "incidence_orbit": manifest.orbits,
    }
    found = found.assign_coords({name: list(values) for name, values in names.items() if name in found.dims})
    found = found.assign_coords({name: ("station", places[:, k]) for k, name in enumerate(STATION_PROPERTIES)})
    told = {name: getattr(manifest, name) for name in TOLD}
    found.attrs = {name: value for name, value in told.items() if value is not None} | {"path": str(cube.path)}
    return found


def map_array(
    bands: Mapping[str, Sequence[Block]], about: Sequence[Band], grid: Grid, attributes: Mapping[str, Any]
) -> xr.DataArray:
    """A day's map on its whole grid.

    Args:
        bands: Windows of the grid with their values, by the band's name; the first is `ssm`.
        about: Description and unit of the bands beside `ssm`.
        grid: Of the extent.
        attributes: What the map says of itself.

    Returns:
        float32 [band, y, x], NaN where nothing is mapped. Pixel centres in metres; `spatial_ref` has the CRS.
    """
    values = np.full((len(bands), *grid.shape), np.nan, np.float32)
    for layer, blocks in zip(values, bands.values(), strict=True):
        for window, block in blocks:
            layer[window.slices] = block
    x, y = grid.centres(grid.full)
    said = {band.name: band.description for band in about}
    coordinates = {
        "band": list(bands),
        "description": ("band", [said.get(name, "surface soil moisture, relative") for name in bands]),
        "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate"}),
        "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
        GRID_MAPPING: ((), np.int32(0), _place(grid)),
    }
    found = xr.DataArray(values, coordinates, ("band", "y", "x"), "map", dict(attributes))
    found.encoding["grid_mapping"] = GRID_MAPPING
    return found


def _place(grid: Grid) -> dict[str, Any]:
    """The CRS and transform, as CF and GDAL name them."""
    return {**CRS.from_user_input(grid.crs).to_cf(), "GeoTransform": " ".join(map(str, grid.transform.to_gdal()))}
