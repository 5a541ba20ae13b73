"""What a training starts from, and whether it can, before anything is trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
from torch import Tensor, nn

from mlssm.checkpoint import BEST, State, check_fits, read_checkpoint
from mlssm.errors import ConfigError, RunError
from mlssm.training.random_stream import KEY

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """Where a training takes up; from scratch where both are None.

    Attributes:
        checkpoint: Go on from its whole state: weights, optimiser, sampler, random states, epoch and batch.
        weights: The network's state; all else is from scratch.
    """

    checkpoint: Path | None = None
    weights: Mapping[str, Tensor] | None = None


def check_resumable(checkpoint: Path, module: nn.Module, trainer: pl.Trainer, folder: Path) -> None:
    """Compare a checkpoint with the training that is to go on from it, and log where it goes on.

    Args:
        checkpoint: The file.
        module: Of the architecture that the configuration describes.
        trainer: Says how long it is to train.
        folder: Where the training keeps its checkpoints.

    Raises:
        RunError: The file is missing, damaged, not of a training of this version, or of another architecture; the
            best epoch that it counts on is not in the folder.
        ConfigError: `trainer.max_epochs` is below what has been trained already; `trainer.max_steps` is set.
    """
    state = read_checkpoint(checkpoint)
    if KEY not in state or "loops" not in state:
        raise RunError(
            f"{checkpoint}: not the whole state of a training of this version; use warm_start for its weights"
        )
    check_fits(state["state_dict"], module.state_dict(), str(checkpoint))
    if trainer.max_steps != -1:
        raise ConfigError(
            f"trainer.max_steps={trainer.max_steps} is not kept exactly by a training that goes on; "
            "set trainer.max_epochs"
        )
    epochs = _trained_epochs(state)
    if trainer.max_epochs is not None and 0 <= trainer.max_epochs < epochs:
        raise ConfigError(
            f"trainer.max_epochs={trainer.max_epochs} is less than the {epochs} that {checkpoint} has trained"
        )
    if _has_best(state) and not (folder / BEST).is_file():
        raise RunError(f"{folder / BEST} is missing, which {checkpoint} counts on; put both into one folder")
    log.info("going on from %s: %d epochs and %d steps are done", checkpoint, epochs, state["global_step"])


def goes_on_to(checkpoint: Path, epochs: int) -> bool:
    """Whether a checkpoint is of a training that can go on to this many epochs: it has trained no more.

    Raises:
        RunError: The file is missing or damaged.
    """
    state = read_checkpoint(checkpoint)
    return "loops" in state and _trained_epochs(state) <= epochs


def take_weights(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Give a network the weights of another training.

    Raises:
        RunError: They are of another architecture.
    """
    check_fits(weights, network.state_dict(), "the network that warm_start names")
    network.load_state_dict(dict(weights))


def _trained_epochs(state: State) -> int:
    return int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def _has_best(state: State) -> bool:
    return any(isinstance(kept, dict) and kept.get("score") is not None for kept in state["callbacks"].values())
