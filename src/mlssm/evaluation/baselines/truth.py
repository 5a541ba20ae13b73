"""What a simulation's true soil moisture scores: no model, but what one may hope for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from torch import Tensor

from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.evaluation.baselines.placed import placed
from mlssm.evaluation.baselines.training import PixelLabels
from mlssm.grid import Floats, Window
from mlssm.retrieval.fit import Retrieval
from mlssm.retrieval.multilook import block_mean, moving_mean
from mlssm.retrieval.stack import whole_blocks

FOLDER = "truth.zarr"
LEAST_SOIL = 0.5  # share of a multilook window
LEAST_SPREAD = 1e-6  # below this sum of squared deviations the truth says nothing of a pixel's labels
KEPT = 8  # images


@dataclass(frozen=True)
class TrueMoisture:
    """The true soil moisture on the grid of the labels.

    Attributes:
        retrieval: The labels.
        extents: On the cube's grid.
        ssm: 0..1, [image, row, column] of the cube's grid; NaN where there is no soil.
        images: Number of the image of each acquisition, [time].
    """

    retrieval: Retrieval
    extents: tuple[Window, ...]
    ssm: xr.DataArray
    images: npt.NDArray[np.intp]

    @classmethod
    def of(cls, experiment: Experiment, folder: Path) -> Self | None:
        """That in an extent's folder; None where there is none, or it is of other images."""
        if not (folder / FOLDER).is_dir():
            return None
        cube, ssm = (
            experiment.cube,
            xr.open_zarr(folder / FOLDER, chunks=None)["ssm"],
        )  # dask would take longer than the reading
        stamps = ssm["time"].to_numpy().astype("datetime64[s]")
        images = np.searchsorted(stamps, cube.times)
        known = np.array_equal(stamps[np.minimum(images, len(stamps) - 1)], cube.times)
        return (
            cls(experiment.retrieval, cube.extents, ssm, images) if known and ssm.shape[1:] == cube.grid.shape else None
        )

    def at(self, extent: int, time: int) -> Floats:
        """Mean over the multilook window, SSM 0..1 [h, w]; NaN where less than half of it is soil."""
        working, window = self.retrieval.stack.working, self.extents[extent]
        image = self.ssm[int(self.images[time])].to_numpy()[window.slices]
        whole = whole_blocks(image, window, working.extents[extent].refine(working.factor))
        mean = block_mean if working.factor > 1 else moving_mean
        return mean(whole, working.window_pixels, LEAST_SOIL)[0].astype(float)

    def key(self, extent: int, time: int) -> tuple[int, int]:
        """Extent, and under which key the references of an acquisition are."""
        return extent, self.retrieval.extents[extent].key(int(self.retrieval.orbits[time]))


class TruthFit:
    """Gathers what `Truth` is fitted on, patch by patch."""

    def __init__(self, moisture: TrueMoisture) -> None:
        """Start with no label."""
        self._moisture, self._at = moisture, lru_cache(KEPT)(moisture.at)
        self._sums: dict[tuple[int, int], PixelLabels] = {}

    @classmethod
    def of(cls, experiment: Experiment, folder: Path | None) -> Self | None:
        """None where there is no truth."""
        moisture = None if folder is None else TrueMoisture.of(experiment, folder)
        return None if moisture is None else cls(moisture)

    def add(self, place: PatchPlace, ssm: Floats) -> None:
        """Add a patch's labels, of the part that lies in its extent, NaN where there is none [h, w]."""
        extent, time, rows, cols = place
        image = self._at(extent, time)
        sums = self._sums.setdefault(self._moisture.key(extent, time), PixelLabels.empty(image.shape))
        sums.add(ssm, image[rows, cols], rows, cols)

    def fitted(self, mean: PixelMean) -> Truth:
        """On what was added."""
        return Truth(self._moisture, mean, self._sums)


class Truth:
    """The best affine function of the true soil moisture, for each pixel and orbit, fitted on training labels.

    Labels are relative to references of noisy images, and clipped, so that the truth itself is on another scale.
    """

    name: ClassVar[str] = "truth"

    def __init__(self, moisture: TrueMoisture, mean: PixelMean, sums: Mapping[tuple[int, int], PixelLabels]) -> None:
        """Fit.

        Args:
            moisture: What is known.
            mean: Of training labels, for pixels of which the truth says nothing.
            sums: Of training labels and truth, by extent and key of references.
        """
        self._moisture, self._mean, self._sums = moisture, mean, sums
        self._slopes = {key: part.slope(LEAST_SPREAD) for key, part in sums.items()}
        self._image = lru_cache(KEPT)(self._predicted)

    def __reduce__(self) -> tuple[type[Truth], tuple[Any, ...]]:
        """Another process keeps images of its own."""
        return Truth, (self._moisture, self._mean, self._sums)

    def at(self, place: PatchPlace) -> Floats:
        """SSM of the part of a patch that lies in its extent, 0..1 [h, w]."""
        return self._image(place.extent, place.time)[place.rows, place.cols]

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """See `Baseline.predict`."""
        return placed(places, batch, self.at)

    def _predicted(self, extent: int, time: int) -> Floats:
        key, mean = self._moisture.key(extent, time), self._mean.maps[extent]
        if key not in self._sums:
            return mean
        sums, (slope, known) = self._sums[key], self._slopes[key]
        n = np.maximum(sums.n, 1)
        found = sums.y / n + slope * (self._moisture.at(extent, time) - sums.x / n)
        return np.clip(np.where(known & np.isfinite(found), found, mean), 0.0, 1.0)
