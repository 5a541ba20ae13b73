"""How stations weigh at the pixels of an extent: up to 12 bytes a pixel and neighbour, in files where that is much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mlssm.grid import Floats
from mlssm.scratch import scratch


@dataclass(frozen=True)
class StationWeights:
    """The weights that are not 0, pixel by pixel, row by row of the extent.

    Attributes:
        values: Of all pixels, one after the other.
        station: Of each value.
        ends: Where each pixel's values end, after a first 0 [P + 1].
        stations: How many there are.
    """

    values: Floats
    station: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]
    stations: int

    @classmethod
    def of(cls, parts: Iterable[Floats], pixels: int, most: int, stations: int) -> StationWeights:
        """From dense weights [pixel, station] of some pixels after the other.

        Args:
            parts: They have all pixels together.
            pixels: How many these are.
            most: Stations that weigh at a pixel at most.
            stations: How many there are.
        """
        values, station = scratch((pixels * most,), np.float64), scratch((pixels * most,), np.int32)
        ends, pixel, end = scratch((pixels + 1,), np.int64), 0, 0
        for dense in parts:
            known = sparse.csr_array(dense)
            values[end : end + known.nnz], station[end : end + known.nnz] = known.data, known.indices
            ends[pixel + 1 : pixel + 1 + len(dense)] = end + known.indptr[1:]
            pixel, end = pixel + len(dense), end + known.nnz
        return cls(values, station, ends, stations)

    def at(self, first: int, last: int) -> Floats:
        """Of the pixels from `first` to before `last` [pixel, station], sparse; rows sum to 1."""
        ends = self.ends[first : last + 1]
        here = slice(int(ends[0]), int(ends[-1]))
        parts = self.values[here], self.station[here], ends - ends[0]
        found: Floats = sparse.csr_array(parts, shape=(last - first, self.stations))
        return found

    @property
    def everywhere(self) -> Floats:
        """Of all pixels."""
        return self.at(0, len(self.ends) - 1)
