"""What was retrieved from the images of the area that is mapped, by the references that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.cube import Cube
from mlssm.response.forecaster import corner, same_place
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import ExtentStack, Stack
from mlssm.retrieval.working_grid import WorkingGrid

EVERYTHING = slice(None)
Floats = npt.NDArray[np.float32]


def known_retrievals(state: Mapping[str, Any] | None, working: WorkingGrid) -> list[ExtentRetrieval | None]:
    """The references of each extent; None for one that the model was not trained on, or whose bundle keeps none.

    Args:
        state: Of `mlssm.inference.prefit.fitted_state`.
        working: The grid of the area that is mapped.
    """
    if state is None or not state["retrieval"]:
        return [None for _ in working.extents]
    pairs = list(zip(state["labelled"], state["retrieval"], strict=True))
    found: list[ExtentRetrieval | None] = []
    for window in working.extents:
        here = corner(working.grid, window)
        own = next((extent for known, extent in pairs if _is_there(known, here, window.shape)), None)
        found.append(None if own is None else ExtentRetrieval.restored(own))
    return found


def _is_there(known: Mapping[str, Any], here: Any, shape: tuple[int, int]) -> bool:
    return same_place(known["corner"], here) and known["pixels"].shape == shape


def retrieved_days(
    cube: Cube, stack: Stack, retrievals: Sequence[ExtentRetrieval | None], masks: DateMasks, first: Any, last: Any
) -> Iterator[tuple[np.datetime64, list[Floats]]]:
    """SSM retrieved from each image of a span of days.

    Args:
        cube: The area.
        stack: Its multilooked backscatter.
        retrievals: Of `known_retrievals`.
        masks: Frozen and snowy pixels.
        first: First local day.
        last: Last one, included.

    Yields:
        The local day, and for each extent SSM float32 [height, width] on the working grid, NaN where there is none; of
        two images of a day the later one.
    """
    for time in retrieved_times(cube, first, last):
        yield cube.local_days[time], [_of(cube, stack, each, masks, n, time) for n, each in enumerate(retrievals)]


def retrieved_times(cube: Cube, first: Any, last: Any) -> npt.NDArray[np.int64]:
    """The images of a span of days, its last one included; of two images of a day the later one."""
    times = np.flatnonzero((cube.local_days >= first) & (cube.local_days <= last))
    days = cube.local_days[times]
    return times[np.append(days[1:] != days[:-1], True)] if len(times) else times


def retrieved_rows(
    cube: Cube,
    stack: ExtentStack,
    retrieval: ExtentRetrieval,
    masks: DateMasks,
    time: tuple[int, int],
    rows: slice,
) -> Floats:
    """SSM retrieved from an image in some rows of an extent, float32 [rows, width], NaN where there is none.

    Args:
        cube: The area.
        stack: The extent's multilooked backscatter.
        retrieval: Its references.
        masks: Frozen and snowy pixels of these rows alone.
        time: Of the image: in the masks, and in the cube.
        rows: Of the extent.
    """
    masked, only = np.array([time[0]]), np.array([time[1]])
    sigma = stack.backscatter(only, rows, EVERYTHING)
    if masks.any_of(0, masked):
        sigma[masks.of(0, masked, EVERYTHING, EVERYTHING)] = np.nan
    return np.asarray(retrieval.retrieve(sigma, cube.orbits[only], rows, EVERYTHING)[0][0], np.float32)


def _of(
    cube: Cube, stack: Stack, retrieval: ExtentRetrieval | None, masks: DateMasks, extent: int, time: np.int64
) -> Floats:
    if retrieval is None:
        return np.full(stack.working.extents[extent].shape, np.nan, np.float32)
    own = masks.cropped(extent, EVERYTHING)
    return retrieved_rows(cube, stack.extents[extent], retrieval, own, (int(time), int(time)), EVERYTHING)
