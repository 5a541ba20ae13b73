"""Rasters that an origin writes itself, whole or not at all, and where files come from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from mlssm.config.area_file import FileProvenance
from mlssm.files import naming
from mlssm.grid import Grid
from mlssm.origins.cache import file_sha256
from mlssm.origins.contract import Wanted

SIDE = 256


def write_geotiff(
    path: Path,
    values: npt.NDArray[Any],
    grid: Grid,
    nodata: float,
    scale: float = 1.0,
    description: str | Sequence[str] = "",
) -> None:
    """Write a tiled, deflated GeoTIFF; it has its name only when it is whole.

    Args:
        path: The file.
        values: [row, column], or [band, row, column], in the type to store.
        grid: Where they lie.
        nodata: The stored value that says missing.
        scale: What stored values are multiplied with.
        description: Of the band, or of each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.tif")
    bands = values if values.ndim == 3 else values[None]
    profile: dict[str, Any] = {"driver": "GTiff", "count": len(bands), "dtype": values.dtype.name, "nodata": nodata}
    profile |= {"height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform}
    if min(grid.shape) >= SIDE:
        profile |= {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE}
    predictor = 3 if np.issubdtype(values.dtype, np.floating) else 2
    with naming(path):
        with rasterio.open(partial, "w", **profile, compress="deflate", predictor=predictor) as file:
            file.write(bands)
            file.scales = (scale,) * len(bands)
            for number, text in enumerate((description,) if isinstance(description, str) else description, 1):
                file.set_band_description(number, text)
        partial.replace(path)


def provenance(root: Path, wanted: Iterable[Wanted]) -> tuple[FileProvenance, ...]:
    """Where files come from: of those that are there, a service may have had nothing for some."""
    return tuple(_of(root / item.name, item) for item in wanted if (root / item.name).is_file())


def _of(path: Path, item: Wanted) -> FileProvenance:
    status = path.stat()
    return FileProvenance(
        name=item.name,
        address=item.address,
        licence=item.licence,
        sha256=file_sha256(path),
        size=status.st_size,
        retrieved=dt.datetime.fromtimestamp(int(status.st_mtime), dt.UTC),
    )
