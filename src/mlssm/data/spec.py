"""The model's input channels and their scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from mlssm.errors import RunError


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class FeatureSpec:
    """The model's input channels and their scaling, x' = (x - mean) / std.

    Attributes:
        dynamic: Names of the channels of each day, in order.
        static: Names of the channels that hold for the whole window, in order ("slope", "soil_1", "ndvi_available").
        means: Training mean of each channel, dynamic then static, in its unit; 0 for availability and one-hot.
        stds: Training standard deviation likewise, greater than 0; 1 for availability and one-hot.

    Raises:
        RunError: Names repeat, the numbers do not match the names, a number is not finite or a std is not above 0.
    """

    dynamic: tuple[str, ...]
    static: tuple[str, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot scale the channels."""
        names = self.dynamic + self.static
        if len(set(names)) != len(names):
            raise RunError(f"feature channels repeat: {', '.join(names)}")
        if not len(names) == len(self.means) == len(self.stds):
            raise RunError(f"{len(names)} feature channels have {len(self.means)} means and {len(self.stds)} stds")
        for name, mean, std in zip(names, self.means, self.stds, strict=True):
            if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
                raise RunError(f"feature channel '{name}' cannot be scaled by mean {mean} and standard deviation {std}")
