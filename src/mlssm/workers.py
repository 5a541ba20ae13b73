"""Where blocks of an area are worked on: threads, processes or a cluster, all of them dask's."""

from __future__ import annotations

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from mlssm.config.dask import DaskConfig
from mlssm.errors import ConfigError, WorkerError
from mlssm.progress import progress

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 10  # seconds for a scheduler to answer
AHEAD = 2  # tasks a thread of a cluster that are given to it before the results of earlier ones are merged
Item = TypeVar("Item")
Result = TypeVar("Result")
# the workers of the step around, and by which configuration
_AROUND: ContextVar[tuple[DaskConfig, Workers] | None] = ContextVar("workers", default=None)


class Workers:
    """Runs one task for each of many items."""

    def __init__(self, threads: int, client: Client | None = None) -> None:
        """Run on threads of this process, or on a client's workers.

        Args:
            threads: How many.
            client: Of a dask cluster; None: threads.
        """
        self._threads, self._client = threads, client

    @property
    def here(self) -> bool:
        """Whether tasks run in this process, and see what it has in memory."""
        return self._client is None

    @property
    def at_once(self) -> int:
        """How many tasks run at once."""
        return self._threads

    def run(self, task: Callable[[Item], Result], items: Sequence[Item], description: str) -> list[Result]:
        """The results of a task, in the order of the items; a bar tells how many are done.

        A task should write large results itself and return little. Where it does not run in this process, task, items
        and results are pickled: a module's function or a `functools.partial` of one, with paths rather than arrays.

        Raises:
            WorkerError: The processes that worked on an item died, several times.
            Exception: What the first task that failed raised; tasks that had not begun are not begun any more.
        """
        if not items:
            return []
        with progress() as display:
            bar = display.add_task(description, total=len(items))
            done = self._on_threads if self._client is None else self._on_cluster
            return done(task, items, lambda: display.advance(bar))

    def fold(
        self,
        task: Callable[[Item], Result],
        items: Sequence[Item],
        merge: Callable[[Result], None],
        description: str,
    ) -> None:
        """Give the results of a task to `merge`, one at a time and in the order of the items.

        So what they add up to does not depend on how many workers there are. Few results wait at once. A merge runs in
        this process, task and items as in `run`, and so do errors.
        """
        if not items:
            return
        with progress() as display:
            bar = display.add_task(description, total=len(items))

            def merge_and_tell(result: Result) -> None:
                merge(result)
                display.advance(bar)

            fold = self._fold_on_threads if self._client is None else self._fold_on_cluster
            fold(task, items, merge_and_tell)

    def _fold_on_threads(
        self, task: Callable[[Item], Result], items: Sequence[Item], merge: Callable[[Result], None]
    ) -> None:
        from dask.threaded import get

        def done(number: int) -> Result:
            return task(items[number])

        def merged(result: Result, _: None) -> None:
            merge(result)

        # a chain: dask merges as soon as it can, and begins the items in their order
        graph: dict[Any, Any] = {("merged", -1): None}
        for number in range(len(items)):
            graph["done", number] = done, number
            graph["merged", number] = merged, ("done", number), ("merged", number - 1)
        with _raster_warnings_off():
            get(graph, ("merged", len(items) - 1), num_workers=self._threads)

    def _fold_on_cluster(
        self, task: Callable[[Item], Result], items: Sequence[Item], merge: Callable[[Result], None]
    ) -> None:
        assert self._client is not None
        waiting: deque[Any] = deque()
        ahead = AHEAD * max(1, sum(self._client.nthreads().values()))
        try:
            for number in range(len(items) + ahead):
                if number < len(items):
                    waiting.append(self._client.submit(task, items[number], pure=False))
                if number >= ahead and waiting:
                    merge(self._result(waiting.popleft(), task))
        finally:
            self._client.cancel(list(waiting))

    def _result(self, future: Any, task: Callable[..., Any]) -> Any:
        """What a future comes to, or what its task raised."""
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise _killed(task, error) from error

    def _on_threads(
        self, task: Callable[[Item], Result], items: Sequence[Item], tell: Callable[[], None]
    ) -> list[Result]:
        from dask.base import compute
        from dask.callbacks import Callback
        from dask.delayed import delayed

        apply = delayed(task, pure=False, traverse=False)
        # dask's threads take the task whose name comes last: that of the first item
        tasks = [apply(item, dask_key_name=f"item-{len(items) - number:09d}") for number, item in enumerate(items)]
        with _raster_warnings_off(), Callback(posttask=lambda *_: tell()):
            return list(compute(*tasks, scheduler="threads", num_workers=self._threads))

    def _on_cluster(
        self, task: Callable[[Item], Result], items: Sequence[Item], tell: Callable[[], None]
    ) -> list[Result]:
        from distributed import as_completed

        assert self._client is not None
        futures: list[Any] = self._client.map(task, items, pure=False)
        try:
            for future in as_completed(futures):
                self._result(future, task)
                tell()
            return list(self._client.gather(futures))
        finally:
            self._client.cancel(futures)


def _killed(task: Callable[..., Any], error: Exception) -> WorkerError:
    return WorkerError(
        f"workers that ran '{getattr(task, '__name__', task)}' died, each time that it was begun anew ({error}); most "
        "often memory ran out: set fewer dask.workers, and start the same command again: it goes on from what is done"
    )


@contextmanager
def _raster_warnings_off() -> Iterator[None]:
    """Images without a place are refused by an error, and arrays that are warped have none.

    Who opens an image turns the warning off around that. Filters of warnings are the process's, however: a thread that
    sets them back sets back what another has turned off. So it is off for as long as several threads run.
    """
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def in_threads(task: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results of a task, in the order of the items, on as many threads of this process as the workers around have.

    For steps of seconds, of which no bar tells, and whose inputs are too many to be sent anywhere. Without workers
    around, and within a task of theirs, one item is done after the other.

    Raises:
        Exception: What the first task that failed raised.
    """
    around = _AROUND.get()
    if around is None or around[1].at_once < 2 or len(items) < 2:
        return [task(item) for item in items]
    return Workers(around[1].at_once)._on_threads(task, items, lambda: None)


@contextmanager
def open_workers(config: DaskConfig) -> Iterator[Workers]:
    """The workers that a configuration names, for as long as they are needed.

    Those that are open already around the call are taken: processes begin once for all steps within.

    Raises:
        ConfigError: They need a package that is not installed, or no scheduler answers at the address.
    """
    around = _AROUND.get()
    if around is not None and around[0] == config:
        yield around[1]
        return
    with _opened(config) as workers:
        before = _AROUND.set((config, workers))
        try:
            yield workers
        finally:
            _AROUND.reset(before)


@contextmanager
def _opened(config: DaskConfig) -> Iterator[Workers]:
    count = config.workers or len(os.sched_getaffinity(0))
    if config.name == "threads":
        yield Workers(count)
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError(f"dask={config.name} needs the package 'distributed': pip install 'mlssm[dask]'") from None
    logging.getLogger("distributed").setLevel(logging.WARNING)  # it tells of every worker that comes and goes
    if config.address is None:
        # a port of its own for what serves no page: the usual one is another command's
        alone = {"dashboard_address": ":0"}
        local = LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None, protocol="tcp", scheduler_kwargs=alone
        )
        with local, Client(local) as client:
            yield Workers(count, client)
        return
    try:
        client = Client(config.address, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"no dask scheduler answers at dask.address={config.address} ({error}); start one with `dask scheduler`, "
            "and workers with `dask worker ADDRESS`"
        ) from error
    with client:
        yield Workers(count, client)
