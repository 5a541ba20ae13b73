"""The messages of Lightning that say nothing about a run, silenced in one place, each with its reason."""

from __future__ import annotations

import logging
import warnings

WARNINGS = (
    # optimiser.workers is the user's choice; with data in memory, workers cost more than they bring
    r".*does not have many workers which may be a bottleneck",
    # epochs of less than 50 batches are ordinary here, and metrics are logged by epoch anyway
    r"The number of training batches .* is smaller than the logging interval",
    # a run has a folder of its own, which is not empty when the run is resumed
    r"Checkpoint directory .* exists and is not empty",
    # Lightning 2.6 on torch 2.13 and later: nothing that a caller could change
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)
MESSAGES = (
    # hardware that is not asked for is no news
    "GPU available: False",
    "TPU available: False",
    # max_epochs is how a training ends, not a fault
    "`Trainer.fit` stopped: `max_epochs=",
    # said in our own words, with epoch and step
    "Restoring states from the checkpoint path at ",
    "Restored all states from the checkpoint at ",
    # an advertisement
    "💡 Tip:",
)


class _Noise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(MESSAGES)


_NOISE = _Noise()


def silence() -> None:
    """Hide the messages above for the rest of the process; nothing else is hidden. Calling it again changes nothing."""
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_NOISE)
