"""What is fitted to labels beside a network: what a bundle keeps of it, and what that says of an area's pixels."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.data.assemble import Experiment
from mlssm.response.forecaster import corner, same_place
from mlssm.retrieval.labels import AreaRetrieval
from mlssm.retrieval.working_grid import WorkingGrid

log = logging.getLogger(__name__)
Day = np.datetime64
EVERYTHING = slice(None)


def fitted_state(experiment: Experiment) -> dict[str, Any]:
    """What a bundle keeps beside weights: pixels with labels, references, and the closed form.

    `labelled` has for each area its `corner`, its `pixels`: whether one can carry a label, [height, width], and their
    `span`, see `span_map`. `retrieval` has each area's references, `forecaster` is the closed form's state, or None,
    and `nowcast` tells whether earlier images are asked.
    """
    working, prefit = experiment.stack.working, experiment.prefit
    pairs = zip(working.areas, experiment.retrieval.areas, strict=True)
    labelled = [
        {"corner": corner(working.grid, window), "pixels": area.labelled, "span": span_map(area)}
        for window, area in pairs
    ]
    return {
        "labelled": labelled,
        "forecaster": None if prefit is None else prefit.forecaster.state(),
        "retrieval": [area.state() for area in experiment.retrieval.areas],
        "nowcast": prefit is not None and prefit.nowcast,
    }


def labelled_pixels(state: Mapping[str, Any] | None, working: WorkingGrid) -> list[npt.NDArray[np.bool_]] | None:
    """Which pixels of each area carried labels in training: none elsewhere; None where the bundle does not know."""
    if state is None:
        return None
    known = [_known_area(state, working, number) for number in range(len(working.areas))]
    return [
        np.zeros(window.shape, bool) if area is None else area["pixels"]
        for window, area in zip(working.areas, known, strict=True)
    ]


def known_spans(state: Mapping[str, Any], working: WorkingGrid) -> list[npt.NDArray[np.float32]]:
    """Span of each area's pixels, dB [height, width]; NaN where the model was not trained, or a bundle keeps none."""
    known = [_known_area(state, working, number) or {} for number in range(len(working.areas))]
    shapes = [window.shape for window in working.areas]
    nothing = [np.full(shape, np.nan, np.float32) for shape in shapes]
    return [area.get("span", instead) for area, instead in zip(known, nothing, strict=True)]


def span_map(area: AreaRetrieval) -> npt.NDArray[np.float32]:
    """Wet - dry of pixels that can carry a label, dB, mean over the orbits' references [height, width]; else NaN."""
    spans = np.stack([np.where(area.usable[key], each.sensitivity, np.nan) for key, each in area.references.items()])
    known = np.isfinite(spans)
    count, total = known.sum(axis=0), np.where(known, spans, 0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0), np.float32)


def _known_area(state: Mapping[str, Any], working: WorkingGrid, number: int) -> Mapping[str, Any] | None:
    """What the state keeps of an area's pixels, if the model was trained there."""
    window = working.areas[number]
    here = corner(working.grid, window)
    known = (each for each in state["labelled"] if same_place(each["corner"], here))
    return next((each for each in known if each["pixels"].shape == window.shape), None)
