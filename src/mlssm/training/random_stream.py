"""The global random numbers of a training (dropout), the same whether it was interrupted or not."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from mlssm.checkpoint import State
from mlssm.data.datamodule import PatchDataModule
from mlssm.errors import RunError

KEY = "random_stream"


class RandomStream(Callback):
    """Carries the generators' states of all processes in checkpoints.

    torch's loaders draw a number from the global generator whenever they make an iterator, and Lightning makes
    iterators at other moments after a restart. So the loaders of `PatchDataModule` have a generator of their own, and
    that number is drawn here: before the first batch of an epoch and before a validation.
    """

    def __init__(self, data: PatchDataModule) -> None:
        """Draw for the loaders of this data."""
        self._workers = data.workers
        self._drawn: list[str] = []  # by which loaders
        self._loaded: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the generators as they were, after all that a restart itself may have drawn."""
        if self._loaded:
            _restore(self._loaded)
            self._loaded = {}
        elif trainer.global_rank > 0:  # else all processes would drop the same units of their different patches
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw for the epoch's iterator."""
        if batch_idx == 0:
            self._draw("train")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw for the validation's iterator."""
        self._draw("val")

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: State) -> None:
        """Collect the states of all processes."""
        states = [_states(pl_module.device)]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            mine, states = states[0], [{}] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(states, mine)
        checkpoint[KEY] = {"processes": states, "drawn": list(self._drawn)}

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: State) -> None:
        """Take this process's states.

        Raises:
            RunError: The checkpoint is of another number of processes: they would not share the patches as before.
        """
        states = checkpoint[KEY]["processes"]
        if len(states) != trainer.world_size:
            raise RunError(
                f"the checkpoint is of {len(states)} processes, this training has {trainer.world_size}; set "
                f"trainer.devices and trainer.num_nodes as they were, or use warm_start"
            )
        self._drawn = list(checkpoint[KEY]["drawn"])
        self._loaded = states[trainer.global_rank]

    def _draw(self, loader: str) -> None:
        # workers that live on are given a seed once
        if self._workers == 0 or loader not in self._drawn:
            torch.empty((), dtype=torch.int64).random_()
        if loader not in self._drawn:
            self._drawn.append(loader)


def _states(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
