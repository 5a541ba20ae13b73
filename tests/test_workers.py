"""Threads, processes and a cluster of dask run the same tasks."""

import os
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rasterio.errors import NotGeoreferencedWarning

from mlssm import workers
from mlssm.config import DaskConfig, parse
from mlssm.errors import ConfigError, DataError, WorkerError
from mlssm.workers import in_threads, open_workers


def squared(add: int, number: int) -> int:
    return number**2 + add


def process_id(_: int) -> int:
    return os.getpid()


def bad(number: int) -> int:
    raise DataError(f"item {number}")


def die(_: int) -> int:
    os._exit(1)


def die_once(folder: Path, number: int) -> int:
    seen = folder / str(number)
    if number == 2 and not seen.exists():
        seen.touch()
        os._exit(1)
    return number


def test_threads_run_each_item_once_in_order() -> None:
    with open_workers(DaskConfig()) as pool:
        assert pool.here
        assert pool.run(partial(squared, 1), [3, 1, 2], "squares") == [10, 2, 5]
        assert pool.run(partial(squared, 1), [], "squares") == []


def test_one_thread_goes_through_the_items_in_order() -> None:
    seen: list[int] = []
    with open_workers(DaskConfig(workers=1)) as pool:
        pool.run(seen.append, [*range(40)], "items")
    assert seen == [*range(40)]


def test_an_error_of_a_task_is_the_callers() -> None:
    with open_workers(DaskConfig()) as pool, pytest.raises(DataError, match="item 7"):
        pool.run(bad, [7], "bad")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_processes_are_others_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    with open_workers(DaskConfig(name="processes", workers=2)) as pool:
        assert not pool.here
        assert os.getpid() not in pool.run(process_id, [1, 2], "ids")
        assert pool.run(partial(die_once, tmp_path), [1, 2, 3], "dying") == [1, 2, 3]
        with pytest.raises(DataError, match="item 7"):
            pool.run(bad, [7], "bad")
        with pytest.raises(WorkerError, match="set fewer dask"):
            pool.run(die, [1], "dying")


def test_no_scheduler_at_the_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    config = DaskConfig(name="cluster", address="tcp://127.0.0.1:9")
    with (
        pytest.raises(ConfigError, match=r"no dask scheduler answers at dask.address=tcp"),
        open_workers(config),
    ):
        pass


def test_an_address_goes_with_a_cluster_alone() -> None:
    for values in ({"name": "cluster"}, {"name": "threads", "address": "tcp://a:1"}):
        with pytest.raises(ConfigError, match="goes with dask=cluster"):
            parse(DaskConfig, values)


def test_a_fold_takes_results_in_the_order_of_the_items() -> None:
    """However long each takes; and few results wait: one is taken as soon as those before it are."""
    waiting, most, lock, taken = 0, 0, threading.Lock(), []

    def task(number: int) -> int:
        nonlocal waiting, most
        time.sleep(0.003 * (number % 4))
        with lock:
            waiting += 1
            most = max(most, waiting)
        return number

    def take(number: int) -> None:
        nonlocal waiting
        taken.append(number)
        with lock:
            waiting -= 1

    with open_workers(DaskConfig(workers=3)) as pool:
        pool.fold(task, range(200), take, "items")
        assert taken == [*range(200)]
        assert most < 50
        pool.fold(task, [], take, "items")
        with pytest.raises(DataError, match="item 0"):
            pool.fold(bad, [0, 1], take, "bad")
        with pytest.raises(DataError, match="item 3"):
            pool.fold(abs, [3], bad, "bad")
    assert taken == [*range(200)]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_processes_fold_in_the_order_of_the_items(tmp_path: Path) -> None:
    taken: list[int] = []
    with open_workers(DaskConfig(name="processes", workers=2)) as pool:
        for count in (1, 3, 40):
            pool.fold(partial(squared, 1), range(count), taken.append, "squares")
            assert taken == [number**2 + 1 for number in range(count)]
            taken.clear()
        pool.fold(partial(die_once, tmp_path), [1, 2, 3], taken.append, "dying")
        assert taken == [1, 2, 3]
        with pytest.raises(DataError, match="item 7"):
            pool.fold(bad, [7], taken.append, "bad")
        with pytest.raises(WorkerError, match="set fewer dask"):
            pool.fold(die, [1], taken.append, "dying")


def test_threads_do_not_turn_on_a_warning_of_rasters_for_one_another() -> None:
    """rasterio turns it off by the process's filters, which a thread that is done sets back."""

    def tasks() -> Callable[[int], None]:
        entered, both_inside, left = (threading.Event() for _ in range(3))

        def first() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                entered.set()
                assert both_inside.wait(5)
            left.set()

        def second() -> None:
            assert entered.wait(5)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                both_inside.set()
                assert left.wait(5)
                warnings.warn("no geotransform", NotGeoreferencedWarning, stacklevel=1)

        return lambda number: (first, second)[number]()

    with open_workers(DaskConfig(workers=2)) as two:
        two.run(tasks(), [0, 1], "two at once")
        two.fold(tasks(), [0, 1], lambda _: None, "two at once")


def test_workers_that_are_open_are_taken_by_the_steps_within() -> None:
    config = DaskConfig(workers=2)
    with open_workers(config) as outer:
        with open_workers(DaskConfig(workers=2)) as inner:
            assert inner is outer
        with open_workers(DaskConfig(workers=1)) as other:
            assert other.at_once == 1
        with open_workers(config) as again:
            assert again is outer
    with open_workers(config) as later:
        assert later is not outer


def test_short_steps_are_done_on_as_many_threads_as_the_workers_around_have() -> None:
    both = threading.Barrier(2, timeout=2)

    def meet(number: int) -> int:
        both.wait()  # breaks unless another item is worked on
        return number

    assert in_threads(partial(squared, 1), [3, 1]) == [10, 2]
    with pytest.raises(threading.BrokenBarrierError):
        in_threads(meet, [1, 2])
    both.reset()
    with open_workers(DaskConfig(workers=2)) as pool:
        assert in_threads(meet, [4, 3]) == [4, 3]
        assert pool.run(lambda item: in_threads(partial(squared, 0), [item, 2]), [3], "within") == [[9, 4]]
        with pytest.raises(DataError, match="item 7"):
            in_threads(bad, [7, 7])
