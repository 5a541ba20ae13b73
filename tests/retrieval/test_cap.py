"""The cap of simulated labels, against the best monotone map of what is noise-free: fitted references, new speckle."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from sklearn.isotonic import IsotonicRegression

from mlssm.cube import BACKSCATTER_SCALE, Cube, pack
from mlssm.patches.dates import seasons
from mlssm.retrieval.fit import fit_retrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import multilook_db
from mlssm.retrieval.stack import load_stack
from mlssm.scores.sums import SUMS, pixel_sums, scores

DRAWS, PIXELS = 12, 150
WHOLE = slice(None), slice(None)


@dataclass(frozen=True)
class Speckled:
    """A noise-free cube seen with speckle.

    Attributes:
        clean: The noise-free cube.
        looks: Of a pixel.
    """

    clean: Cube
    looks: int

    def image(self, draw: int, time: int) -> np.ndarray:
        """One draw of gamma-distributed speckle on the noise-free power, VV, dB."""
        extent = self.clean.extents[0]
        power = np.random.default_rng([draw, time]).standard_gamma(self.looks, extent.shape) / self.looks
        return (self.clean.backscatter(time, "VV", extent) + 10 * np.log10(power)).astype(np.float32)

    def cube(self, path: Path) -> Cube:
        """A cube of the first draw; what else it holds is the noise-free one's."""
        shutil.copytree(self.clean.path, path)
        stored = zarr.open_group(path)["backscatter"]
        for time in range(len(self.clean.times)):
            stored[time, 0, *self.clean.extents[0].slices] = pack(self.image(0, time), BACKSCATTER_SCALE)
        return Cube(path, self.clean.manifest.model_copy(update={"looks": self.looks}))

    def drawn(self, draw: int, time: int, pixels: int) -> np.ndarray:
        """Another draw of an image, averaged over blocks; dB."""
        return multilook_db(self.image(draw, time), pixels, "block", 0.5)[0]


def best_maps(clean: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each pixel's monotone map from noise-free backscatter to labels of other draws, at its dates [time, pixel]."""
    found = np.empty(clean.shape)
    for pixel in range(clean.shape[1]):
        x, y = np.tile(clean[:, pixel], len(labels)), labels[:, :, pixel].ravel()
        found[:, pixel] = IsotonicRegression().fit(x, y).predict(clean[:, pixel])
    return found


# looks of a pixel, pixels along the window: 4 to 90 looks a sample
@pytest.mark.parametrize(("looks", "pixels"), [(4, 1), (50, 1), (10, 3)])
def test_the_cap_is_the_r2_of_the_best_monotone_map_of_the_truth(
    silent_watershed, tmp_path: Path, looks: int, pixels: int
) -> None:
    """On held-out dates. The maps are of single pixels and orbits, learnt from other speckle on the same dates.

    Balanced weights are not those that the map was learnt by, so that its best affine function is what counts there;
    bins that hold few of some thousand labels make it uncertain by another 0.01.
    """
    area = silent_watershed
    config = area.config(f"retrieval.multilook_m={pixels * 30}").retrieval
    season = seasons(area.cube.local_days, 9)
    training, test = season < season.max(), np.flatnonzero(season == season.max())
    speckled = Speckled(area.cube, looks)
    noisy = speckled.cube(tmp_path / "noisy.zarr")
    stack = load_stack(noisy, config)
    clean = load_stack(area.cube, config).extents[0].backscatter(test, *WHOLE)
    fitted = fit_retrieval(noisy, stack, config, training, DateMasks({}, (clean.shape[1:],)))
    found, orbits = fitted.labels(0, test, *WHOLE), area.cube.orbits[test]
    copies = (np.stack([speckled.drawn(draw, int(time), pixels) for time in test]) for draw in range(1, DRAWS))
    others = np.stack([fitted.extents[0].retrieve(each, orbits, *WHOLE)[0] for each in copies])
    sums = torch.zeros(1, 10, len(SUMS), dtype=torch.float64)
    for at in (orbits == orbit for orbit in np.unique(orbits)):
        rows, cols = np.nonzero(np.isfinite(found.ssm[at]).all(axis=0))
        some = np.linspace(0, len(rows) - 1, PIXELS).astype(int)
        place = rows[some], cols[some]
        best = best_maps(clean[at][:, *place], others[:, at][:, :, *place])
        labels = (each[at][:, *place] for each in (found.ssm, found.standard_error, found.attainable))
        truth, ssm, error, attainable = (torch.from_numpy(each).double() for each in (best, *labels))
        date = torch.zeros(len(ssm), dtype=torch.int64)
        sums += pixel_sums(truth, ssm, ssm >= 0, error, attainable, date, groups=1, bins=10)
    natural, balanced = scores(sums), scores(sums, "balanced")
    assert natural.r2_cap == pytest.approx(natural.r2, abs=0.02)
    assert balanced.r2_cap == pytest.approx(balanced.corr**2, abs=0.03)
    assert natural.n > 2000
