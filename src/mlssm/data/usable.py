"""Labels where the model has all of its inputs, in as few arrays as they need: other processes are told them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.data.layers import ExtentLayers
from mlssm.data.moment import Moment
from mlssm.retrieval.bands import bands
from mlssm.retrieval.fit import Retrieval

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class UsablePixels:
    """Where no input of a date is missing that a model cannot do without.

    Attributes:
        fixed: Of each extent, where nothing is missing of what is the same on all dates, [height, width].
        layers: Of each extent, what is dated.
        dated: Channels of these that have to be there.
        weather: Positions of the weather's variables that have to be there.
    """

    fixed: Sequence[Booleans]
    layers: Sequence[ExtentLayers]
    dated: Sequence[str]
    weather: Sequence[int]

    def on(self, extent: int, moment: Moment) -> Booleans:
        """Those of a date, [height, width] of the extent."""
        usable = self.fixed[extent] & self.has_weather(moment)
        for name in self.dated:
            usable &= np.isfinite(self.layers[extent].on(name, moment.day))
        return usable

    def has_weather(self, moment: Moment) -> bool:
        """Whether some station has each variable that has to be there, at each step: then every pixel has it."""
        return bool(np.isfinite(moment.window[:, :, self.weather]).any(axis=1).all())


@dataclass(frozen=True)
class UsableLabels:
    """SSM of an extent at a time where it has all inputs too; see `mlssm.patches.index.LabelMap`.

    Attributes:
        retrieval: The labels.
        pixels: Where inputs are.
        moments: Weather of each usable time.
    """

    retrieval: Retrieval
    pixels: UsablePixels
    moments: Mapping[int, Moment]

    def __call__(self, extent: int, time: int) -> npt.NDArray[np.float32]:
        """NaN elsewhere, [height, width]."""
        usable = self.pixels.on(extent, self.moments[time])
        found = np.empty(usable.shape, np.float32)
        for rows in bands((len(usable), usable[0].size)):
            found[rows] = self.retrieval.ssm(extent, np.array([time]), rows, slice(None))[0]
        found[~usable] = np.nan
        return found
