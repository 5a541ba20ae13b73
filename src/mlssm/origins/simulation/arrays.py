"""The kinds of arrays in a simulation; grids are float32 to spare memory, what stations measure is float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Classes = npt.NDArray[np.uint8]
Days = npt.NDArray[np.datetime64]
