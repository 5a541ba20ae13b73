"""Where blocks of an area are worked on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mlssm.config.base import Strict


class DaskConfig(Strict):
    """Where blocks of an area are worked on: it changes how long work takes, never what comes out.

    Attributes:
        name: Threads of this process, processes of this machine, or a dask cluster that runs already.
        workers: How many threads or processes; None: as many as there are cores.
        address: Of the cluster's scheduler, e.g. tcp://host:8786.
    """

    name: Literal["threads", "processes", "cluster"] = "threads"
    workers: int | None = Field(default=None, ge=1)
    address: str | None = None

    @model_validator(mode="after")
    def _a_cluster_has_an_address(self) -> Self:
        if (self.name == "cluster") != (self.address is not None):
            raise ValueError(
                "dask.address is the scheduler of a running cluster, and goes with dask=cluster: "
                "dask=cluster dask.address=tcp://host:8786"
            )
        return self

    def shared(self, path: Path) -> Path:
        """A path as all who work on it find it: a cluster's workers began in folders of their own."""
        return path.absolute() if self.name == "cluster" else path
