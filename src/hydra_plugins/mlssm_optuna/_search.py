"""A search: what is told is checked first, then a worker runs trials."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_plugins.mlssm_optuna._champion import best_trial
from hydra_plugins.mlssm_optuna._heartbeat import Heartbeat
from hydra_plugins.mlssm_optuna._pruning import save_pruner
from hydra_plugins.mlssm_optuna._settings import Settings
from hydra_plugins.mlssm_optuna._space import Choice, Space, read_space
from hydra_plugins.mlssm_optuna._storage import STORAGE, absolute_address, open_storage
from hydra_plugins.mlssm_optuna._study import describe_search, open_study
from hydra_plugins.mlssm_optuna._trials import Trials
from hydra_plugins.mlssm_optuna._worker import Worker, is_worker
from mlssm.jobs import search as record
from mlssm.secrets import without_password


def run_search(
    settings: Settings, arguments: Sequence[str], config: DictConfig, loader: ConfigLoader, launcher: Launcher
) -> float | None:
    """Search as one worker, and start the others.

    Args:
        settings: The keys of `hydra.sweeper`.
        arguments: Overrides of the command line.
        config: The sweep's own configuration, Hydra's part included; passwords are taken out of it.
        loader: Hydra's.
        launcher: Runs the jobs.

    Returns:
        The best value, of the first objective; None if no trial is complete.

    Raises:
        MlssmError: A setting, the space, the storage or the study does not allow it, or trials failed.
    """
    address = os.environ[STORAGE] if is_worker() else absolute_address(settings.storage)
    _hide_password(config)
    space, fixed = read_space(settings.params, arguments, loader)
    base = _compose(config, loader, space, fixed)
    os.environ[STORAGE] = address
    search = describe_search(space, settings, base)
    name = settings.study_name or f"{_title(config)}-{search.digest}"
    storage = open_storage(address, settings)
    study = open_study(storage, name, search)
    record.join(name)
    save_pruner(study, settings)
    _save_configuration(config)
    trials = Trials(study, Heartbeat(storage, settings), space, settings)
    Worker(trials, launcher, fixed, _runs_here(config)).work(address)
    best = best_trial(trials)
    return None if best is None else float(best.values[0])


def _compose(config: DictConfig, loader: ConfigLoader, space: Space, fixed: list[str]) -> DictConfig:
    """The configuration that trials have in common; composes all choices, so that unknown ones end the search here."""
    first = {key: dimension.first for key, dimension in space.dimensions.items()}
    loader.load_sweep_config(config, [*fixed, *space.overrides(first)])
    for key, dimension in space.dimensions.items():
        if isinstance(dimension, Choice) and "." not in key:
            for value in dimension.values[1:]:
                loader.load_sweep_config(config, [*fixed, *space.overrides({**first, key: value})])
    return loader.load_sweep_config(config, fixed)


def _hide_password(config: DictConfig) -> None:
    """Take the storage's password out of what Hydra writes beside each job."""
    hydra = config.hydra
    with read_write(config), open_dict(config):
        shown = [without_password(item) for item in hydra.overrides.hydra]
        hydra.overrides.hydra = shown
        if without_password(hydra.sweeper.storage) != hydra.sweeper.storage:
            hydra.sweeper.storage = without_password(hydra.sweeper.storage)


def _save_configuration(config: DictConfig) -> None:
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")


def _title(config: DictConfig) -> str:
    return str(config.hydra.runtime.choices.get("search") or config.hydra.job.name)


def _runs_here(config: DictConfig) -> bool:
    return str(config.hydra.launcher.get("_target_", "")).endswith(".BasicLauncher")
