"""What can be written to a run: operations that may be sent twice, and can be kept as lines of JSON until they are.

A metric carries its own time, which is part of MLflow's primary key, so a second copy of it is ignored. A tag, a status
and an artifact replace themselves, a parameter of the same value and an input of the same digest are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mlssm.tracking.failures import is_duplicate

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

T = TypeVar("T")
METRICS_PER_CALL = 1000  # MLflow's own limits
ITEMS_PER_CALL = 100
ATTEMPTS = 20  # each that fails is one at which another process got on


class Operation(BaseModel):
    """Something to be written to a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Write it."""
        raise NotImplementedError

    def below(self, folder: Path) -> Operation:
        """The same, its files found below the folder of an outbox."""
        return self


class Entry(NamedTuple):
    """A value of a metric; `time` is in milliseconds since 1970."""

    key: str
    value: float
    time: int
    step: int


class Metrics(Operation):
    """Values of metrics."""

    kind: Literal["metrics"] = "metrics"
    entries: tuple[Entry, ...]

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Write them."""
        from mlflow.entities import Metric

        items = [Metric(*entry) for entry in self.entries]
        for batch in _batches(items, METRICS_PER_CALL):
            client.log_batch(run_id, metrics=batch, synchronous=True)


class Tags(Operation):
    """Tags, each in the place of one that is there."""

    kind: Literal["tags"] = "tags"
    values: dict[str, str]

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Write them."""
        from mlflow.entities import RunTag

        items = [RunTag(key, value) for key, value in self.values.items()]
        for batch in _batches(items, ITEMS_PER_CALL):
            client.log_batch(run_id, tags=batch, synchronous=True)


class Params(Operation):
    """Parameters; MLflow refuses to change one that is there."""

    kind: Literal["params"] = "params"
    values: dict[str, str]

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Write them."""
        from mlflow.entities import Param

        items = [Param(key, value) for key, value in self.values.items()]
        for batch in _batches(items, ITEMS_PER_CALL):
            client.log_batch(run_id, params=batch, synchronous=True)


class Artifact(Operation):
    """A file under its own name in an artifact folder, the run's top folder where `folder` is None."""

    kind: Literal["artifact"] = "artifact"
    file: Path
    folder: str | None

    def below(self, folder: Path) -> Operation:
        """The same with its file below `folder`."""
        return self.model_copy(update={"file": folder / self.file})

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Copy it. What a cloud's own library raises (a key that ran out) counts as a store that is away."""
        from mlflow.exceptions import MlflowException

        try:
            client.log_artifact(run_id, str(self.file), self.folder)
        except (MlflowException, OSError):
            raise
        except Exception as error:
            raise MlflowException(f"{type(error).__name__}: {error}") from error


class Input(NamedTuple):
    """MLflow's description of a dataset, and how the run used it."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: dict[str, str]


class Inputs(Operation):
    """Datasets that the run read."""

    kind: Literal["inputs"] = "inputs"
    items: tuple[Input, ...]

    @classmethod
    def of(cls, inputs: Iterable[DatasetInput]) -> Inputs:
        """From MLflow's own objects."""
        return cls(items=tuple(_plain(item) for item in inputs))

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Write them; where another process names the same dataset in the same moment, MLflow refuses one of them."""
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        found = [
            DatasetInput(Dataset(*item[:6]), [InputTag(key, value) for key, value in item.tags.items()])
            for item in self.items
        ]
        for attempt in range(ATTEMPTS):
            try:
                client.log_inputs(run_id, datasets=found)
                return
            except MlflowException as error:
                if not is_duplicate(error) or attempt == ATTEMPTS - 1:
                    raise


class End(Operation):
    """The end status, and when it was reached, in milliseconds since 1970."""

    kind: Literal["end"] = "end"
    status: str
    time: int

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Set it."""
        client.set_terminated(run_id, self.status, self.time)


AnyOperation = Annotated[Metrics | Tags | Params | Artifact | Inputs | End, Field(discriminator="kind")]
OPERATION: TypeAdapter[AnyOperation] = TypeAdapter(AnyOperation)


def read_operations(path: Path) -> Iterator[Operation]:
    """The operations of a file, oldest first. A last line without its end was cut by a killed process: it is left."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield OPERATION.validate_json(line)


def joined(operations: Iterable[Operation]) -> Iterator[tuple[int, Operation]]:
    """Neighbouring metrics as one operation, each with the number of operations that it stands for; order is kept."""
    entries: list[Entry] = []
    count = 0
    for operation in operations:
        is_metrics = isinstance(operation, Metrics)
        if entries and (not is_metrics or len(entries) >= METRICS_PER_CALL):
            yield count, Metrics(entries=tuple(entries))
            entries, count = [], 0
        if isinstance(operation, Metrics):
            entries.extend(operation.entries)
            count += 1
        else:
            yield 1, operation
    if entries:
        yield count, Metrics(entries=tuple(entries))


def _plain(item: DatasetInput) -> Input:
    data = item.dataset
    tags = {tag.key: tag.value for tag in item.tags}
    return Input(data.name, data.digest, data.source_type, data.source, data.schema, data.profile, tags)


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """The items in parts that one call may hold."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
