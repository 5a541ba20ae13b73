"""The noise ceiling: computed from noisy images alone, against the labels that there would be without speckle."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlssm.cube import pack, unpack
from mlssm.patches.dates import seasons
from mlssm.retrieval.fit import fit_retrieval
from mlssm.retrieval.labels import Labels
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import multilook_db
from mlssm.retrieval.stack import AreaStack, Stack
from mlssm.retrieval.working_grid import working_grid
from mlssm.simulation.orbits import schedule
from mlssm.simulation.scene import build_scene, daily_moisture, render

PIXEL_M, SEEDS, EVERYTHING = 30, (0, 1), slice(None)


@dataclass(frozen=True)
class Images:
    """Noise-free backscatter of a watershed, power [time, height, width]."""

    power: Any
    orbits: Any
    training: Any
    grid: Any


@pytest.fixture(scope="module")
def images(train_config) -> Any:
    """Three seasons, the last of them held out; by simulation seed."""

    @cache
    def of(seed: int) -> Images:
        changes = {"seed": seed, "size": 90, "seasons": 3, "speckle": "false"}
        config = train_config(*(f"datamodule.simulation.{key}={value}" for key, value in changes.items()))
        scene, passes = build_scene(config.datamodule.simulation), schedule(config.datamodule.simulation)
        waiting = defaultdict(list)
        for number, one in enumerate(passes):
            waiting[one.state_day].append(number)
        found = {
            number: render(scene, passes[number], ssm, "VV")
            for day, ssm in daily_moisture(scene)
            for number in waiting[day]
        }
        orbits = np.array([137 if one.track.ascending else 71 for one in passes])
        season = seasons(np.array([one.local_day for one in passes], "datetime64[D]"), 9)
        power = np.stack([found[number] for number in range(len(passes))])
        return Images(power, orbits, season != season.max(), scene.landscape.grid)

    return of


def labels_of(images: Images, power: Any, looks: float, config: Any) -> Labels:
    """The labels of all dates, from references fitted on training dates."""
    stored = [unpack(pack((10 * np.log10(image)).astype(np.float32), 0.01), 0.01) for image in power]
    cube: Any = SimpleNamespace(
        orbits=images.orbits,
        manifest=SimpleNamespace(looks=looks),
        areas=(images.grid.full,),
        grid=images.grid,
        backscatter=lambda time, polarisation, window: stored[time][window.slices],
    )
    working = working_grid(cube, config)
    side, shape = working.window_pixels, working.areas[0].shape
    blocks = [slice(0, length * working.factor) for length in shape]
    means, counts = zip(
        *(multilook_db(image[tuple(blocks)], side, config.multilook, config.min_valid_fraction) for image in stored),
        strict=True,
    )
    area = AreaStack(np.stack([pack(mean, 0.01) for mean in means]), np.stack(counts).astype(np.uint16))
    fitted = fit_retrieval(cube, Stack(working, (area,)), config, images.training, DateMasks({}, (shape,)))
    return fitted.labels(0, np.arange(len(power)), EVERYTHING, EVERYTHING)


@pytest.mark.parametrize(
    ("looks", "window", "mode"),
    [
        *((4, 1, "block"), (10, 1, "block"), (50, 1, "block"), (300, 1, "block")),
        *((4, 3, "block"), (10, 3, "block"), (10, 5, "block"), (10, 3, "moving"), (4, 5, "moving")),
    ],
)
def test_the_ceiling_is_the_r2_of_the_noise_free_labels(
    images: Any, train_config: Any, looks: int, window: int, mode: str
) -> None:
    """Within 0.02, on training dates and on a held-out season, of two watersheds together."""
    metres = 0 if window == 1 else PIXEL_M * window
    config = train_config(f"retrieval.multilook_m={metres}", f"retrieval.multilook={mode}").retrieval
    # what passes the mask by its speckle alone has a noise-free label, too
    unmasked = config.model_copy(update={"min_sensitivity_db": 0.0})
    totals = {"training": np.zeros(5), "held out": np.zeros(5)}  # n, y, y^2, squared error, squared standard error
    for seed in SEEDS:
        area = images(seed)
        speckle = np.random.default_rng([seed, looks]).standard_gamma(looks, area.power.shape) / looks
        noisy = labels_of(area, area.power * speckle, looks, config)
        clean = labels_of(area, area.power, 1e9, unmasked)
        for name, dates in (("training", area.training), ("held out", ~area.training)):
            known = np.isfinite(noisy.ssm[dates]) & np.isfinite(clean.ssm[dates])
            y, truth, error = (
                values[dates][known].astype(float) for values in (noisy.ssm, clean.ssm, noisy.standard_error)
            )
            totals[name] += [y.size, y.sum(), (y**2).sum(), ((y - truth) ** 2).sum(), (error**2).sum()]
    for name, total in totals.items():
        n, y, yy, squared, stated = total
        variance = yy / n - (y / n) ** 2
        ceiling, r2 = 1 - stated / n / variance, 1 - squared / n / variance
        assert ceiling == pytest.approx(r2, abs=0.02), f"{name}: ceiling {ceiling:.3f}, R2 of the truth {r2:.3f}"
