"""Which trials are stopped early; the study keeps it, so that a job in another process prunes alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra_plugins.mlssm_optuna._settings import Pruning, Settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner

PRUNER = "pruner"


def make_pruner(name: str, pruning: Pruning) -> BasePruner:
    """Optuna's pruner of that name."""
    from optuna import pruners

    if name == "median":
        first_look = pruning.warmup_epochs + 1  # Optuna looks at this one already
        return pruners.MedianPruner(pruning.startup_trials, first_look, pruning.interval_epochs)
    if name == "hyperband":
        return pruners.HyperbandPruner(pruning.min_epochs, pruning.max_epochs, pruning.reduction_factor)
    return pruners.NopPruner()


def keep_pruner(study: Study, settings: Settings) -> None:
    """Write to the study how its trials are pruned from now on."""
    study.set_user_attr(PRUNER, {"name": settings.pruner, "pruning": settings.pruning.model_dump()})
    study.pruner = make_pruner(settings.pruner, settings.pruning)


def kept_pruner(study: Study) -> BasePruner:
    """What `keep_pruner` wrote."""
    kept = study.user_attrs[PRUNER]
    return make_pruner(kept["name"], Pruning.model_validate(kept["pruning"]))
