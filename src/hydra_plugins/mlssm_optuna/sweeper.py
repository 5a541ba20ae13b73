"""The sweeper that Hydra finds: it searches a space with Optuna, by ask and tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher


class OptunaSweeper(Sweeper):
    """Cheap to make; all that is heavy is imported when a search begins."""

    def __init__(self, **settings: Any) -> None:
        """Take the keys of `hydra.sweeper`, to be checked by `sweep`."""
        self._values = settings
        self._launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher that runs the trials' jobs."""
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Search.

        Args:
            arguments: Overrides of the command line, those of Hydra's own keys left out.

        Raises:
            MlssmError: A setting, the space, the storage or the study does not allow it, or trials failed.
        """
        from hydra_plugins.mlssm_optuna._search import run_search
        from hydra_plugins.mlssm_optuna._settings import read_settings

        assert self._launcher is not None
        assert self.config is not None
        assert self.hydra_context is not None
        plain = OmegaConf.to_container(OmegaConf.create(self._values), resolve=True)
        assert isinstance(plain, dict)
        settings = read_settings({str(key): value for key, value in plain.items()})
        return run_search(settings, arguments, self.config, self.hydra_context.config_loader, self._launcher)
