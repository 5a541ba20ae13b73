"""How a cube's arrays are written: packing, chunks, and the names by which CF readers know them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from pyproj import CRS
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from mlssm import cube
from mlssm.checksums import file_checksums
from mlssm.grid import Grid, Window
from mlssm.manifest import Manifest, array_files

# a file holds a shard of one date, and what is read of it are chunks
CHUNK, SHARD = 256, 2048
GRID_MAPPING = "spatial_ref"
# zarr's default, but with a checksum in each chunk, without which a flipped bit is read as another value
COMPRESSION = ZstdCodec(level=0, checksum=True)
CHECKED = Crc32cCodec()  # blosc keeps none


def shard_windows(grid: Grid) -> list[Window]:
    """The part of the grid in each file of a raster, row by row of them; no two tasks may write to the same."""
    height, width = (_sides(size)[1] for size in grid.shape)
    corners = ((row, col) for row in range(0, grid.height, height) for col in range(0, grid.width, width))
    return [Window(row, col, height, width).intersection(grid.full) for row, col in corners]


def _sides(size: int) -> tuple[int, int]:
    """Pixels along a chunk and along a shard of a grid of so many rows or columns."""
    chunk = min(CHUNK, size)
    return chunk, min(SHARD, chunk * -(-size // chunk))


def _compression(scale: float | None) -> tuple[BloscCodec, Crc32cCodec]:
    return BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=2 if scale else 4), CHECKED


class CubeWriter:
    """Creates a cube's zarr group and its arrays; what was written of them before is replaced.

    Attributes:
        grid: The cube's grid.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        """Create the group with the grid's coordinates and CRS, or open what is there of it.

        Args:
            path: The group.
            grid: The cube's grid.
        """
        self._path = path
        self._group = zarr.open_group(path, mode="a", zarr_format=3)
        self.grid = grid
        if GRID_MAPPING in self._group:
            return
        x, y = grid.centres(grid.full)
        self.array("x", x, ("x",), {"units": "m", "standard_name": "projection_x_coordinate"})
        self.array("y", y, ("y",), {"units": "m", "standard_name": "projection_y_coordinate"})
        place = {"crs_wkt": CRS.from_user_input(grid.crs).to_wkt()}
        place["GeoTransform"] = " ".join(str(value) for value in grid.transform.to_gdal())
        self.array(GRID_MAPPING, np.array(0, np.int32), (), place)

    def raster(self, name: str, dims: tuple[str, ...], lead: tuple[int, ...], scale: float | None, units: str) -> Any:
        """Create an empty array on the grid, a shard (a file) for each index of its leading dimensions.

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
        sides = [_sides(size) for size in self.grid.shape]
        chunk, shard = ((*(1 for _ in lead), *side) for side in zip(*sides, strict=True))
        packing = {"scale_factor": scale, "_FillValue": fill} if scale else {}
        return self._group.create_array(
            name,
            shape=(*lead, *self.grid.shape),
            chunks=chunk,
            shards=shard if shard != chunk else None,
            dtype="int16" if scale else "float32",
            fill_value=fill,
            compressors=_compression(scale),
            overwrite=True,
            dimension_names=(*dims, "y", "x"),
            attributes={"units": units, "grid_mapping": GRID_MAPPING, **packing},
        )

    def array(
        self, name: str, values: npt.NDArray[Any], dims: tuple[str, ...], attributes: dict[str, Any] | None = None
    ) -> None:
        """Write an array that does not lie on the grid."""
        self._group.create_array(
            name,
            data=values,
            compressors=COMPRESSION,
            dimension_names=dims,
            attributes=attributes or {},
            overwrite=True,
        )

    def days(self, name: str, days: Iterable[dt.date] | npt.NDArray[np.datetime64], dim: str) -> None:
        """Write calendar days along a dimension."""
        since = np.array(list(days), "datetime64[D]").astype(np.int64)
        self.array(name, since, (dim,), {"units": "days since 1970-01-01"})

    def finish(self, manifest: Manifest, checksums: Mapping[str, str]) -> None:
        """Write the cube's attributes, last of all: with what was written of each array.

        Args:
            manifest: The other attributes.
            checksums: Of files where they are known, by their path below the cube.
        """
        written = {"chunks": array_files(self._path), "checksums": file_checksums(self._path, checksums)}
        self._group.update_attributes(manifest.model_copy(update=written).attributes())  # attrs.update writes each
