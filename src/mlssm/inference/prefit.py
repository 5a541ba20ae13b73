"""What is fitted to labels beside a network: what a bundle keeps of it, and what that says of an extent's pixels."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.data.assemble import Experiment
from mlssm.response.forecaster import corner, same_place
from mlssm.retrieval.bands import bands
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.scratch import scratch

log = logging.getLogger(__name__)
Day = np.datetime64
EVERYTHING = slice(None)


def fitted_state(experiment: Experiment) -> dict[str, Any]:
    """What a bundle keeps beside weights: pixels with labels, references, and the closed form.

    `labelled` has for each extent its `corner`, its `pixels`: whether one can carry a label, [height, width], and their
    `span`, see `span_map`. `retrieval` has each extent's references, `forecaster` is the closed form's state, or None,
    and `nowcast` tells whether earlier images are asked.
    """
    working, prefit = experiment.stack.working, experiment.prefit
    pairs = zip(working.extents, experiment.retrieval.extents, strict=True)
    labelled = [
        {"corner": corner(working.grid, window), "pixels": extent.labelled, "span": span_map(extent)}
        for window, extent in pairs
    ]
    return {
        "labelled": labelled,
        "forecaster": None if prefit is None else prefit.forecaster.state(),
        "retrieval": [extent.state() for extent in experiment.retrieval.extents],
        "nowcast": prefit is not None and prefit.nowcast,
    }


def labelled_pixels(state: Mapping[str, Any] | None, working: WorkingGrid) -> list[npt.NDArray[np.bool_]] | None:
    """Which pixels of each extent carried labels in training: none elsewhere; None where the bundle does not know."""
    if state is None:
        return None
    known = [_known_extent(state, working, number) for number in range(len(working.extents))]
    return [
        np.zeros(window.shape, bool) if extent is None else extent["pixels"]
        for window, extent in zip(working.extents, known, strict=True)
    ]


def known_spans(state: Mapping[str, Any], working: WorkingGrid) -> list[npt.NDArray[np.float32]]:
    """Span of each extent's pixels, dB [height, width]; NaN where the model was not trained, or a bundle keeps none."""
    known = [_known_extent(state, working, number) or {} for number in range(len(working.extents))]
    shapes = [window.shape for window in working.extents]
    nothing = [np.broadcast_to(np.float32(np.nan), shape) for shape in shapes]
    return [extent.get("span", instead) for extent, instead in zip(known, nothing, strict=True)]


def span_map(extent: ExtentRetrieval) -> npt.NDArray[np.float32]:
    """Wet - dry of pixels that can carry a label, dB, mean over the orbits' references [height, width]; else NaN."""
    found: npt.NDArray[np.float32] = scratch(extent.labelled.shape, np.float32)
    for rows in bands(found.shape, len(extent.references)):
        spans = np.stack(
            [
                np.where(extent.usable[key][rows], each.sensitivity[rows], np.nan)
                for key, each in extent.references.items()
            ]
        )
        known = np.isfinite(spans)
        count, total = known.sum(axis=0), np.where(known, spans, 0).sum(axis=0)
        found[rows] = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return found


def _known_extent(state: Mapping[str, Any], working: WorkingGrid, number: int) -> Mapping[str, Any] | None:
    """What the state keeps of an extent's pixels, if the model was trained there."""
    window = working.extents[number]
    here = corner(working.grid, window)
    known = (each for each in state["labelled"] if same_place(each["corner"], here))
    return next((each for each in known if each["pixels"].shape == window.shape), None)
