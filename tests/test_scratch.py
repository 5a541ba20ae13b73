import errno
import os
from pathlib import Path

import numpy as np
import pytest

from mlssm import scratch as module
from mlssm.errors import DataError
from mlssm.scratch import scratch, scratch_folder


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Arrays of a kilobyte are files, in a folder of the test's."""
    monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_small_arrays_are_in_memory_and_large_ones_in_files_without_a_name(small_is_large: Path) -> None:
    small, large = scratch((10, 12), np.float64), scratch((10, 13), np.float64)
    assert not isinstance(small, np.memmap)
    assert isinstance(large, np.memmap)
    large[3:5] = 7
    for array in (small, large):
        assert array.dtype == np.float64
    assert (large.sum(), small.sum()) == (7 * 2 * 13, 0)
    assert not list(small_is_large.iterdir())


def test_a_full_disk_is_told_with_a_cure(small_is_large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=rf"{small_is_large} has no room for .* set TMPDIR"):
        scratch((10, 13), np.float64)


def test_files_lie_where_tmpdir_says_and_else_not_in_memory(
    small_is_large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scratch_folder() == small_is_large
    monkeypatch.delenv("TMPDIR")
    assert scratch_folder() == Path("/var/tmp")


@pytest.mark.skipif(not module.STATM.exists(), reason="this system does not tell what is mapped")
def test_pages_that_are_let_go_leave_memory_and_lose_nothing(small_is_large: Path) -> None:
    array, size = scratch((2**20,), np.float64), 8 * 2**20
    array[:] = np.arange(array.size)
    before = module._mapped()
    module.let_go()
    assert before - module._mapped() > 0.9 * size
    assert np.array_equal(array, np.arange(array.size))


def test_pages_are_let_go_after_a_part_once_they_are_many(
    small_is_large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped, gone = iter([5, 11, 3]), []
    monkeypatch.setattr(module, "MOST_MAPPED", 10)
    monkeypatch.setattr(module, "_mapped", lambda: next(mapped))
    seen: list[str] = []
    monkeypatch.setattr(module, "let_go", lambda: gone.append(seen[-1]))
    for part in module.trimming("abc"):
        seen.append(part)
    assert seen == ["a", "b", "c"]
    assert gone == ["b"]


def test_a_worker_lets_pages_go_after_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    mapped, gone = iter([11, 3]), []
    monkeypatch.setattr(module, "MOST_MAPPED", 10)
    monkeypatch.setattr(module, "_mapped", lambda: next(mapped))
    monkeypatch.setattr(module, "let_go", lambda: gone.append(True))
    task = module.Trimmed(abs)
    assert [task(-1), task(-2)] == [1, 2]
    assert gone == [True]
