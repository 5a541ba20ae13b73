"""An open MLflow store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlssm.secrets import without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Store:
    """An open store and the one experiment that runs are written to.

    Attributes:
        client: MLflow's client.
        uri: Its address, which may hold a password; see `mlssm.secrets`.
        experiment_id: The experiment.
        folder: The absolute folder of this machine that pointers to what could not be sent are kept in.
    """

    client: MlflowClient
    uri: str
    experiment_id: str
    folder: Path

    @property
    def shown(self) -> str:
        """The address as it may be printed: without its password."""
        return without_password(self.uri)
