"""What is scored is what is shipped: a patch's prediction is the map's at the same pixels."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mlssm.data.assemble import Experiment, two_pass_grid
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.evaluate import regular_grid
from mlssm.evaluation.stream import Network, batches
from mlssm.inference.extent import map_extent

TINY = ("retrieval.multilook_m=90", "patches.size=10")
CONVLSTM = ("model.hidden=[4]", "model.lag=4")
MULTIRATE = ("model=multirate_convlstm", "model.hidden=4", "model.fused=4", "model.lag=4")


def _network(watershed: Any, experiment: Experiment, *overrides: str) -> torch.nn.Module:
    torch.manual_seed(3)
    return watershed.config(*TINY, *overrides).model.build(experiment.spec, spread=False)


def _differences(network: torch.nn.Module, experiment: Experiment, dataset: PatchDataset) -> np.ndarray:
    """Patch minus map of every pixel that has a label."""
    maps, found = {}, []
    for batch, places in batches(dataset, 64):
        predicted = Network("network", network, experiment.spec).predict(places, batch)[:, 0].numpy()
        for place, values, valid in zip(places, predicted, batch.valid[:, 0].numpy(), strict=True):
            key, moment = (place.extent, place.time), experiment.moments[place.time]
            if key not in maps:
                margin = experiment.datasets["val"].margin
                maps[key] = map_extent(network, experiment.features, place.extent, moment, 32, 8, margin)
            own = maps[key][place.rows, place.cols]
            height, width = own.shape
            found.append((values[:height, :width] - own)[valid[:height, :width]])
    return np.concatenate(found)


@pytest.fixture(scope="module")
def of_family(watershed: Any) -> Callable[..., Experiment]:
    """Assembles for a family of models; each once."""
    return cache(lambda *overrides: watershed.experiment(*TINY, *overrides))


def test_a_patch_is_the_maps_own(watershed: Any, of_family: Callable[..., Experiment]) -> None:
    experiment = of_family(*CONVLSTM)
    network, val = _network(watershed, experiment, *CONVLSTM), experiment.datasets["val"]
    assert val.margin == regular_grid(val).margin == two_pass_grid(experiment, "train").margin == 4
    assert (experiment.datasets["train"].margin, val[0].static.shape[-1]) == (0, 18)
    found = _differences(network, experiment, val)
    assert found.size > 1000
    assert np.abs(found).max() < 1e-5
    bare = PatchDataset(val.patches, val.size, val.retrieval, val.features, val.moments)
    assert np.abs(_differences(network, experiment, bare)).max() > 1e-4, "without the margin they would differ"


def test_a_patch_on_cells_is_nearly_the_maps_own(watershed: Any, of_family: Callable[..., Experiment]) -> None:
    # cells begin at the patch's corner, the map's at the tile's: the weather's smoothness is what is left
    experiment = of_family(*MULTIRATE)
    val = experiment.datasets["val"]
    assert val[0].dynamic.shape[-2:] == (2, 2)
    found = _differences(_network(watershed, experiment, *MULTIRATE), experiment, val)
    assert np.sqrt(np.mean(found**2)) < 0.005


@pytest.mark.parametrize("overrides", [CONVLSTM, MULTIRATE])
def test_controls_and_baselines_see_the_pixels(
    watershed: Any, of_family: Callable[..., Experiment], overrides: tuple[str, ...]
) -> None:
    experiment = of_family(*overrides)
    network, val = _network(watershed, experiment, *overrides), experiment.datasets["val"]
    batch, places = next(batches(val, 8))
    for control in ("no_weather", "shuffle_space"):
        predicted = Network("network", network, experiment.spec, control).predict(places, batch)
        assert predicted.shape == batch.valid.shape
        assert predicted.isfinite().all()
