"""A bit field as GeoTIFF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from mlssm.grid import Grid


def write_flags(path: Path, grid: Grid, bands: Mapping[str, npt.NDArray[np.uint16]], bits: Mapping[int, str]) -> None:
    """Write flags, a band each, with what each bit means as tags.

    Args:
        path: The file to write.
        grid: Of the arrays.
        bands: By description, uint16 [height, width].
        bits: Meaning by value: 1, 2, 4, ...
    """
    profile = {"driver": "GTiff", "dtype": "uint16", "count": len(bands), "compress": "deflate", "tiled": True}
    size = {"height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform}
    with rasterio.open(path, "w", **profile, **size, blockxsize=256, blockysize=256) as target:
        for number, (description, values) in enumerate(bands.items(), 1):
            target.write(values, number)
            target.set_band_description(number, description)
        target.update_tags(**{f"BIT_{value}": text for value, text in bits.items()})
