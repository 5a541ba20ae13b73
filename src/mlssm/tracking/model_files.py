"""A model bundle as an MLflow model too: what `mlflow models serve` and `mlflow.pyfunc.load_model` read."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlssm.bundle import Bundle
from mlssm.data.spec import FeatureSpec
from mlssm.variables import unit_of

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

LOADER = "mlssm.tracking.pyfunc"
# mlssm brings the others; their versions are those that the weights were trained and saved with
REQUIRED = ("mlssm", "mlflow", "numpy", "torch")


def write_model_files(folder: Path, bundle: Bundle) -> None:
    """Write `MLmodel`, the environment's files, signature and input example beside a saved bundle.

    The bundle's own files stay as they are; a file of the same name is replaced. Nothing is pickled.

    Args:
        folder: Where `mlssm.bundle.save` wrote the bundle.
        bundle: What it wrote.
    """
    from mlssm.inference.serving import example

    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "model"
        pyfunc().save_model(
            str(made),
            loader_module=LOADER,  # without a data path it is given the model's own folder
            signature=signature(bundle.channels, bundle.window.steps),
            input_example=example(bundle.channels, bundle.window),
            pip_requirements=requirements(),
            metadata={"mlssm": describe(bundle)},
        )
        for path in sorted(made.iterdir(), key=lambda item: item.name == "MLmodel"):  # the one that makes it a model
            shutil.move(path, folder / path.name)


def pyfunc() -> ModuleType:
    """MLflow's module, whose import warns of its own type hints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        import mlflow.pyfunc as module
    return module


def signature(spec: FeatureSpec, steps: int) -> ModelSignature:
    """Names, types and shapes of the model's inputs, output and parameters; -1 is any."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    number = np.dtype("float32")
    inputs: list[ColSpec | TensorSpec] = [TensorSpec(number, (-1, steps, len(spec.dynamic), -1, -1), "dynamic")]
    if spec.static:
        inputs.append(TensorSpec(number, (-1, len(spec.static), -1, -1), "static"))
    params = [ParamSpec("level", DataType.double, 0.0), ParamSpec("thresholds", DataType.double, [], shape=(-1,))]
    return ModelSignature(Schema(inputs), Schema([TensorSpec(number, (-1, -1, -1))]), ParamSchema(params))


def requirements() -> list[str]:
    """The packages that serve the model, as they are installed here; a build's local label is left out."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in REQUIRED]


def describe(bundle: Bundle) -> dict[str, Any]:
    """What `MLmodel` tells of the inputs: channels in order with their units, the window and the pixel."""
    spec, window = bundle.channels, bundle.window
    return {
        "dynamic": [f"{name} [{unit_of(name, aggregated=window.mode == 'aggregate')}]" for name in spec.dynamic],
        "static": [f"{name} [{unit_of(name, aggregated=window.mode == 'aggregate')}]" for name in spec.static],
        "model": bundle.model.title,
        "lag_days": window.lag,
        "window": window.mode,
        "pixel_m": bundle.pixel_m,
        "output": "surface soil moisture, 0 (driest seen) .. 1 (wettest seen)",
    }
