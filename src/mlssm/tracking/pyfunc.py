"""What MLflow loads a served model by; named in its `MLmodel`, so this module keeps its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import RunError
from mlssm.inference.serving import DYNAMIC, SoilMoistureModel

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

LEVEL = 0.9  # of the intervals, where thresholds alone are asked
MOST_PIXELS = 512 * 512  # of all patches of a request: a network takes about a kilobyte for each
MOST_THRESHOLDS = 16
TOO_LARGE = 413  # HTTP status


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
            MlflowException: An input does not fit, status 400, or it has more than `MOST_PIXELS` pixels, status 413.
        """
        from mlflow.exceptions import MlflowException

        if not isinstance(inputs, Mapping):
            raise MlflowException.invalid_parameter_value("give the inputs by name: dynamic, static")
        refuse_too_large(inputs)
        told = params or {}
        level, thresholds = float(told.get("level", 0.0)), [float(each) for each in told.get("thresholds", ())]
        if len(thresholds) > MOST_THRESHOLDS:
            raise MlflowException.invalid_parameter_value(
                f"{len(thresholds)} thresholds are asked for; ask for {MOST_THRESHOLDS} at most"
            )
        try:
            if level == 0 and not thresholds:
                return self.model.predict(inputs)
            return self.model.predict_intervals(inputs, level or LEVEL, thresholds)
        except RunError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


def refuse_too_large(inputs: Mapping[str, npt.ArrayLike]) -> None:
    """Refuse more pixels than a server should take at once.

    Raises:
        MlflowException: Status 413.
    """
    shape = np.shape(inputs.get(DYNAMIC, ()))
    pixels = shape[0] * shape[-2] * shape[-1] if len(shape) > 2 else 0
    if pixels > MOST_PIXELS:
        raise too_large(
            f"the request has {pixels} pixels ({shape[0]} patches of {shape[-2]} x {shape[-1]}), and {MOST_PIXELS} are "
            "taken at once; send smaller patches, or map whole areas with predict.py"
        )


def too_large(message: str) -> MlflowException:
    """An exception that MLflow's server answers with HTTP status 413, for which MLflow has no code of its own."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    class TooLarge(MlflowException):
        def get_http_status_code(self) -> int:
            return TOO_LARGE

    return TooLarge(message, error_code=INVALID_PARAMETER_VALUE)


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's hook: the model in a folder."""
    return ServedModel(SoilMoistureModel.load(Path(path)))
