"""How many patches a second one process makes: with and without kept weights, and from the stack against the cube.

    python benchmarks/patches.py [Hydra overrides]

Simulates the default watershed in a temporary folder unless `datamodule.root` is given. Each comparison alternates
between its two sides in one process, so that a busy machine slows both.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mlssm.config import TrainConfig, parse
from mlssm.data.assemble import Experiment, assemble
from mlssm.data.dataset import PatchDataset
from mlssm.data.features import FeatureSource
from mlssm.grid import Window
from mlssm.jobs.area import open_area
from mlssm.weather.weight_cache import WeightCache

CONF = Path(__file__).resolve().parents[1] / "conf"
ROUNDS, PATCHES = 9, 300


@dataclass(frozen=True)
class Comparison:
    """Patches a second, the median of all rounds."""

    before: float
    after: float


def compare(before: Callable[[int], object], after: Callable[[int], object], positions: list[int]) -> Comparison:
    """Time two ways to make the same patches, in turns."""
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for make, found in zip((before, after), rates, strict=True):
            start = time.perf_counter()
            for position in positions:
                make(position)
            found.append(len(positions) / (time.perf_counter() - start))
    return Comparison(*(float(np.median(found)) for found in rates))


def compare_weights(experiment: Experiment) -> Comparison:
    """Whole items of the training set: interpolation weights made anew each time, or kept."""
    kept = experiment.datasets["train"]
    field = dataclasses.replace(experiment.field, cache=WeightCache(0))
    features = FeatureSource(field, experiment.features.layers, experiment.spec)
    anew = PatchDataset(kept.patches, kept.size, kept.retrieval, features, kept.moments)
    positions = np.random.default_rng(0).integers(len(kept), size=PATCHES).tolist()
    for position in positions:  # as the epoch before would have; and both are the same to the bit
        for left, right in zip(kept[position], anew[position], strict=True):
            assert np.array_equal(left.numpy(), right.numpy(), equal_nan=left.is_floating_point())
    return compare(anew.__getitem__, kept.__getitem__, positions)


def compare_reads(experiment: Experiment, size: int = 64) -> Comparison:
    """The backscatter of random patches: from the cube's compressed chunks, or from the memory-mapped stack."""
    cube, stack = experiment.cube, experiment.stack.extents[0]
    rng = np.random.default_rng(0)
    height, width = stack.packed.shape[1:]
    rows, cols = (rng.integers(max(side - size, 1), size=PATCHES) for side in (height, width))
    times = rng.integers(len(cube.times), size=PATCHES)

    def decoded(i: int) -> object:
        return cube.backscatter(int(times[i]), "VV", Window(int(rows[i]), int(cols[i]), size, size))

    def mapped(i: int) -> object:
        return stack.backscatter(times[i : i + 1], slice(rows[i], rows[i] + size), slice(cols[i], cols[i] + size))

    return compare(decoded, mapped, list(range(PATCHES)))


def compose_config(*overrides: str) -> TrainConfig:
    """The shipped configuration, with overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("train", list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return parse(TrainConfig, {str(key): value for key, value in values.items()})


def main(*overrides: str) -> None:
    """Compare, and print a line each."""
    with tempfile.TemporaryDirectory() as folder:
        places = f"datamodule.root={folder}/area", f"datamodule.cubes={folder}/cubes"
        experiment = None
        for lag in (3, 30):
            config = compose_config(*places, f"model.lag={lag}", *overrides)
            experiment = assemble(open_area(config.datamodule, config.on_bad_file), config)
            show(f"items at lag {lag}: weights made anew, kept", compare_weights(experiment))
            cache = experiment.field.cache
            print(f"  kept: {len(cache)} weights, {cache.nbytes / 2**20:.1f} of at most {cache.capacity / 2**20:g} MiB")
        assert experiment is not None
        show("64 x 64 backscatter: zarr cube, memory-mapped stack", compare_reads(experiment))


def show(name: str, found: Comparison) -> None:
    """Print patches a second and their ratio."""
    print(f"{name}: {found.before:.0f} and {found.after:.0f} patches/s, ratio {found.after / found.before:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
