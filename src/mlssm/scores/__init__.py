"""Scores of predictions against labels: streaming sums, their resampling, detection, correlation over time."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# Labels and predictions come as float32 from a network and as float64 from a reference; both are welcome.
AnyFloats: TypeAlias = npt.NDArray[np.floating[Any]]
