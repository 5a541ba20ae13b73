"""The noise ceiling of simulated watersheds, against the R2 that the true SSM has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mlssm.cube import Cube
from mlssm.patches.dates import seasons
from mlssm.retrieval.fit import Retrieval, fit_retrieval
from mlssm.retrieval.labels import Labels
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import load_stack

pytestmark = pytest.mark.slow

SEEDS = (0, 1)
TOLERANCE = 0.02
# below 50 looks a sample the difference itself is uncertain: from draw to draw of the speckle of 8100 pixels it has a
# standard deviation of 0.01 to 0.02 (measured on five to eight draws of each seed); above, of 0.005 at most
FEW_LOOKS, CHANCE, DRAWS = 50, 0.01, 2
# looks of a pixel, pixels along the window, kind of window: 4 to 1000 looks a sample
CONDITIONS = (
    (4, 1, "block"),
    (10, 1, "block"),
    (50, 1, "block"),
    (300, 1, "block"),
    (4, 3, "block"),
    (10, 3, "moving"),
    (10, 5, "block"),
    (10, 5, "moving"),
    (10, 10, "block"),
)


@dataclass(frozen=True)
class SpeckledCube(Cube):
    """A noise-free cube, seen with speckle; what else it holds is the noise-free one's.

    Attributes:
        clean: The noise-free cube.
        draw: Number of the speckle's draw.
    """

    clean: Cube
    draw: int

    def backscatter(self, time: int, polarisation: str, area) -> np.ndarray:
        """Gamma-distributed speckle on the noise-free power, dB."""
        looks = self.manifest.looks
        power = np.random.default_rng([self.draw, time]).standard_gamma(looks, area.shape) / looks
        return (self.clean.backscatter(time, polarisation, area) + 10 * np.log10(power)).astype(np.float32)

    @property
    def _group(self):
        return self.clean._group


def fit(cube: Cube, config, training: np.ndarray) -> Retrieval:
    stack = load_stack(cube, config)
    return fit_retrieval(cube, stack, config, training, DateMasks({}, tuple(a.packed.shape[1:] for a in stack.areas)))


def labels(retrieval: Retrieval) -> Labels:
    return retrieval.labels(0, np.arange(len(retrieval.orbits)), slice(None), slice(None))


@pytest.fixture(scope="module")
def noise_free(watersheds) -> Callable[[int], object]:
    """Watersheds of 90 x 90 pixels and three seasons, with vegetation, by seed."""
    simulation = {"size": 90, "revisit_days": 12, "speckle": "false", "vegetation_attenuation": 0.4}
    changes = [f"datamodule.simulation.{key}={value}" for key, value in simulation.items()]
    return lambda seed: watersheds(*changes, f"datamodule.simulation.seed={seed}")


def ceiling_and_r2(found: Labels, truth: Labels, dates: np.ndarray) -> tuple[float, float]:
    """The ceiling, and the R2 of the truth, on some dates."""
    known = np.isfinite(found.ssm[dates]) & np.isfinite(truth.ssm[dates])
    assert known.sum() > 0.99 * np.isfinite(found.ssm[dates]).sum() > 1000
    parts = (found.ssm, truth.ssm, found.standard_error)
    label, true, error = (values[dates][known].astype(float) for values in parts)
    return 1 - np.square(error).mean() / label.var(), 1 - np.square(label - true).mean() / label.var()


def measure(area, folder: Path, looks: int, pixels: int, mode: str, draws: int) -> np.ndarray:
    """Ceiling and R2 of the truth on the training seasons and on the last one, which is held out, [draw, 2, 2].

    The truth is what the same retrieval makes of the noise-free images: on the same dates, with references fitted to
    them, wherever there is a label.
    """
    config = area.config(f"retrieval.multilook_m={pixels * 30}", f"retrieval.multilook={mode}").retrieval
    season = seasons(area.cube.local_days, 9)
    training = season < season.max()
    silent, noisy = (area.cube.manifest.model_copy(update={"looks": number}) for number in (1e9, looks))
    unmasked = config.model_copy(update={"min_sensitivity_db": 0.0})
    truth = labels(fit(replace(area.cube, manifest=silent), unmasked, training))
    assert not np.nan_to_num(truth.standard_error).any()
    cubes = (SpeckledCube(folder / f"{draw}.zarr", noisy, area.cube, draw) for draw in range(draws))
    found = [labels(fit(cube, config, training)) for cube in cubes]
    return np.array([[ceiling_and_r2(each, truth, dates) for dates in (training, ~training)] for each in found])


@pytest.mark.parametrize(("looks", "pixels", "mode"), CONDITIONS)
def test_ceiling_is_the_r2_of_the_truth(noise_free, tmp_path: Path, looks: int, pixels: int, mode: str) -> None:
    """On training dates and held-out ones; of all labels, also where noise alone passes the masks."""
    few = looks * pixels**2 < FEW_LOOKS
    draws = DRAWS if few else 1
    pairs = np.array([measure(noise_free(seed), tmp_path / str(seed), looks, pixels, mode, draws) for seed in SEEDS])
    text = f"ceiling and R2 of the truth by seed, draw, training and held out: {pairs.round(3).tolist()}"
    difference = pairs[..., 0] - pairs[..., 1]
    assert np.abs(difference.mean(axis=(0, 1))).max() < TOLERANCE, text
    assert np.abs(difference).max() < TOLERANCE + (2 * CHANCE if few else 0), text
