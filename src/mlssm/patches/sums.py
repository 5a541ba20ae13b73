"""What the labels of patches come to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.patches.positions import Origins

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelSums:
    """Summed-area tables of an extent at a time, so that a patch's sum costs four look-ups."""

    valid: Floats
    ssm: Floats
    high: Floats

    @classmethod
    def of(cls, ssm: npt.NDArray[np.float32], high_ssm: float) -> LabelSums:
        """The tables of SSM, NaN where there is no label, [height, width]."""
        valid = np.isfinite(ssm)
        return cls(*(_summed(layer) for layer in (valid, np.where(valid, ssm, 0), valid & (ssm > high_ssm))))

    def table(self, origins: Origins, size: int) -> pd.DataFrame:
        """One row a patch: row, col, valid_fraction, mean_ssm, high_fraction and pixels, see `mlssm.patches.index`."""
        height, width = (side - 1 for side in self.valid.shape)
        top, left = np.maximum(origins.rows, 0), np.maximum(origins.cols, 0)
        bottom, right = np.minimum(origins.rows + size, height), np.minimum(origins.cols + size, width)

        def total(table: Floats) -> Floats:
            return np.asarray(
                table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left],
            )

        count = total(self.valid)
        some = np.maximum(count, 1)
        return pd.DataFrame(
            {
                "row": origins.rows,
                "col": origins.cols,
                "valid_fraction": count / ((bottom - top) * (right - left)),
                "mean_ssm": np.where(count > 0, total(self.ssm) / some, np.nan),
                "high_fraction": total(self.high) / some,
                "pixels": count.astype(np.int64),
            }
        )


def _summed(layer: npt.NDArray[np.generic]) -> Floats:
    return np.pad(layer.astype(float).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
