"""The topographic wetness index: how much land drains to a pixel, against how fast it drains away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlssm.errors import ConfigError
from mlssm.sources.faults import Array

# land around an area that drains into it is read this far, metres
MARGIN_M = 2000.0
# what is flat would drain nothing, and its index be infinite: the least slope, as the rise over a metre
LEAST_TAN = 1e-3
# pyflwdir's code of a pixel without elevation
_MISSING = -9999.0


def wetness(elevation: Array, slope: Array, pixel: float) -> tuple[Array, npt.NDArray[np.bool_]]:
    """ln(a / tan b) of Beven & Kirkby 1979 (Hydrol. Sci. Bull. 24, 43-69).

    Depressions are filled up to where they spill (Wang & Liu 2006), water flows to one of eight neighbours, and a is
    the area that drains through a pixel over the pixel's side, its own area included.

    Args:
        elevation: Metres, [rows, columns], NaN where missing.
        slope: Degrees, likewise.
        pixel: Pixel size in metres.

    Returns:
        The index, ln of metres, NaN where elevation or slope is missing; and where the area that drains through a pixel
        reaches the edge of what is known, so that it is larger than counted.

    Raises:
        ConfigError: pyflwdir is not installed.
    """
    try:
        import pyflwdir
    except ImportError:
        raise ConfigError("the feature 'wetness' needs pyflwdir: pip install 'mlssm[terrain]'") from None
    known = np.isfinite(elevation)
    if not known.any():
        return np.full(elevation.shape, np.nan, np.float32), ~known
    flow = pyflwdir.from_dem(np.where(known, elevation, _MISSING).astype(np.float32), nodata=_MISSING)
    drained = flow.accuflux(known.astype(np.float64), nodata=_MISSING) * pixel
    rise = np.maximum(np.tan(np.radians(slope.astype(float))), LEAST_TAN)
    index = np.where(known, np.log(np.maximum(drained, pixel) / rise), np.nan)
    from_edge = flow.accuflux(_edge(known).astype(np.float64), nodata=_MISSING) > 0
    return index.astype(np.float32), np.asarray(from_edge & known)


def _edge(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Known pixels with an unknown neighbour."""
    inside = np.pad(known, 1)
    rows, cols = known.shape
    neighbours = [inside[row : row + rows, col : col + cols] for row in range(3) for col in range(3)]
    return np.asarray(known & ~np.logical_and.reduce(neighbours))
