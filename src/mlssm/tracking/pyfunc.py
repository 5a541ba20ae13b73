"""What MLflow loads a served model by; named in its `MLmodel`, so this module keeps its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlssm.errors import RunError
from mlssm.inference.serving import SoilMoistureModel


@dataclass(frozen=True)
class ServedModel:
    """Predicts, and says what is wrong with its input in MLflow's own terms, which the server answers with.

    Attributes:
        model: The model.
    """

    model: SoilMoistureModel

    def predict(self, inputs: Mapping[str, npt.ArrayLike]) -> npt.NDArray[np.float32]:
        """SSM, 0..1, [batch, height, width]; see `SoilMoistureModel.predict`.

        Raises:
            MlflowException: An input does not fit, status 400.
        """
        from mlflow.exceptions import MlflowException

        if not isinstance(inputs, Mapping):
            raise MlflowException.invalid_parameter_value("give the inputs by name: dynamic, static")
        try:
            return self.model.predict(inputs)
        except RunError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's hook: the model in a folder."""
    return ServedModel(SoilMoistureModel.load(Path(path)))
