"""Who looks at a training while it runs, and may stop it: a search. Knows no search library."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Told each epoch's validation score; made from the configuration's `trial` by `hydra.utils.instantiate`."""

    def report(self, epoch: int, rmse: float) -> bool:
        """Take an epoch's (from 1) RMSE on the natural validation split, and say whether to stop the training."""
