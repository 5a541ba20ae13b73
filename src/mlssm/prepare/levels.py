"""Which pass is not like the others of its orbit: it may be of another unit or quantity, which no single file shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlssm.sources.checks.decibels import Decibels
from mlssm.sources.faults import BadFiles
from mlssm.sources.passes import Pass

# weather moves the median of an extent by less, dB
FAR = 5.0
# and its spread, which is mostly speckle and relief, by less: amplitude that is taken for power has half of it
NARROW, WIDE = 0.65, 1.6
LEAST_PASSES = 5
Quartiles = Sequence[float]  # lower one, median, upper one, dB


def quartiles(levels: Decibels) -> Quartiles:
    """Of levels that were seen."""
    return levels.quantiles(0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Level:
    """A pass on an extent: the median of its values and the width between their quartiles, dB."""

    overpass: Pass
    median: float
    width: float


@dataclass
class Levels:
    """The levels of all passes, by orbit, polarisation and extent."""

    _found: dict[tuple[int, str, int], list[Level]] = field(default_factory=lambda: defaultdict(list))

    def note(
        self, overpass: Pass, polarisations: Sequence[str], found: Sequence[Quartiles | None], extent: int
    ) -> None:
        """Remember a pass on an extent.

        Args:
            overpass: The pass.
            polarisations: Of the quartiles.
            found: In each polarisation; None where it has nothing.
            extent: Which one.
        """
        for polarisation, each in zip(polarisations, found, strict=True):
            if each is not None:
                low, median, high = each
                self._found[overpass.orbit, polarisation, extent].append(Level(overpass, median, high - low))

    def tell(self, bad: BadFiles) -> None:
        """Warn of passes unlike the others of their orbit on every extent; on one alone it may be wind on water."""
        unlike: dict[tuple[Pass, str], list[str]] = defaultdict(list)
        for (orbit, polarisation, _), levels in self._found.items():
            if len(levels) >= LEAST_PASSES:
                median, width = (
                    float(np.median(each)) for each in zip(*((x.median, x.width) for x in levels), strict=True)
                )
                for level in levels:
                    others = f"the other {polarisation} images of orbit {orbit}"
                    unlike[level.overpass, polarisation].append(_difference(level, median, width, others))
        for (overpass, polarisation), each in unlike.items():
            if all(each):
                name = next(image.path.name for image in overpass.images if image.polarisation == polarisation)
                bad.say(f"{name} {each[0]}: another unit (amplitude?) or quantity, or snow or flood?")


def _difference(level: Level, median: float, width: float, others: str) -> str:
    """What sets a level apart from the usual one; empty where nothing does."""
    if abs(level.median - median) > FAR:
        return f"has a median of {level.median:.1f} dB, {others} one of {median:.1f} dB"
    if width > 0 and not NARROW < level.width / width < WIDE:
        return f"has half of its values within {level.width:.1f} dB, {others} within {width:.1f} dB"
    return ""
