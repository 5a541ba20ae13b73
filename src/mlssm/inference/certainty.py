"""How sure the maps of a trained model are, in the area that is mapped."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.data.moment import Moment
from mlssm.data.prefit import LEVERAGE
from mlssm.errors import RunError
from mlssm.inference.extent import ExtentMap
from mlssm.inference.prefit import known_spans
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.uncertainty.applicability import Applicability
from mlssm.uncertainty.calibration import Calibration

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
SPAN = "span"  # of the pixel memory, see `mlssm.response.memory`
NO_INTERVALS = (
    "the model keeps no calibration (an earlier version trained it, or too few held-out dates had labels): maps have "
    "no interval; train it anew"
)


@dataclass(frozen=True)
class Wanted:
    """Which intervals and probabilities are asked.

    Attributes:
        level: Of the intervals, above 0 and below 1.
        thresholds: Of P(SSM > threshold).
        conservative: Whether intervals are those for warnings, see `mlssm.uncertainty.conservative`.
    """

    level: float
    thresholds: tuple[float, ...]
    conservative: bool = False


@dataclass(frozen=True)
class Sure:
    """How sure a map is, each float32 of its shape, NaN where it has no value.

    Attributes:
        lower: Lower end of the interval, SSM 0..1.
        upper: Upper end.
        standard_error: Standard deviation of SSM within 0..1.
        exceedance: P(SSM > threshold) of each threshold, 0..1.
    """

    lower: Array
    upper: Array
    standard_error: Array
    exceedance: tuple[Array, ...]


@dataclass(frozen=True)
class ExtentCertainty:
    """What a bundle says of how sure its maps are, for the extents that are mapped.

    Attributes:
        calibration: Of intervals; None where the bundle has none.
        applicability: What training pixels are like; likewise.
        spans: wet - dry of each extent's pixels, dB [height, width]; NaN where not known.
    """

    calibration: Calibration | None
    applicability: Applicability | None
    spans: Sequence[Array]

    @classmethod
    def restored(cls, state: Mapping[str, Any] | None, working: WorkingGrid) -> ExtentCertainty:
        """From what was fitted beside a network, see `mlssm.inference.prefit.fitted_state`.

        Raises:
            RunError: It is not whole.
        """
        nothing = [np.broadcast_to(np.float32(np.nan), window.shape) for window in working.extents]
        spans = nothing if state is None else known_spans(state, working)
        found = cls(restored_calibration(state), _applicability(state), spans)
        if found.calibration is None:
            log.warning(NO_INTERVALS)
        return found

    def part(self, extent: int, rows: slice, cols: slice) -> ExtentCertainty:
        """The same of a part of one extent's pixels."""
        return replace(self, spans=[self.spans[extent][rows, cols]])

    def of(self, found: ExtentMap, extent: int, moment: Moment, wanted: Wanted) -> Sure | None:
        """Intervals and probabilities of an extent's map; None without a calibration."""
        calibration = self.calibration
        if calibration is None:
            return None
        maps = moment.maps[extent] if moment.maps else {}
        span, leverage = maps.get(SPAN, self.spans[extent]), maps.get(LEVERAGE, np.full_like(found.ssm, np.nan))
        known = np.isfinite(found.ssm)
        spread = None if found.spread is None else found.spread[known]
        mean = found.ssm[known].astype(float)
        deviation = calibration.scale.deviation(mean, span[known], leverage[known], spread)
        parts = sure_parts(calibration, mean, deviation, wanted)
        lower, upper, error, *above = (_onto(known, values) for values in parts)
        return Sure(lower, upper, error, tuple(above))


def sure_parts(
    calibration: Calibration, mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64], wanted: Wanted
) -> list[npt.NDArray[np.float64]]:
    """Lower and upper end, standard error, and P(SSM > threshold) of each threshold, of the shape of `mean`.

    The conservative interval is wider; error and probabilities are the calibrated ones all the same.
    """
    ends = calibration.conservative_interval if wanted.conservative else calibration.interval
    above = [calibration.exceedance(mean, deviation, threshold) for threshold in wanted.thresholds]
    return [*ends(mean, deviation, wanted.level), calibration.standard_error(mean, deviation), *above]


def restored_calibration(state: Mapping[str, Any] | None) -> Calibration | None:
    """The calibration of a bundle; None where it has none.

    Raises:
        RunError: It is not whole.
    """
    kept = None if state is None else state.get("calibration")
    try:
        return None if kept is None else Calibration.restored(kept)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the bundle's calibration is not whole ({error!r}); copy the bundle again") from None


def _applicability(state: Mapping[str, Any] | None) -> Applicability | None:
    kept = None if state is None else state.get("applicability")
    try:
        return None if kept is None else Applicability.restored(kept)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the bundle's applicability is not whole ({error!r}); copy the bundle again") from None


def _onto(known: npt.NDArray[np.bool_], values: npt.NDArray[np.float64]) -> Array:
    whole = np.full(known.shape, np.nan, np.float32)
    whole[known] = values
    return whole
