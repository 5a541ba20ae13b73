"""Predictions of dates that the model had not seen, as maps: what intervals are calibrated and tallied on."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from mlssm.config import TrainConfig
from mlssm.crew import open_crew
from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.data.controls import apply_control
from mlssm.data.moment import PrefitMaps
from mlssm.data.place import PatchPlace
from mlssm.data.prefit import BASE, LEVERAGE
from mlssm.data.spec import FeatureSpec
from mlssm.evaluation.evaluate import regular_grid
from mlssm.evaluation.parts import Patches, look_at
from mlssm.inference.prefit import span_map
from mlssm.models.prediction import predict
from mlssm.uncertainty.held_out import HeldOutMap

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
Part = tuple[slice, slice]
EVERYTHING = slice(None)
SPAN = "span"
# pixels of all dates together that are kept: 20 bytes each
MOST_PIXELS = 20_000_000


def predicted_maps(experiment: Experiment, network: nn.Module, split: str, config: TrainConfig) -> list[HeldOutMap]:
    """A network's predictions on the regular grid of a split, beside the labels; of large extents their middle's.

    Args:
        experiment: Which the network was trained on.
        network: On the device that it is to run on.
        split: val or test.
        config: How many patches are predicted at once, and under which control.
    """
    dataset = regular_grid(experiment.datasets[split])
    if not len(dataset):
        return []
    canvas = _Canvas.of(experiment, len(dataset.times))

    def put(found: _Said) -> None:
        for place, *values in zip(found.places, found.ssm, found.labels, found.spreads, strict=True):
            canvas.put(place, values)

    ask = _Ask(network, config.control, experiment.spec)
    with open_crew(config.dask, experiment.cube.path) as crew:
        look_at(Patches(dataset, config.optimiser.batch_size), ask, put, crew, f"maps of {split}")
    found = []
    for (time, extent), (mean, label, spread) in sorted(canvas.maps.items()):
        known = covariates(experiment, time, extent, canvas.parts[extent])
        found.append(HeldOutMap(time, extent, mean, label, *known, spread if np.isfinite(spread).any() else None))
    return found


def out_of_fold_maps(experiment: Experiment) -> list[HeldOutMap]:
    """The closed form's predictions of training dates, each made without its season, beside labels of the others."""
    return list(_out_of_fold(experiment))


def covariates(experiment: Experiment, time: int, extent: int, part: Part) -> tuple[Array, Array]:
    """Span, dB, and the driver's leverage of a part of an extent on a date, both [h, w]; NaN where not known."""
    maps = _maps(experiment, time, extent)
    span = maps[SPAN] if SPAN in maps else span_map(experiment.retrieval.extents[extent])
    leverage = maps.get(LEVERAGE, np.broadcast_to(np.float32(np.nan), experiment.field.places[extent].shape))
    return span[part], leverage[part]


class _Said(NamedTuple):
    """Predictions of patches, their labels and spreads, each [patch, h, w]; NaN where there is none."""

    places: Sequence[PatchPlace]
    ssm: Array
    labels: Array
    spreads: Array


@dataclass(frozen=True)
class _Ask:
    """Asks a network; see `mlssm.evaluation.parts.Look`."""

    network: nn.Module
    control: str
    spec: FeatureSpec

    def __call__(self, batch: Batch, places: Sequence[PatchPlace]) -> _Said:
        inputs = apply_control(self.control, batch, places, self.spec)
        said = predict(self.network, inputs.dynamic, inputs.static).middle(batch.target)
        labels = np.where(batch.valid.numpy(), batch.target.numpy(), np.nan)[:, 0]
        spreads = np.full_like(labels, np.nan) if said.spread is None else said.spread.numpy()[:, 0]
        return _Said(places, said.ssm.numpy()[:, 0], labels, spreads)


@dataclass(frozen=True)
class _Canvas:
    """Maps that patches are put into.

    Attributes:
        parts: Rows and columns of each extent that are kept.
        maps: Prediction, label and spread [3, h, w] by time and extent; NaN where no patch lies.
    """

    parts: Sequence[Part]
    maps: dict[tuple[int, int], Array]

    @classmethod
    def of(cls, experiment: Experiment, dates: int) -> _Canvas:
        shapes = [place.shape for place in experiment.field.places]
        return cls(middles(shapes, dates), {})

    def put(self, place: PatchPlace, values: Sequence[Array]) -> None:
        """Put a patch's values [h, w] in, as far as it lies in what is kept."""
        part, patch = self.parts[place.extent], (place.rows, place.cols)
        # a patch may reach past its extent, and so past what is kept of it
        common = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(part, patch, strict=True)]
        if any(each.start >= each.stop for each in common):
            return
        size = tuple(each.stop - each.start for each in part)
        maps = self.maps.setdefault((place.time, place.extent), np.full((3, *size), np.nan, np.float32))
        for target, source in zip(maps, values, strict=True):
            target[_within(common, part)] = source[_within(common, patch)]


def middles(shapes: Sequence[tuple[int, int]], dates: int) -> list[Part]:
    """Rows and columns of each extent's middle, as large as memory allows; less than the whole is logged."""
    pixels = dates * sum(math.prod(shape) for shape in shapes)
    share = math.sqrt(min(1.0, MOST_PIXELS / max(1, pixels)))
    if share < 1:
        text = "intervals rest on the middle %.0f %% of each extent: %d pixels and dates would take too much memory"
        log.info(text, 100 * share**2, pixels)
    return [(_middle(height, share), _middle(width, share)) for height, width in shapes]


def _middle(side: int, share: float) -> slice:
    kept = max(1, int(side * share))
    return slice((side - kept) // 2, (side - kept) // 2 + kept)


def _within(common: Sequence[slice], whole: Sequence[slice]) -> Part:
    """Rows and columns counted from the first of others."""
    rows, cols = (slice(each.start - own.start, each.stop - own.start) for each, own in zip(common, whole, strict=True))
    return rows, cols


def _maps(experiment: Experiment, time: int, extent: int) -> PrefitMaps:
    moment = experiment.moments[time]
    return moment.maps[extent] if moment.maps else {}


def _out_of_fold(experiment: Experiment) -> Iterator[HeldOutMap]:
    targets = {} if experiment.prefit is None else experiment.prefit.targets
    parts = middles([place.shape for place in experiment.field.places], len(targets))
    for time, extents in sorted(targets.items()):
        for extent, target in enumerate(extents):
            own = experiment.retrieval.labels(extent, np.array([time]), EVERYTHING, EVERYTHING).ssm[0]
            usable = experiment.features.usable(extent, experiment.moments[time])
            label = np.where(np.isfinite(own) & usable, target, np.float32(np.nan))
            mean, part = _maps(experiment, time, extent)[BASE], parts[extent]
            yield HeldOutMap(time, extent, mean[part], label[part], *covariates(experiment, time, extent, part))
