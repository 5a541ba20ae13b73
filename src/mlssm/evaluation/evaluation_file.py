"""A whole evaluation as a file, so that the folds of several trainings can be pooled, also after one was broken off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.config import EvaluationConfig
from mlssm.errors import RunError
from mlssm.evaluation.evaluate import Evaluation, SplitEvaluation
from mlssm.evaluation.pooling import pool_splits
from mlssm.retrieval.track_variance import TrackVariance
from mlssm.scores.cells import Layout
from mlssm.scores.histogram import DensityHistogram
from mlssm.scores.temporal import TemporalSums
from mlssm.uncertainty.tally import IntervalTally

FILE = "evaluation.npz"
TABLES = ("sums", "wet", "two_pass")
INTERVALS = "intervals"

Arrays = Mapping[str, npt.NDArray[Any]]


def save_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write a poolable evaluation, compressed; whole or not at all.

    Args:
        evaluation: Its splits are poolable.
        path: The file, with the ending `.npz`.
    """
    arrays = {
        f"{split}/{name}": array
        for split, part in evaluation.splits.items()
        for name, array in _arrays(part, list(evaluation.kinds)).items()
    }
    if evaluation.intervals is not None:
        arrays |= {f"{INTERVALS}/{name}": array for name, array in evaluation.intervals.arrays().items()}
    about = {"kinds": dict(evaluation.kinds), "seed": evaluation.seed, "config": evaluation.config.model_dump()}
    about["track"] = asdict(evaluation.track)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:  # by name, numpy would add an ending
        np.savez_compressed(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
    partial.replace(path)


def load_evaluation(path: Path) -> Evaluation:
    """Read what `save_evaluation` wrote.

    Raises:
        RunError: The file is missing, or not one of these.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
        about = json.loads(str(arrays.pop("about")))
        tally = _below(arrays, INTERVALS)
        names = dict.fromkeys(name.partition("/")[0] for name in arrays if not name.startswith(INTERVALS))
        splits = {split: _split(_below(arrays, split), list(about["kinds"])) for split in names}
        config = EvaluationConfig.model_validate(about["config"])
        intervals = IntervalTally.of_arrays(tally) if tally else None
        track = TrackVariance(**about.get("track", {}))
        return Evaluation(splits, about["kinds"], config, int(about["seed"]), intervals, track)
    except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise RunError(f"{path} does not hold the scores of a fold ({error}); train it again") from None


def _arrays(part: SplitEvaluation, kinds: list[str]) -> dict[str, npt.NDArray[Any]]:
    """A split's arrays; models go by their number, as a name may hold anything."""
    if part.over_time is None or part.layout is None:
        raise ValueError("a split that was not evaluated as poolable cannot be kept")
    labels, models = part.over_time.arrays
    found: dict[str, npt.NDArray[Any]] = {
        "times": np.array(part.times, np.int64),
        "shapes": np.array(part.layout.shapes, np.int64),
        "side": np.array(part.layout.side),
        "digest": np.array(part.digest),
        "histogram": part.histogram.counts,
        "labels": labels.numpy(),
    }
    for table in TABLES:
        tables: Mapping[str, Tensor] = getattr(part, table)
        found |= {f"{table}/{kinds.index(name)}": values.numpy() for name, values in tables.items()}
    return found | {f"over_time/{kinds.index(name)}": values.numpy() for name, values in models.items()}


def _split(arrays: Arrays, kinds: list[str]) -> SplitEvaluation:
    """A split from its arrays, by pooling it alone: that makes what follows from the sums."""
    tables = {name: _models(arrays, name, kinds) for name in (*TABLES, "over_time")}
    layout = Layout(tuple((int(rows), int(cols)) for rows, cols in arrays["shapes"]), int(arrays["side"]))
    histogram = DensityHistogram(len(arrays["histogram"]))
    histogram.counts += arrays["histogram"]
    bare = SplitEvaluation(
        times=tuple(arrays["times"].tolist()),
        blocks=layout.blocks,
        sums=tables["sums"],
        wet=tables["wet"],
        temporal={},
        between_pixels={},
        temporal_maps=(),
        histogram=histogram,
        digest=str(arrays["digest"]),
        two_pass=tables["two_pass"],
        over_time=TemporalSums.of_arrays(torch.from_numpy(arrays["labels"]), tables["over_time"]),
        layout=layout,
    )
    return pool_splits([bare])


def _models(arrays: Arrays, table: str, kinds: list[str]) -> dict[str, Tensor]:
    return {kinds[int(number)]: torch.from_numpy(values) for number, values in _below(arrays, table).items()}


def _below(arrays: Arrays, name: str) -> dict[str, npt.NDArray[Any]]:
    return {key.removeprefix(f"{name}/"): values for key, values in arrays.items() if key.startswith(f"{name}/")}
