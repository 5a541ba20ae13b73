"""The speckle of a cube whose source does not state its number of looks."""

from __future__ import annotations

import logging
from itertools import product

import numpy as np
import numpy.typing as npt

from mlssm.cube import Cube
from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.retrieval.noise import Speckle, estimate_speckle

log = logging.getLogger(__name__)

# pixels along a part that speckle is estimated from, parts along an extent's side, and dates: enough, and little memory
SIDE = 256
PARTS = 3
DATES = 24


def cube_speckle(cube: Cube, polarisation: str, training: npt.NDArray[np.bool_]) -> Speckle:
    """The speckle of the part of a cube that shows the most looks: the one least disturbed by real change.

    Args:
        cube: The cube; the orbit with most dates is looked at, as orbits see different slopes.
        polarisation: Which backscatter.
        training: Which times may be looked at, [time].

    Raises:
        DataError: No part has pixels enough, or none has any noise.
    """
    times = _times(cube.orbits, training)
    found: list[Speckle] = []
    for part in (part for extent in cube.extents for part in _parts(extent)):
        try:
            found.append(estimate_speckle(np.stack([cube.backscatter(int(t), polarisation, part) for t in times])))
        except DataError as error:
            log.debug("speckle at row %d, column %d: %s", part.row, part.col, error)
    if not found:
        raise DataError("the images show no speckle to estimate looks from; set datamodule.backscatter.looks")
    best = max(found, key=lambda speckle: speckle.looks)
    beside, above, diagonal = best.correlation
    text = "speckle: a pixel has %.1f looks (estimated), correlation %.2f beside, %.2f above, %.2f diagonal"
    log.info(text, best.looks, beside, above, diagonal)
    return best


def _times(orbits: npt.NDArray[np.int64], training: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """The last training dates of the orbit with most of them."""
    known, count = np.unique(orbits[training], return_counts=True)
    return np.flatnonzero(training & (orbits == known[np.argmax(count)]))[-DATES:]


def _parts(extent: Window) -> list[Window]:
    """Parts of an extent, spread evenly over it."""
    rows, cols = (_starts(side) for side in extent.shape)
    height, width = (min(side, SIDE) for side in extent.shape)
    return [Window(extent.row + row, extent.col + col, height, width) for row, col in product(rows, cols)]


def _starts(side: int) -> list[int]:
    last = max(side - SIDE, 0)
    return [int(start) for start in np.linspace(0, last, min(PARTS, -(-side // SIDE)))]
