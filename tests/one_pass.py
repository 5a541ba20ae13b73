"""One pass on one extent, read as a preparation reads it."""

import numpy as np
import numpy.typing as npt

from mlssm.grid import Grid, Window
from mlssm.sources.faults import BadFiles
from mlssm.sources.pass_reader import read_judged
from mlssm.sources.passes import Pass


def read_pass(
    overpass: Pass, polarisation: str, grid: Grid, extent: Window, bad: BadFiles
) -> npt.NDArray[np.float32] | None:
    """dB [height, width], NaN where nothing was measured; None if nothing was."""
    power = read_judged(overpass, grid, bad, lambda reader: reader.power(polarisation, extent))
    if power is None or not (power > 0).any():
        return None
    return np.asarray(10 * np.log10(power, out=np.full(power.shape, np.nan, np.float32), where=power > 0), np.float32)
