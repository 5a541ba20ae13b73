"""Predictions of dates that the model had not seen, as maps: what intervals are calibrated and tallied on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.data.moment import PrefitMaps
from mlssm.data.prefit import BASE, LEVERAGE
from mlssm.evaluation.evaluate import regular_grid
from mlssm.evaluation.stream import batches
from mlssm.inference.prefit import span_map
from mlssm.models.prediction import predict
from mlssm.uncertainty.held_out import HeldOutMap

Array = npt.NDArray[np.float32]
EVERYTHING = slice(None)
SPAN = "span"


def predicted_maps(experiment: Experiment, network: nn.Module, split: str, batch_size: int) -> list[HeldOutMap]:
    """A network's predictions on the regular grid of a split, beside the labels.

    Args:
        experiment: Which the network was trained on.
        network: On the device that it is to run on.
        split: val or test.
        batch_size: Patches that are predicted at once.
    """
    dataset = regular_grid(experiment.datasets[split])
    found: dict[tuple[int, int], Array] = {}
    if not len(dataset):
        return []
    for batch, places in batches(dataset, batch_size):
        said = predict(network, batch.dynamic, batch.static).middle(batch.target)
        labels = np.where(batch.valid.numpy(), batch.target.numpy(), np.nan)[:, 0]
        spreads = None if said.spread is None else said.spread.numpy()[:, 0]
        for position, (place, mean) in enumerate(zip(places, said.ssm.numpy()[:, 0], strict=True)):
            shape = experiment.field.places[place.area].shape
            maps = found.setdefault((place.time, place.area), np.full((3, *shape), np.nan, np.float32))
            part = maps[:, place.rows, place.cols]
            inside = slice(0, part.shape[1]), slice(0, part.shape[2])  # a patch may reach past its area
            part[0], part[1] = mean[inside], labels[position][inside]
            if spreads is not None:
                part[2] = spreads[position][inside]
    states = any(np.isfinite(maps[2]).any() for maps in found.values())
    return [
        HeldOutMap(time, area, mean, label, *covariates(experiment, time, area), spread if states else None)
        for (time, area), (mean, label, spread) in sorted(found.items())
    ]


def out_of_fold_maps(experiment: Experiment) -> list[HeldOutMap]:
    """The closed form's predictions of training dates, each made without its season, beside labels of the others."""
    return list(_out_of_fold(experiment))


def covariates(experiment: Experiment, time: int, area: int) -> tuple[Array, Array]:
    """Span, dB, and the driver's leverage of an area's pixels on a date, both [h, w]; NaN where not known."""
    shape = experiment.field.places[area].shape
    maps = _maps(experiment, time, area)
    span = maps[SPAN] if SPAN in maps else span_map(experiment.retrieval.areas[area])
    return span, maps.get(LEVERAGE, np.full(shape, np.nan, np.float32))


def _maps(experiment: Experiment, time: int, area: int) -> PrefitMaps:
    moment = experiment.moments[time]
    return moment.maps[area] if moment.maps else {}


def _out_of_fold(experiment: Experiment) -> Iterator[HeldOutMap]:
    prefit = experiment.prefit
    for time, targets in sorted({} if prefit is None else prefit.targets.items()):
        for area, target in enumerate(targets):
            own = experiment.retrieval.labels(area, np.array([time]), EVERYTHING, EVERYTHING).ssm[0]
            usable = experiment.features.usable(area, experiment.moments[time])
            label = np.where(np.isfinite(own) & usable, target, np.float32(np.nan))
            mean = _maps(experiment, time, area)[BASE]
            yield HeldOutMap(time, area, mean, label, *covariates(experiment, time, area))
