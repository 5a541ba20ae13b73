"""The optimiser's settings after a restart: the configuration's."""

from __future__ import annotations

import logging

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from mlssm.checkpoint import State

log = logging.getLogger(__name__)
SETTINGS = ("lr", "weight_decay")
Group = dict[str, float]


class ConfiguredRates(Callback):
    """Gives learning rate and weight decay that the configuration has changed since the checkpoint their new values.

    A checkpoint brings the values of its time with the optimiser's state.
    """

    def __init__(self) -> None:
        """Know no values yet."""
        self._now: list[Group] = []
        self._then: list[Group] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the configured values: the optimiser's state is restored after this."""
        groups = [group for optimiser in trainer.optimizers for group in optimiser.param_groups]
        self._now = [{name: float(group[name]) for name in SETTINGS} for group in groups]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set what has changed, and say so."""
        groups = [group for optimiser in trainer.optimizers for group in optimiser.param_groups]
        changes: dict[str, None] = {}
        for group, then, now in zip(groups, self._then, self._now, strict=False):
            for name in SETTINGS:
                if then[name] != now[name]:
                    group[name] = now[name]
                    changes[f"{name} {now[name]:g} as configured, not {then[name]:g} as in the checkpoint"] = None
        if changes and trainer.is_global_zero:
            log.info("optimiser: %s", "; ".join(changes))

    def state_dict(self) -> State:
        """The values that this training is configured with."""
        return {"groups": [dict(group) for group in self._now]}

    def load_state_dict(self, state_dict: State) -> None:
        """The values that the checkpoint's training was configured with."""
        self._then = [dict(group) for group in state_dict["groups"]]
