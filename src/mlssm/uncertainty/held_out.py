"""What a calibration is fitted on: predictions of dates that the model had not seen, beside their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats

Array = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

# pixels of a date that a calibration is fitted on: those of one date are much alike
MOST_PIXELS = 20_000


@dataclass(frozen=True)
class HeldOutMap:
    """One extent on one date, predicted without the labels of its season or split.

    Attributes:
        time: Position of the acquisition in the cube.
        extent: Number of the extent.
        mean: Predicted SSM, 0..1 [h, w].
        label: Retrieved SSM, 0..1 [h, w]; NaN where there is none.
        span: wet - dry, dB [h, w]; NaN where not known.
        leverage: Of the driver on that date, see `mlssm.response.leverage`, [h, w]; NaN where no driver is.
        spread: What the network says of its own error, SSM units [h, w]; None where it does not.
    """

    time: int
    extent: int
    mean: Array
    label: Array
    span: Array
    leverage: Array
    spread: Array | None = None

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Pixels with label and prediction [h, w]."""
        return np.isfinite(self.label) & np.isfinite(self.mean)


@dataclass(frozen=True)
class Sample:
    """Labelled pixels of held-out dates, one after the other.

    Attributes:
        mean: Predicted SSM [n].
        residual: Label less prediction [n].
        span: dB [n]; NaN where not known.
        leverage: [n]; NaN where no driver is.
        spread: SSM units [n]; None where the network states none.
        date: Number of each pixel's date among the sample's, 0..K - 1 [n].
    """

    mean: Floats
    residual: Floats
    span: Floats
    leverage: Floats
    spread: Floats | None
    date: Positions

    @property
    def dates(self) -> int:
        """Number of dates, K."""
        return int(self.date.max()) + 1 if self.date.size else 0

    @property
    def weights(self) -> Floats:
        """Of each pixel, so that each date weighs the same; they sum to 1 [n]."""
        count = np.bincount(self.date, minlength=self.dates)
        return np.asarray(1.0 / (count[self.date] * self.dates))

    @classmethod
    def of(cls, maps: Sequence[HeldOutMap], seed: int = 0, most: int = MOST_PIXELS) -> Sample:
        """Draw at most `most` pixels of each date, all where there are fewer."""
        rng, parts, number = np.random.default_rng(seed), [], 0
        for time in sorted({each.time for each in maps}):
            rows = np.concatenate([_rows(each) for each in maps if each.time == time])
            if len(rows) > most:
                rows = rows[np.sort(rng.choice(len(rows), most, replace=False))]
            if len(rows):
                parts.append(np.column_stack([rows, np.full(len(rows), number)]))
                number += 1
        table = np.concatenate(parts) if parts else np.empty((0, 6))
        mean, label, span, leverage, spread, date = table.T
        states = any(each.spread is not None for each in maps)
        return cls(mean, label - mean, span, leverage, spread if states else None, date.astype(np.int64))


def _rows(each: HeldOutMap) -> Floats:
    spread = np.full_like(each.mean, np.nan) if each.spread is None else each.spread
    columns = each.mean, each.label, each.span, each.leverage, spread
    return np.column_stack([values[each.known] for values in columns]).astype(float)
