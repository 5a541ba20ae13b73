"""Warning levels of a day's map: how probably the ground is wet, how steep it is, how much it rained.

Wetness is what prepares a slope and rain what triggers it, and neither alone tells: hydro-meteorological thresholds
(Bogaard & Greco 2018, Nat. Hazards Earth Syst. Sci. 18, 31-39). Slope stands for susceptibility, as in LHASA
(Kirschbaum & Stanley 2018, Earth's Future 6, 505-523). Nothing here is weighed or multiplied: a pixel has level k where
each of the three passes its k-th threshold, so that every level can be traced to three numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlssm.config import WarningConfig

Levels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]
UNKNOWN = 255
NAMES = ("none", "watch", "warning", "severe")
# lightness falls with the level, so that they are told apart without hue, too
COLOURS = ("#f2f2f2", "#f4c95d", "#e07b39", "#8c1c2b")


def levels(rules: WarningConfig, probability: Array, slope: Array, rain: Array) -> Levels:
    """The level of each pixel.

    Args:
        rules: Thresholds.
        probability: P(SSM > rules.ssm), 0..1.
        slope: Degrees, of the same shape.
        rain: Sum over `rules.rain_days`, mm, of the same shape.

    Returns:
        0 to 3, of the same shape; `UNKNOWN` where one of the three is NaN.
    """
    found = np.minimum(
        np.minimum(_passed(slope, rules.slope_deg), _passed(rain, rules.rain_mm)),
        # above and not at: a probability of exactly a threshold is as likely as not to be a rounded one
        np.searchsorted(np.asarray(rules.probability, np.float32), probability, side="left"),
    )
    unknown = np.isnan(probability) | np.isnan(slope) | np.isnan(rain)
    return np.where(unknown, UNKNOWN, found).astype(np.uint8)


def _passed(values: Array, thresholds: Sequence[float]) -> npt.NDArray[np.intp]:
    """How many thresholds each value reaches."""
    return np.searchsorted(np.asarray(thresholds, np.float32), values, side="right")
