"""With which probability a patch is in the index, and how much there is that it stands for.

The index is a sample of the lattice's patches: those on the regular grid, and those on the dense grid that lie in the
extent as a whole and are wet. Over the random position of the two grids on the lattice (of step g, patches of size S, a
dense stride s) a position is on the regular grid with probability (g/S)^2, on the dense one with (g/s)^2, on both with
(g / lcm(S, s))^2. Where s divides S, g is s: the lattice is the dense grid, all of its wet patches are in, and of the
others one in (S/s)^2.

Blocks are laid along the regular grid, so none of its patches straddles two, and many of the others do. Under a split
by block the shares are therefore counted, over the lattice's positions that are in the split.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import PatchesConfig
from mlssm.crew import Crew, fold
from mlssm.patches.membership import Membership
from mlssm.patches.positions import Grids, Origins
from mlssm.patches.sums import patch_tables
from mlssm.retrieval.working_grid import WorkingGrid


@dataclass(frozen=True)
class Shares:
    """Shares of the lattice's positions that are on the regular grid, and on either grid."""

    regular: float
    either: float

    def inclusion(self, second: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Probability of each patch to be in the index; `second`: the second pass would take it."""
        return np.where(second, self.either, self.regular)


def shares(patches: PatchesConfig, working: WorkingGrid, membership: Membership, split: str) -> Shares:
    """The shares in a split."""
    if membership.places is not None:
        counted = _counted(patches, working, membership.places[membership.places["place"] == split])
        if counted is not None:
            return counted
    size, stride = patches.size, patches.dense_stride
    step = math.gcd(size, stride)
    regular, dense, both = (Fraction(step, each) ** 2 for each in (size, stride, math.lcm(size, stride)))
    return Shares(float(regular), float(regular + dense - both))


def _counted(patches: PatchesConfig, working: WorkingGrid, places: pd.DataFrame) -> Shares | None:
    """Over the patches that lie in their extent as a whole; None where the split has no regular one of them."""
    found = []
    for extent, window in enumerate(working.extents):
        grids, rows = Grids.of(window, patches), places[places["extent"] == extent]
        origins = Origins(rows["row"].to_numpy(), rows["col"].to_numpy())
        inside = grids.inside(origins)
        regular, dense = grids.on_regular(origins)[inside], grids.on_dense(origins)[inside]
        found.append(np.stack([regular, regular | dense], axis=1))
    flags = np.concatenate(found)
    return Shares(*flags.mean(axis=0).tolist()) if flags[:, 0].any() else None


def lattice_pixels(
    labels: Callable[[int, int], npt.NDArray[np.float32]],
    times: npt.NDArray[np.int64],
    working: WorkingGrid,
    membership: Membership,
    patches: PatchesConfig,
    crew: Crew | None = None,
) -> float:
    """Labelled pixels of all patches of the lattice that are for training, each as often as patches hold it.

    Args:
        labels: SSM of an extent at a time, NaN where there is no label or an input is missing, [height, width].
        times: Those that can be used.
        working: The extents.
        membership: The splits; of a split by random patches, their expected share.
        patches: Size, strides and thresholds.
        crew: Who counts; None: here, one date after the other.
    """
    counts: list[float] = []
    places = [(extent, time) for extent in range(len(working.extents)) for time in times.tolist()]
    fold(crew, _OnLattice(labels, working, membership, patches), places, counts.append, "patches of the lattice")
    return sum(counts)


@dataclass(frozen=True)
class _OnLattice:
    """Counts the labelled pixels of an extent at a time; see `lattice_pixels`."""

    labels: Callable[[int, int], npt.NDArray[np.float32]]
    working: WorkingGrid
    membership: Membership
    patches: PatchesConfig

    def __call__(self, place: tuple[int, int]) -> float:
        extent, time = place
        lattice = Grids.of(self.working.extents[extent], self.patches).lattice()
        (table,) = patch_tables(self.labels(extent, time), (lattice,), self.patches.size, self.patches.high_ssm)
        kept = table[table["valid_fraction"] >= self.patches.min_valid_fraction].assign(extent=extent, time=time)
        return float(kept["pixels"].to_numpy() @ self.membership.training_share(kept))
