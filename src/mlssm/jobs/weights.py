"""The weights of a run that another training starts with."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mlssm import bundle
from mlssm.checkpoint import BEST, CHECKPOINTS, read_checkpoint
from mlssm.errors import RunError
from mlssm.tracking.find import download
from mlssm.tracking.origin import Origin, find_checkpoint
from mlssm.tracking.store import Store
from mlssm.tracking.tags import BUNDLE, FOLDER

NETWORK = "network."  # of the keys of a checkpoint's weights


def origin_weights(store: Store, origin: Origin) -> dict[str, Tensor]:
    """The weights of a run's best epoch, on the CPU: from its model bundle, else from its best checkpoint.

    Raises:
        RunError: It has neither, or the file cannot be read.
    """
    run = origin.run
    if run.tags.get(BUNDLE):
        with tempfile.TemporaryDirectory() as folder:
            return bundle.load(download(store, run.run_id, run.tags[BUNDLE], Path(folder)))[1]
    best = find_checkpoint(store, run, origin.folder, BEST)
    if best is None:
        raise RunError(
            f"run {run.run_id} ({run.status}) has no weights: neither a model nor a {CHECKPOINTS}/{BEST} "
            f"in {run.tags.get(FOLDER, 'a folder that it names')}; train it to its first validation"
        )
    return network_weights(best)


def network_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The network's part of a checkpoint's weights, on the CPU.

    Raises:
        RunError: The file cannot be read or is no checkpoint of a training.
    """
    state = read_checkpoint(checkpoint)
    weights = state.get("state_dict")
    if not isinstance(weights, Mapping):
        raise RunError(f"{checkpoint} is no checkpoint of a training: it has no state_dict")
    return {key.removeprefix(NETWORK): value for key, value in weights.items() if key.startswith(NETWORK)}
