"""A trained network, made again from its bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlssm.bundle import Bundle, load
from mlssm.config import TrainConfig, parse
from mlssm.errors import RunError
from mlssm.models.convlstm import ConvLSTM
from mlssm.training.fit import build_network


@dataclass(frozen=True)
class Restored:
    """A trained network and what it was trained with.

    Attributes:
        bundle: Channels, scaling and origin.
        config: The typed training configuration.
        network: On the CPU, in evaluation mode.
    """

    bundle: Bundle
    config: TrainConfig
    network: ConvLSTM


def restore(folder: Path) -> Restored:
    """Read a bundle and build its network.

    Raises:
        ConfigError: Another version wrote its configuration.
        RunError: A file is missing or damaged, or the weights are not those of the configuration.
    """
    bundle, weights = load(folder)
    config = parse(TrainConfig, bundle.config)
    network = build_network(bundle.features, config)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RunError(f"the bundle's weights are not those of its configuration: {reason}") from None
    return Restored(bundle, config, network.eval())
