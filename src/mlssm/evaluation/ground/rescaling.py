"""Relative soil moisture brought to a station's units, before the two are compared by their distance."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mlssm.errors import ConfigError

Floats = npt.NDArray[np.floating[Any]]
NEEDS = "comparing with the ground needs the package 'pytesmo': pip install 'mlssm[insitu]'"
LEAST_IN_BIN = 20


class Rescaling(Protocol):
    """Brings values to a station's units."""

    def __call__(self, values: Floats) -> Floats:
        """The values in m3/m3."""
        ...


@dataclass(frozen=True)
class MeanStd:
    """The station's mean and standard deviation, as `pytesmo.scaling.mean_std`, for other values as well.

    Attributes:
        slope: m3/m3 per unit of the values.
        offset: m3/m3.
    """

    slope: float
    offset: float

    @classmethod
    def fit(cls, values: Floats, station: Floats) -> MeanStd:
        """Of the same days."""
        slope = float(np.std(station) / np.std(values))
        return cls(slope, float(np.mean(station) - slope * np.mean(values)))

    def __call__(self, values: Floats) -> Floats:
        """The values in m3/m3."""
        return np.asarray(self.offset + self.slope * values)


@dataclass(frozen=True)
class Cdf:
    """The station's distribution, by `pytesmo.scaling.CDFMatching`."""

    matcher: Any

    @classmethod
    def fit(cls, values: Floats, station: Floats) -> Cdf:
        """Of the same days; bins have at least 20 of them."""
        try:
            from pytesmo.scaling import CDFMatching
        except ImportError:
            raise ConfigError(NEEDS) from None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The bins have been resized")  # which is what `minobs` asks for
            return cls(CDFMatching(minobs=LEAST_IN_BIN).fit(np.array(values, float), np.array(station, float)))

    def __call__(self, values: Floats) -> Floats:
        """The values in m3/m3; NaN stays."""
        flat = np.array(values, float)
        known = np.isfinite(flat)
        found = np.full(flat.shape, np.nan)
        if known.any():
            found[known] = self.matcher.predict(flat[known])
        return found


def fit_rescaling(kind: Literal["mean_std", "cdf"], values: Floats, station: Floats) -> Rescaling:
    """Fit on days that both have; neither may be constant."""
    return MeanStd.fit(values, station) if kind == "mean_std" else Cdf.fit(values, station)
