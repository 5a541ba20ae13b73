"""ML-SSM: daily surface soil moisture maps from Sentinel-1, weather, terrain, soil and vegetation.

    import mlssm

    run = mlssm.train("model.lag=7")
    ssm = run.predict_map("2023-01-01").sel(band="ssm")

`train`, `predict`, `load_run` and `open_area` are imported when they are first asked for: see `mlssm.api`.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlssm.api import TrackedTraining, load_run, open_area, predict, train

__version__: str  # the installed package's, which comes from git's tags
PLUGINS = "MLSSM_PLUGINS"
__all__ = ["TrackedTraining", "__version__", "load_run", "open_area", "predict", "train"]


def _import_plugins() -> None:
    """Import the modules that `MLSSM_PLUGINS` names, in this and all processes that are started.

    They add channels (`mlssm.variables.add`) and readers of them, which has to be done before any other module is
    imported: see docs/extending.md.

    Raises:
        ImportError: There is no such module.
    """
    for name in filter(None, os.environ.get(PLUGINS, "").split(",")):
        try:
            import_module(name.strip())
        except ImportError as error:
            raise ImportError(
                f"{PLUGINS}={os.environ[PLUGINS]}: {name.strip()} cannot be imported ({error}); install it, or put its "
                "folder on PYTHONPATH"
            ) from error


def __getattr__(name: str) -> Any:
    """The version, or what `mlssm.api` has of this name.

    Raises:
        PackageNotFoundError: The package is not installed, so that it has no version.
    """
    if name == "__version__":
        from importlib.metadata import version

        return version("mlssm")
    if name in __all__:
        return getattr(import_module("mlssm.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Also what is not imported yet."""
    return sorted({*globals(), *__all__})


_import_plugins()
