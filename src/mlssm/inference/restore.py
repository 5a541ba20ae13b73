"""A trained network, made again from its bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from mlssm.bundle import Bundle, load, load_fitted
from mlssm.errors import RunError


@dataclass(frozen=True)
class Restored:
    """A trained network and what it was trained with.

    Attributes:
        bundle: Its family, channels, scaling and origin.
        network: On the CPU, in evaluation mode.
        fitted: What was fitted beside it, see `mlssm.inference.prefit`; None in a bundle of before there was any.
    """

    bundle: Bundle
    network: nn.Module
    fitted: Any = None


def restore(folder: Path) -> Restored:
    """Read a bundle and build its network.

    Raises:
        RunError: A file is missing or damaged, the family of models cannot be imported, or the weights are not its.
    """
    bundle, weights = load(folder)
    network = bundle.model.build(bundle.channels, spread=bundle.spread)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RunError(f"the bundle's weights are not those of its configuration: {reason}") from None
    return Restored(bundle, network.eval(), load_fitted(folder))
