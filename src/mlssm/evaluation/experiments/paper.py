"""The scores that Hosseinizadeh, Sheng and Liu (2025) report, and what follows from them.

Water 17(22), 3300, doi:10.3390/w17223300: a ConvLSTM on relative soil moisture 0..1, before and after patches of high
soil moisture were added, with windows of 1, 2 and 3 days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

Stage = Literal["before", "after"]
Part = Literal["train", "val", "test"]
SOURCE: Final = "Hosseinizadeh, Sheng & Liu (2025), Water 17(22), 3300, doi:10.3390/w17223300"
PARTS: Final[tuple[Part, ...]] = ("train", "val", "test")
STAGES: Final[tuple[Stage, ...]] = ("before", "after")


@dataclass(frozen=True)
class PaperRow:
    """One cell block of the paper's table: a window, before or after rebalancing, on one split; SSM units."""

    lag: int
    stage: Stage
    part: Part
    r2: float
    rmse: float
    mae: float
    corr: float

    @property
    def variance(self) -> float:
        """The variance of the labels that R2 and RMSE imply."""
        return implied_variance(self.rmse, self.r2)


def implied_variance(rmse: float, r2: float) -> float:
    """The variance of the labels that were scored on: MSE / (1 - R2), from R2 = 1 - MSE / Var; NaN where R2 is 1."""
    return rmse**2 / (1 - r2) if r2 != 1 else math.nan


PAPER: Final = (
    PaperRow(1, "before", "train", 0.2135, 0.1492, 0.1139, 0.4664),
    PaperRow(1, "before", "val", 0.2035, 0.1504, 0.1148, 0.4572),
    PaperRow(1, "before", "test", 0.2076, 0.1498, 0.1146, 0.4596),
    PaperRow(1, "after", "train", 0.7170, 0.1520, 0.1016, 0.8471),
    PaperRow(1, "after", "val", 0.7137, 0.1530, 0.1021, 0.8452),
    PaperRow(1, "after", "test", 0.7166, 0.1519, 0.1014, 0.8469),
    PaperRow(2, "before", "train", 0.1936, 0.1511, 0.1148, 0.4510),
    PaperRow(2, "before", "val", 0.1834, 0.1523, 0.1157, 0.4415),
    PaperRow(2, "before", "test", 0.1917, 0.1513, 0.1151, 0.4485),
    PaperRow(2, "after", "train", 0.7224, 0.1523, 0.1021, 0.8508),
    PaperRow(2, "after", "val", 0.7173, 0.1537, 0.1029, 0.8477),
    PaperRow(2, "after", "test", 0.7171, 0.1541, 0.1033, 0.8489),
    PaperRow(3, "before", "train", 0.1992, 0.1506, 0.1148, 0.4522),
    PaperRow(3, "before", "val", 0.1896, 0.1518, 0.1156, 0.4433),
    PaperRow(3, "before", "test", 0.1970, 0.1508, 0.1152, 0.4492),
    PaperRow(3, "after", "train", 0.7204, 0.1528, 0.1029, 0.8489),
    PaperRow(3, "after", "val", 0.7122, 0.1550, 0.1045, 0.8442),
    PaperRow(3, "after", "test", 0.7151, 0.1547, 0.1040, 0.8459),
)


def paper_row(lag: int, stage: Stage, part: Part) -> PaperRow | None:
    """The paper's scores; None where it has none."""
    return next((row for row in PAPER if (row.lag, row.stage, row.part) == (lag, stage, part)), None)
