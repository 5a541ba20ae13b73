"""The sums of a run's test split as a file, so that two runs can be compared later, draw by draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.errors import RunError
from mlssm.evaluation.evaluate import SplitEvaluation
from mlssm.scores.bootstrap import Intervals, Resampling, difference, resample

FILE = "sums.npz"
MODEL = "model:"  # begins the name of a model's array


@dataclass(frozen=True)
class SavedSums:
    """The sums of a split.

    Attributes:
        dates: Local day of each acquisition, ISO, in the order of the sums' first dimension.
        blocks: Extent of each spatial block, in the order of the sums' second dimension.
        sums: By model, the network first, float64 [date, block, bin, sum]; see `mlssm.scores.sums`.
        digest: Of the labels and their places: equal where two runs were scored on the same.
    """

    dates: tuple[str, ...]
    blocks: npt.NDArray[np.int64]
    sums: Mapping[str, Tensor]
    digest: str

    @property
    def network(self) -> str:
        """The network's name."""
        return next(iter(self.sums))


def save_sums(found: SplitEvaluation, days: npt.NDArray[np.datetime64], path: Path) -> None:
    """Write a split's sums, compressed.

    Args:
        found: The split.
        days: Local day of each acquisition in the cube.
        path: The file, with the ending `.npz`.
    """
    arrays: dict[str, Any] = {f"{MODEL}{name}": sums.numpy() for name, sums in found.sums.items()}
    dates = days[list(found.times)].astype(str)
    np.savez_compressed(path, dates=dates, blocks=found.blocks, digest=np.array(found.digest), **arrays)


def load_sums(path: Path) -> SavedSums:
    """Read what `save_sums` wrote.

    Raises:
        RunError: The file is missing, or not one of these.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            sums = {name.removeprefix(MODEL): torch.from_numpy(file[name]) for name in file if name.startswith(MODEL)}
            return SavedSums(tuple(file["dates"].tolist()), file["blocks"], sums, str(file["digest"]))
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise RunError(f"{path} does not hold the sums of a run ({error}); train it again") from None


def compare_runs(
    a: SavedSums,
    b: SavedSums,
    resampling: Resampling,
    model: str | None = None,
) -> Intervals:
    """Intervals of the natural scores of run `a` less those of run `b`, on the same draws of dates and blocks.

    Args:
        a: A run.
        b: Another one.
        resampling: How dates and blocks are drawn.
        model: One that both have; None compares their networks, of whatever family.

    Raises:
        RunError: The two were not scored on the same labels, or one has no such model.
    """
    if (a.digest, a.dates) != (b.digest, b.dates):
        raise RunError(
            f"these runs were scored on different test labels ({len(a.dates)} and {len(b.dates)} dates); "
            "runs are compared under the same extent, retrieval, split, patches and evaluation.block_m"
        )
    first, second = (resample(_sums_of(run, model), resampling) for run in (a, b))
    return difference(first, second)


def _sums_of(run: SavedSums, model: str | None) -> Tensor:
    name = run.network if model is None else model
    if name not in run.sums:
        raise RunError(f"a run has no model '{name}'; choose one of {', '.join(run.sums)}")
    return run.sums[name]
