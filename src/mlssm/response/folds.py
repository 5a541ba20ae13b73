"""Seasons held out in turn, and what labels are to a fit: a function of the dates that it may know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlssm.errors import SplitError
from mlssm.grid import Floats
from mlssm.response.base import Booleans, Seasons
from mlssm.response.rows import EVERY, WHOLE, Maps, Times, rows_of

LEAST_SEASONS = 2


@dataclass(frozen=True)
class Fold:
    """A training season that is held out.

    Attributes:
        season: Its name.
        training: The training dates of the others [T].
        held: Its own training dates [T].
    """

    season: int
    training: Booleans
    held: Booleans


def season_folds(training: Booleans, seasons: Seasons) -> list[Fold]:
    """Each training season held out in turn.

    Args:
        training: Which times are training dates [T].
        seasons: Of each time [T].

    Raises:
        SplitError: The training dates are of fewer than two seasons.
    """
    names = np.unique(seasons[training])
    if len(names) < LEAST_SEASONS:
        raise SplitError(
            f"choices by held-out seasons need {LEAST_SEASONS} training seasons, and there is {len(names)}: hold out "
            "fewer in split.test and split.val, begin seasons in another month (split.start_month), or set "
            "model=convlstm and features.previous=none, which need none"
        )
    held = (training & (seasons == name) for name in names)
    return [Fold(int(name), training & ~out, out) for name, out in zip(names, held, strict=True)]


@dataclass(frozen=True)
class Retrieved:
    """An extent's labels and what else its training dates say of its pixels; of all times.

    Attributes:
        relative: (sigma - dry) / (wet - dry), not clipped, float32 or float64 [T, h, w], or what makes its rows; NaN
            where masked.
        span: wet - dry, dB, mean over the training dates with a label [h, w].
        level: Mean backscatter of the training dates, dB [h, w].
        spread: Standard deviation of the training dates' backscatter, dB [h, w].
        ratio: Mean of cross- less co-polarised backscatter of the training dates, dB [h, w]; None where there is none.
    """

    relative: Maps
    span: Floats
    level: Floats
    spread: Floats
    ratio: Floats | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = self.span.shape
        return height, width

    @property
    def ssm(self) -> Floats:
        """The labels, 0..1 [T, h, w]."""
        return self.labels(EVERY)

    def labels(self, times: Times, rows: slice = WHOLE) -> Floats:
        """The labels of some times and rows, 0..1, float64 [time, rows, w]."""
        found = self.of(times, rows)
        return np.clip(found, 0, 1, out=found)

    def of(self, times: Times, rows: slice = WHOLE) -> Floats:
        """The same before they are clipped; an array of its own."""
        return np.array(rows_of(self.relative, times, rows))

    def part(self, rows: slice) -> Retrieved:
        """What does not depend on the time, of some rows."""
        ratio = None if self.ratio is None else self.ratio[rows]
        return Retrieved(
            np.empty((0, *self.span[rows].shape)), self.span[rows], self.level[rows], self.spread[rows], ratio
        )


@dataclass(frozen=True)
class Labels:
    """An extent's labels at all times, made some rows at a time."""

    found: Retrieved

    def rows(self, times: Times, rows: slice) -> Floats:
        """0..1 [time, rows, w]."""
        return self.found.labels(times, rows)


# retrieves labels of all times by references that are fitted on the given training dates [T] alone
Retrieve = Callable[[Booleans], Retrieved]
