"""A network's inputs on the pixels of a part and on what it sees around them, and what it says of the part alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mlssm.data.features import Inputs
from mlssm.data.moment import Moment
from mlssm.grid import Floats, Window
from mlssm.inference.likeness import vectors
from mlssm.inference.mapper import Mapper
from mlssm.inference.surround import Shape, Surround
from mlssm.models.prediction import Prediction
from mlssm.uncertainty.applicability import Applicability

Array = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]
NOTHING = np.float32(np.nan)


@dataclass(frozen=True)
class PartPlace:
    """Where a part lies.

    Attributes:
        inner: The part, counted from the extent's corner.
        around: What was opened, likewise; it holds what the network sees of the extent.
        shape: Rows and columns of the extent.
    """

    inner: Window
    around: Window
    shape: Shape

    @property
    def within(self) -> tuple[slice, slice]:
        """The part's rows and columns of what was opened."""
        return self.inner.within(self.around).slices

    def local(self, rows: slice, cols: slice) -> tuple[slice, slice]:
        """Rows and columns of the extent, counted from the corner of what was opened."""
        top, left = self.around.row, self.around.col
        return slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)


class Square:
    """Some pixels of a part, and what a network sees around them.

    Attributes:
        inner: Rows and columns of these pixels in what is seen.
    """

    def __init__(self, mapper: Mapper, place: PartPlace, surround: Surround, window: Window) -> None:
        """Lay out what is seen around a window, which is counted from the extent's corner."""
        rows, cols = surround.seen(window, place.shape)
        self._features = mapper.features
        self._seen = place.local(rows, cols)
        self._shape = rows.stop - rows.start, cols.stop - cols.start
        self.inner = Window(window.row - rows.start, window.col - cols.start, *window.shape).slices
        self._device = next((each.device for each in mapper.network.parameters()), torch.device("cpu"))

    def static(self, moment: Moment) -> tuple[Array, Booleans]:
        """Static channels of all that is seen [static, h, w], and which of the inner pixels have all inputs."""
        static, usable = self._features.static(0, moment, *self._seen)
        return static, usable[self.inner]

    def weather(self, step: Floats) -> Array:
        """The weather of one day, whose station values are given [S, V], at all that is seen [dynamic, h, w]."""
        return self._features.day(0, step, *self._seen)

    def given(self, values: Array) -> torch.Tensor:
        """What the network is shown, on its device."""
        return torch.from_numpy(values).to(self._device)

    def said(self, found: Prediction, known: Booleans) -> tuple[Array, Array | None]:
        """SSM and spread of the inner pixels, NaN where an input is missing.

        Args:
            found: Of what is seen, or of less at each side.
            known: Inner pixels that have all inputs.
        """
        lost = [(whole - left) // 2 for whole, left in zip(self._shape, found.mean.shape[-2:], strict=True)]
        inner = tuple(slice(part.start - off, part.stop - off) for part, off in zip(self.inner, lost, strict=True))
        ssm, spread = (
            None if each is None else np.where(known, each[0, 0][inner].float().cpu().numpy(), NOTHING)
            for each in (found.ssm, found.spread)
        )
        assert ssm is not None
        return ssm, spread

    def compared(self, weather: Array) -> Array:
        """Of a day's weather, what tells inner pixels apart: theirs, or of cells, which they may cut, all."""
        return weather if weather.shape[1:] != self._shape else weather[:, *self.inner]

    def unlike(self, weather: Array, static: Array, known: Booleans, applicability: Applicability) -> Array:
        """Dissimilarity of the inner pixels, NaN where an input is missing; see `Applicability.bounded_index`.

        Args:
            weather: Mean over the window of what is `compared`.
            static: Of all that is seen [static, h, w].
            known: Inner pixels that have all inputs.
            applicability: What training pixels are like.
        """
        of_inner = static[:, *self.inner]
        cut = weather.shape[1:] != of_inner.shape[1:]
        own = static if cut else of_inner
        values = vectors(self._features.spec, Inputs(weather[None], own, np.ones(own.shape[1:], bool)))
        if cut:
            values = values.reshape(*own.shape[1:], -1)[self.inner].reshape(-1, values.shape[-1])
        found = applicability.bounded_index(values).reshape(known.shape)
        return np.where(known, found, NOTHING).astype(np.float32)
