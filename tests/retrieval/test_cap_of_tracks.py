"""The cap where tracks have errors of their own: of simulated labels, against the best map of what tracks share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from sklearn.isotonic import IsotonicRegression

from mlssm.config import TracksConfig
from mlssm.cube import BACKSCATTER_SCALE, Cube, pack
from mlssm.patches.dates import seasons
from mlssm.retrieval.fit import fit_retrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import load_stack
from mlssm.scores.sums import SUMS, pixel_sums, scores

LOOKS, PIXELS, DRAWS = 40, 80, 12
WHOLE = slice(None), slice(None)


@dataclass(frozen=True)
class Seen:
    """What two tracks see: the n-th image of each the same, but for speckle and an error of the track's own."""

    shape: tuple[int, int]
    orbits: np.ndarray
    own_db: float

    def shared(self, time: int) -> np.ndarray:
        """VV that both tracks see, dB."""
        number = int((self.orbits[:time] == self.orbits[time]).sum())
        rng = np.random.default_rng([9, number])
        return -12 + 2.5 * rng.normal() + 0.8 * rng.normal(size=self.shape)

    def image(self, draw: int, time: int) -> np.ndarray:
        """One draw of error and speckle, dB."""
        rng = np.random.default_rng([draw, time])
        speckle = 10 * np.log10(rng.standard_gamma(LOOKS, self.shape) / LOOKS)
        own = self.own_db * (0.6 * rng.normal() + 0.8 * rng.normal(size=self.shape))
        return np.asarray(self.shared(time) + own + speckle, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("own_db", [0.0, 1.0])
def test_the_cap_is_the_r2_of_the_best_map_of_what_tracks_share(
    silent_watershed, tmp_path: Path, own_db: float
) -> None:
    """On held-out dates, from references and an error of the tracks that are fitted on the others."""
    area = silent_watershed
    config = area.config("retrieval.multilook_m=30").retrieval
    season, orbits = seasons(area.cube.local_days, 9), area.cube.orbits
    training, test = season < season.max(), np.flatnonzero(season == season.max())
    seen = Seen(area.cube.extents[0].shape, orbits, own_db)
    path = tmp_path / "cube.zarr"
    shutil.copytree(area.cube.path, path)
    stored = zarr.open_group(path)["backscatter"]
    for time in range(len(orbits)):
        stored[time, 0, *area.cube.extents[0].slices] = pack(seen.image(0, time), BACKSCATTER_SCALE)
    cube = Cube(path, area.cube.manifest.model_copy(update={"looks": LOOKS}))
    masks = DateMasks({}, (seen.shape,))
    # tracks are 9.5 days apart here, and see the same all the same
    tracks = TracksConfig(most_hours=240)
    fitted = fit_retrieval(cube, load_stack(cube, config), config, training, masks, tracks=tracks)
    assert fitted.track.pairs >= 20
    found = fitted.labels(0, test, *WHOLE)
    rows, cols = np.nonzero(np.isfinite(found.ssm).all(axis=0))
    place = rows[:: len(rows) // PIXELS], cols[:: len(rows) // PIXELS]
    shared = np.stack([seen.shared(int(time))[place] for time in test])
    others = [
        fitted.extents[0].retrieve(np.stack([seen.image(draw, int(time)) for time in test]), orbits[test], *WHOLE)[0]
        for draw in range(1, DRAWS)
    ]
    y = np.stack(others)[:, :, *place]
    best = np.empty(shared.shape)
    for pixel in range(shared.shape[1]):
        known = np.tile(shared[:, pixel], len(y)), y[:, :, pixel].ravel()
        best[:, pixel] = IsotonicRegression().fit(*known).predict(shared[:, pixel])
    labels = (
        torch.from_numpy(each[:, *place]).double() for each in (found.ssm, found.standard_error, found.attainable)
    )
    ssm, error, attainable = labels
    none = torch.zeros(len(ssm), dtype=torch.int64)
    sums = pixel_sums(torch.from_numpy(best), ssm, ssm >= 0, error, attainable, none, groups=1, bins=10)
    assert sums.shape[-1] == len(SUMS)
    counted, alone = scores(sums, "natural", fitted.track.value), scores(sums)
    sampling = 3 * fitted.track.error / float(ssm.var())
    assert counted.r2_cap == pytest.approx(counted.r2, abs=sampling + 0.02)
    if own_db:
        assert alone.r2_cap > counted.r2 + 0.05
        assert sampling < 0.05
