"""Labels: SSM of a pixel and date by change detection, with its standard error.

SSM = clip((sigma - dry) / (wet - dry), 0, 1) after Wagner, Lemoine & Rott 1999 (Remote Sens. Environ. 70, eq. 4).
Fitted on training dates, applied on the fly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.retrieval.reasons import Flags, Reason, mark
from mlssm.retrieval.references import References, normalise_angle
from mlssm.retrieval.stack import Places

Floats = npt.NDArray[np.floating[Any]]


OF_TRACK = 0.025
"""Variance of a label that is its track's own, beside speckle: what two tracks of one place do not share."""


@dataclass(frozen=True)
class Labels:
    """Retrieved SSM.

    Attributes:
        ssm: 0..1, float32 [time, height, width]; NaN where masked.
        standard_error: Root mean square distance of the label from the best prediction that knows the backscatter
            without speckle, in SSM units, float32, the same shape; NaN where masked. See `mlssm.retrieval.label_error`.
        attainable: The mean of that prediction over what the label is compatible with, 0..1, likewise.
        reliability: How much of the variance that a label has for itself is not speckle, see `reliability`, likewise.
    """

    ssm: npt.NDArray[np.float32]
    standard_error: npt.NDArray[np.float32]
    attainable: npt.NDArray[np.float32]
    reliability: npt.NDArray[np.float32]

    def without(self, masked: npt.NDArray[np.bool_]) -> Labels:
        """The labels with more of them masked."""
        arrays = self.ssm, self.standard_error, self.attainable, self.reliability
        return Labels(*(np.where(masked, np.nan, each) for each in arrays))

    def replaced(self, ssm: npt.NDArray[np.float32]) -> Labels:
        """Labels by other references, of the same shape but for the time; where either is masked there is none."""
        known = np.isfinite(self.ssm) & np.isfinite(ssm)
        return replace(self, ssm=ssm).without(~known)


@dataclass(frozen=True)
class ExtentRetrieval:
    """Change detection of one extent, fitted.

    Attributes:
        references: By relative orbit; under 0 where all orbits share them.
        usable: Pixels that respond to moisture and are not water, by the same keys, [height, width].
        angle: Incidence angle in degrees by relative orbit, [height, width]; empty where no slope is fitted.
        slope: dB per degree, [height, width]; None where no slope is fitted.
        shared: Whether all orbits share the references.
        group: Key of the references by relative orbit, where orbits of one time of day share them.
        edge_below_db: Values that lie further below the dry reference are masked, dB; None: none is.
        reasons: Why pixels are not usable, flags of `Reason`, by the references' keys; empty where restored.
        slope_error: Standard error of the slope, dB per degree.
    """

    references: Mapping[int, References]
    usable: Mapping[int, npt.NDArray[np.bool_]]
    angle: Mapping[int, Floats]
    slope: Floats | None
    shared: bool
    group: Mapping[int, int] = field(default_factory=dict)
    edge_below_db: float | None = None
    reasons: Mapping[int, Flags] = field(default_factory=dict)
    slope_error: Floats | None = None

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Pixels that can carry a label, on some orbit, [height, width]."""
        return np.asarray(np.logical_or.reduce([*self.usable.values()]))

    def state(self) -> dict[str, Any]:
        """Arrays, primitives, and dictionaries of these, by orbit as text: what a bundle keeps."""
        references = {str(key): [each.dry, each.wet, each.mean] for key, each in self.references.items()}
        usable = {str(key): each for key, each in self.usable.items()}
        angle = {str(key): each for key, each in self.angle.items()}
        return {
            "references": references,
            "usable": usable,
            "angle": angle,
            "slope": self.slope,
            "shared": self.shared,
            "group": {str(orbit): key for orbit, key in self.group.items()},
            "edge_below_db": self.edge_below_db,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> ExtentRetrieval:
        """From its state."""
        references = {int(key): References(*parts) for key, parts in state["references"].items()}
        usable, angle = ({int(key): part for key, part in state[name].items()} for name in ("usable", "angle"))
        group = {int(orbit): int(key) for orbit, key in state.get("group", {}).items()}
        edge = state.get("edge_below_db")
        return cls(references, usable, angle, state["slope"], bool(state["shared"]), group, edge)

    def key(self, orbit: int) -> int:
        """Under which key the references of a relative orbit are; not all orbits have any."""
        return 0 if self.shared else self.group.get(orbit, orbit)

    def retrieve(
        self, backscatter: Floats, orbits: npt.NDArray[np.int64], rows: slice, cols: slice
    ) -> tuple[Floats, Floats]:
        """Retrieve SSM.

        Args:
            backscatter: dB, [time, rows, columns], NaN where missing.
            orbits: Relative orbit of each time.
            rows: Which rows of the extent these are.
            cols: Which columns.

        Returns:
            SSM, float32 [time, rows, columns], NaN where masked; and wet - dry of its references, dB, the same shape.
        """
        relative, sensitivity = self.relative(backscatter, orbits, rows, cols)
        return np.clip(relative, 0, 1), sensitivity

    def relative(
        self, backscatter: Floats, orbits: npt.NDArray[np.int64], rows: Places, cols: Places
    ) -> tuple[Floats, Floats]:
        """Backscatter between its references, before it is clipped to SSM; as `retrieve`."""
        relative, sensitivity = np.full((2, *backscatter.shape), np.nan, np.float32)
        for orbit in np.unique(orbits):
            times, key = orbits == orbit, self.key(int(orbit))
            if key not in self.references:
                continue  # an orbit that no training date has: it stays masked
            sigma = self.normalised(backscatter[times], int(orbit), rows, cols)
            dry, wet = self.references[key].dry[rows, cols], self.references[key].wet[rows, cols]
            usable = self.usable[key][rows, cols]
            if self.edge_below_db is not None:
                usable = usable & (sigma >= dry - self.edge_below_db)
            relative[times] = np.where(usable, relative_backscatter(sigma, dry, wet), np.nan)
            sensitivity[times] = wet - dry
        return relative, sensitivity

    def masked(self, backscatter: Floats, orbits: npt.NDArray[np.int64], rows: Places, cols: Places) -> Flags:
        """Why there is no label, flags of `Reason`, uint16 of the backscatter's shape; 0 where there is one.

        Arguments as of `retrieve`. A restored retrieval knows no reasons.
        """
        found = np.zeros(backscatter.shape, np.uint16)
        for orbit in np.unique(orbits):
            times, key = orbits == orbit, self.key(int(orbit))
            if key not in self.references:
                found[times] = Reason.FEW_DATES
                continue
            found[times] = self.reasons[key][rows, cols]
            if self.edge_below_db is not None:
                sigma = self.normalised(backscatter[times], int(orbit), rows, cols)
                below = sigma < self.references[key].dry[rows, cols] - self.edge_below_db
                found[times] |= np.where(below, Reason.EDGE_NOISE, 0).astype(np.uint16)
        mark(found, np.isnan(backscatter), Reason.NOT_MEASURED)
        return found

    def normalised(self, backscatter: Floats, orbit: int, rows: Places, cols: Places) -> Floats:
        """Backscatter at 40 degrees where a slope is fitted, else as it is; dB."""
        if self.slope is None:
            return backscatter
        return normalise_angle(backscatter, self.angle[orbit][rows, cols], self.slope[rows, cols])


def reliability(spread: float, sensitivity: Floats) -> npt.NDArray[np.float32]:
    """0.025 / (s^2 / span^2 + 0.025): the weight of a label by its variance, 1 where there is no speckle.

    Args:
        spread: Standard deviation s of what speckle leaves of a whole window's backscatter, dB.
        sensitivity: Span, wet - dry of the label's references, dB.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        speckle = (spread / sensitivity) ** 2
    return np.asarray(OF_TRACK / (speckle + OF_TRACK), np.float32)


def relative_moisture(sigma: Floats, dry: Floats, wet: Floats) -> Floats:
    """clip((sigma - dry) / (wet - dry), 0, 1); NaN where one of them is, or where dry and wet are the same.

    Args:
        sigma: dB, [time, ...].
        dry: dB, [...].
        wet: dB, [...].
    """
    return np.clip(relative_backscatter(sigma, dry, wet), 0, 1)


def relative_backscatter(sigma: Floats, dry: Floats, wet: Floats) -> Floats:
    """(sigma - dry) / (wet - dry), not clipped; see `relative_moisture`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sigma - dry) / np.where(wet > dry, wet - dry, np.nan))
