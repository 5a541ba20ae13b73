"""How a cube's arrays are written: packing, chunks, and the names by which CF readers know them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from pyproj import CRS
from zarr.codecs import ZstdCodec

from mlssm import cube
from mlssm.checksums import file_checksums
from mlssm.grid import Grid
from mlssm.manifest import Manifest, array_files

CHUNK = 256
GRID_MAPPING = "spatial_ref"
# zarr's default, but with a checksum in each chunk, without which a flipped bit is read as another value
COMPRESSION = ZstdCodec(level=0, checksum=True)


class CubeWriter:
    """Creates a cube's zarr group and its arrays.

    Attributes:
        grid: The cube's grid.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        """Create the group, with the grid's coordinates and CRS.

        Args:
            path: The group to create; nothing may be there yet.
            grid: The cube's grid.
        """
        self._path = path
        self._group = zarr.create_group(path, zarr_format=3)
        self.grid = grid
        x, y = grid.centres(grid.full)
        self.array("x", x, ("x",), {"units": "m", "standard_name": "projection_x_coordinate"})
        self.array("y", y, ("y",), {"units": "m", "standard_name": "projection_y_coordinate"})
        place = {"crs_wkt": CRS.from_user_input(grid.crs).to_wkt()}
        place["GeoTransform"] = " ".join(str(value) for value in grid.transform.to_gdal())
        self.array(GRID_MAPPING, np.array(0, np.int32), (), place)

    def raster(self, name: str, dims: tuple[str, ...], lead: tuple[int, ...], scale: float | None, units: str) -> Any:
        """Create an empty array on the grid, a chunk for each index of its leading dimensions.

        Args:
            name: The array.
            dims: Names of the leading dimensions.
            lead: Their lengths.
            scale: Step of the int16 that values are packed to; None: float32.
            units: Of the unpacked values.

        Returns:
            The zarr array, to be assigned to.
        """
        fill = int(cube.FILL) if scale else np.nan
        packing = {"scale_factor": scale, "_FillValue": fill} if scale else {}
        return self._group.create_array(
            name,
            shape=(*lead, *self.grid.shape),
            chunks=(*(1 for _ in lead), min(CHUNK, self.grid.height), min(CHUNK, self.grid.width)),
            dtype="int16" if scale else "float32",
            fill_value=fill,
            compressors=COMPRESSION,
            dimension_names=(*dims, "y", "x"),
            attributes={"units": units, "grid_mapping": GRID_MAPPING, **packing},
        )

    def array(
        self, name: str, values: npt.NDArray[Any], dims: tuple[str, ...], attributes: dict[str, Any] | None = None
    ) -> None:
        """Write an array that does not lie on the grid."""
        self._group.create_array(
            name, data=values, compressors=COMPRESSION, dimension_names=dims, attributes=attributes or {}
        )

    def days(self, name: str, days: Iterable[dt.date] | npt.NDArray[np.datetime64], dim: str) -> None:
        """Write calendar days along a dimension."""
        since = np.array(list(days), "datetime64[D]").astype(np.int64)
        self.array(name, since, (dim,), {"units": "days since 1970-01-01"})

    def finish(self, manifest: Manifest) -> None:
        """Write the cube's attributes, last of all: with what was written of each array."""
        written = {"chunks": array_files(self._path), "checksums": file_checksums(self._path)}
        self._group.attrs.update(manifest.model_copy(update=written).attributes())
