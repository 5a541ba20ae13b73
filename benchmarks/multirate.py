"""What a window of 30 days costs against one of a day: a training step, patches with their inputs, and a whole map.

    python benchmarks/multirate.py [Hydra overrides]

Simulates the default watershed in a temporary folder unless `datamodule.root` is given. Both windows take turns, and so
they do for the plain ConvLSTM.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from turns import fastest

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment, assemble
from mlssm.data.batch import Batch
from mlssm.inference.extent import map_extent
from mlssm.jobs.area import open_area
from patches import compose_config

LAGS = (1, 30)
SIZES = ((16, 20), (4, 128))  # batch, pixels
ROUNDS = 5
Ways = dict[str, Callable[[], object]]


def step(network: nn.Module, optimiser: torch.optim.Optimizer, dynamic: Tensor, static: Tensor, target: Tensor) -> None:
    """A whole training step."""
    optimiser.zero_grad()
    nn.functional.mse_loss(network(dynamic, static).mean, target).backward()
    optimiser.step()


def steps(experiments: dict[int, Experiment], config: TrainConfig, batch: int, pixels: int) -> Ways:
    """A training step on numbers drawn at random, for each lag."""
    ways: Ways = {}
    for lag, experiment in experiments.items():
        network = config.model.build(experiment.spec, spread=False).train()
        optimiser = torch.optim.AdamW(network.parameters())
        cells = -(-pixels // config.model.weather_ratio)
        dynamic = torch.randn(batch, lag, len(experiment.spec.dynamic), cells, cells)
        static = torch.randn(batch, len(experiment.spec.static), pixels, pixels)
        ways[str(lag)] = partial(step, network, optimiser, dynamic, static, torch.rand(batch, 1, pixels, pixels))
    return ways


def fed_steps(experiments: dict[int, Experiment], config: TrainConfig, batch: int) -> Ways:
    """The same with patches of the training split, read anew, for each lag."""

    def run(experiment: Experiment, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        items = [experiment.datasets["train"][position] for position in range(batch)]
        read = Batch(*(torch.stack(values) for values in zip(*items, strict=True)))
        step(network, optimiser, read.dynamic, read.static, read.target.nan_to_num())

    ways: Ways = {}
    for lag, experiment in experiments.items():
        network = config.model.build(experiment.spec, spread=False).train()
        ways[str(lag)] = partial(run, experiment, network, torch.optim.AdamW(network.parameters()))
    return ways


def maps(experiments: dict[int, Experiment], config: TrainConfig, tile: int) -> Ways:
    """The map of the first extent on the last date, inputs and all, for each lag."""
    ways: Ways = {}
    for lag, experiment in experiments.items():
        network, moment = config.model.build(experiment.spec, spread=False), experiment.moments[max(experiment.moments)]
        run = partial(map_extent, network, experiment.features, 0, moment, tile, tile // 4, config.model.margin)
        ways[str(lag)] = run
    return ways


def show(name: str, ways: Ways) -> None:
    """Print milliseconds and the ratio."""
    short, long = fastest(ways, ROUNDS).values()
    print(f"  {name:32} {1000 * short:8.1f} and {1000 * long:8.1f} ms, ratio {long / short:5.2f}", flush=True)


def main(*overrides: str) -> None:
    """Print both models' ratios."""
    with tempfile.TemporaryDirectory() as folder:
        places = f"datamodule.root={folder}/area", f"datamodule.cubes={folder}/cubes"
        for model in ("multirate_convlstm", "convlstm"):
            experiments: dict[int, Experiment] = {}
            for lag in LAGS:
                config = compose_config(*places, f"model={model}", f"model.lag={lag}", *overrides)
                experiments[lag] = assemble(open_area(config.datamodule, config.on_bad_file), config)
            print(f"{config.model.title}: lags {LAGS[0]} and {LAGS[1]}")
            for batch, pixels in SIZES:
                show(f"step, {batch} patches of {pixels} pixels", steps(experiments, config, batch, pixels))
            show("step, 16 patches read anew", fed_steps(experiments, config, 16))
            for tile in (20, 128):
                show(f"map, tiles of {tile} pixels", maps(experiments, config, tile))


if __name__ == "__main__":
    main(*sys.argv[1:])
