"""What MLflow loads a served model by; named in its `MLmodel`, so this module keeps its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import RunError
from mlssm.inference.serving import SoilMoistureModel

LEVEL = 0.9  # of the intervals, where thresholds alone are asked


@dataclass(frozen=True)
class ServedModel:
    """Predicts, and says what is wrong with its input in MLflow's own terms, which the server answers with.

    Attributes:
        model: The model.
    """

    model: SoilMoistureModel

    def predict(
        self, inputs: Mapping[str, npt.ArrayLike], params: Mapping[str, Any] | None = None
    ) -> npt.NDArray[np.float32] | dict[str, npt.NDArray[np.float32]]:
        """SSM, 0..1, [batch, height, width]; with a level, how sure it is beside it.

        Args:
            inputs: See `SoilMoistureModel.predict`.
            params: `level` of the intervals, 0 for none, and `thresholds`, see `SoilMoistureModel.predict_intervals`.

        Raises:
            MlflowException: An input does not fit, status 400.
        """
        from mlflow.exceptions import MlflowException

        if not isinstance(inputs, Mapping):
            raise MlflowException.invalid_parameter_value("give the inputs by name: dynamic, static")
        told = params or {}
        level, thresholds = float(told.get("level", 0.0)), [float(each) for each in told.get("thresholds", ())]
        try:
            if level == 0 and not thresholds:
                return self.model.predict(inputs)
            return self.model.predict_intervals(inputs, level or LEVEL, thresholds)
        except RunError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's hook: the model in a folder."""
    return ServedModel(SoilMoistureModel.load(Path(path)))
