"""An index of rasters whose names carry a date, by torchgeo."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from pyproj import CRS

from mlssm.errors import DataError
from mlssm.grid import Bounds


def index_dated(
    paths: Sequence[Path], pattern: str, date_format: str, crs: str
) -> list[tuple[Path, dt.datetime, Bounds]]:
    """Date and footprint of each raster.

    Args:
        paths: Rasters that can be read, all with a CRS.
        pattern: Regular expression of the file name, with the group `date`.
        date_format: How `date` is written (strptime), taken as UTC.
        crs: The CRS of the footprints.

    Returns:
        Path, time and bounds (west, south, east, north in `crs`) of each, in the order of time.

    Raises:
        DataError: A date cannot be read.
    """
    from torchgeo.datasets import RasterDataset

    class DatedRasters(RasterDataset):  # type: ignore[misc, unused-ignore]
        filename_glob = "*"
        filename_regex = pattern

    DatedRasters.date_format = date_format
    try:
        index = DatedRasters([str(path) for path in paths], crs=CRS.from_user_input(crs)).index
    except ValueError as error:
        raise DataError(f"a date in a file name of {paths[0].parent} cannot be read: {error}") from error
    rows = zip(index["filepath"], index.index.left, index.geometry.bounds.itertuples(index=False), strict=True)
    found = [(Path(path), time.to_pydatetime().replace(tzinfo=dt.UTC), tuple(box)) for path, time, box in rows]
    return sorted(found, key=lambda item: (item[1], item[0].name))
