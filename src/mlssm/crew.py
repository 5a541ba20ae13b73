"""Workers, and how other processes are told of what is too large to go with each task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mlssm.config.dask import DaskConfig
from mlssm.files import passing_folder
from mlssm.scratch import Trimmed
from mlssm.shipping import Shipment, opened
from mlssm.workers import Workers, open_workers

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Crew:
    """Who works on an area whose arrays are too large to be sent with each task.

    Attributes:
        workers: Of dask.
        shipment: What they are told by, where they are other processes; None where they see this one's memory.
    """

    workers: Workers
    shipment: Shipment | None

    def told(self, task: Callable[[Item], Result]) -> Callable[[Item], Result]:
        """The task as workers take it: to other processes a file, which each of them opens once.

        It is a module's function, a `functools.partial` of one or an object with `__call__`; what it holds must not
        change any more.
        """
        return task if self.shipment is None else partial(_done_elsewhere, self.shipment.send(task))


@contextmanager
def open_crew(config: DaskConfig, beside: Path) -> Iterator[Crew]:
    """The workers that a configuration names, for as long as they are needed.

    Args:
        config: Which.
        beside: A path in a folder that all of them see, beside which the arrays of what they need are written.

    Raises:
        ConfigError: They need a package that is not installed, or no scheduler answers at the address.
    """
    with open_workers(config) as workers:
        if workers.here:
            yield Crew(workers, None)
            return
        with passing_folder(beside.with_suffix(".shipped").absolute()) as folder:
            yield Crew(workers, Shipment(folder))


def fold(
    crew: Crew | None,
    task: Callable[[Item], Result],
    items: Sequence[Item],
    merge: Callable[[Result], None],
    description: str,
) -> None:
    """Give the results of a task to `merge`, one at a time and in the order of the items, whoever works on them.

    Args:
        crew: Who does; None: this thread, one item after the other.
        task: See `Crew.told`.
        items: What it is done for; small, as each is sent to a worker.
        merge: Runs in this process; what it comes to does not depend on how many workers there are.
        description: Of what is done, for the progress bar.
    """
    trimmed = Trimmed(task)
    if crew is None:
        for item in items:
            merge(trimmed(item))
        return
    crew.workers.fold(crew.told(trimmed), items, merge, description)


def _done_elsewhere(sent: Path, item: Any) -> Any:
    return opened(sent)(item)
