import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlssm import files
from mlssm.files import disk_fault, naming, whole_file, whole_or_nothing


def partials(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.partial"))


def test_a_block_that_ends_well_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cube.zarr"
    with whole_or_nothing(path) as partial:
        assert not partial.exists()  # the block makes it
        partial.mkdir()
        (partial / "a").write_text("1")
        assert not path.exists()
    assert (path / "a").read_text() == "1"
    assert partials(path.parent) == []


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, kind: type[BaseException]) -> None:
    def write() -> None:
        with whole_or_nothing(tmp_path / "cube") as partial:
            partial.mkdir()
            (partial / "a").write_text("1")
            raise kind

    with pytest.raises(kind):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_or_nothing(tmp_path / "cube"):
        pass


def test_the_faster_of_two_writers_stays(tmp_path: Path) -> None:
    path = tmp_path / "cube"
    with whole_or_nothing(path) as slow:
        slow.mkdir()
        (slow / "a").write_text("slow")
        with whole_or_nothing(path) as fast:
            fast.mkdir()
            (fast / "a").write_text("fast")
    assert (path / "a").read_text() == "fast"
    assert partials(tmp_path) == []


def test_threads_do_not_share_a_partial_folder(tmp_path: Path) -> None:
    found: list[Path] = []

    def write(number: int) -> None:
        with whole_or_nothing(tmp_path / f"cube{number % 2}") as partial:
            partial.mkdir()
            found.append(partial)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cube0", "cube1"]


WRITER = """
import os, pathlib, sys
from mlssm.files import disk_fault, naming, whole_or_nothing
with whole_or_nothing(pathlib.Path(sys.argv[1])) as partial:
    partial.mkdir()
    (partial / "half").write_text("written")
    os.kill(os.getpid(), 9)
"""


def test_a_killed_writer_leaves_no_folder_and_the_next_writing_sweeps_its_remains(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", WRITER, tmp_path / "cube"], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "cube").exists()
    assert len(partials(tmp_path)) == 1
    with whole_or_nothing(tmp_path / "another") as partial:
        assert partials(tmp_path) == []
        partial.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def test_a_file_is_replaced_when_its_block_ends_well_and_stays_where_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "new" / "map.tif"

    def write(text: str, *, fails: bool = False) -> None:
        with whole_file(path) as made:
            made.write_text(text)
            made.with_name("staged").write_text("a step on the way")
            assert not path.exists() or path.read_text() == "one"
            if fails:
                raise KeyboardInterrupt

    write("one")
    with pytest.raises(KeyboardInterrupt):
        write("broken", fails=True)
    assert path.read_text() == "one"
    write("two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_what_may_still_be_written_is_not_swept(tmp_path: Path) -> None:
    here = files._host()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [
        f".cube.{here}.{child.pid}.0123abcd.partial",  # runs
        f".cube.{here}.{os.getpid()}.0123abcd.partial",  # this process, perhaps another thread
        f".cube.{here}.1.0123abcd.partial",  # runs, but belongs to someone else
        f".cube.elsewhere{here}.{gone.pid}.0123abcd.partial",  # another machine's
        f"cube.{here}.{gone.pid}.0123abcd.partial",  # not one of ours
    ]
    swept = f".cube.zarr.{here}.{gone.pid}.0123abcd.partial"
    for name in [*kept, swept]:
        (tmp_path / name).mkdir()
    with whole_or_nothing(tmp_path / "new") as partial:
        partial.mkdir()
    child.communicate(b"\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "new"])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "x", "/d/a.ckpt"), "/d/a.ckpt: No space left on device; free some space there"),
        (OSError(errno.EROFS, "x", "maps"), "maps: Read-only file system; choose a folder that can be written"),
        (PermissionError(errno.EACCES, "x", "maps"), "maps: Permission denied; choose a folder that you may write"),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), "disk is full; free some space there"),
        (RuntimeError("attempt to write a readonly database\n[SQL: x]"), "readonly database; choose a folder"),
    ],
)
def test_a_fault_of_the_disk_is_told_with_its_cure(error: Exception, told: str) -> None:
    wrapped = ValueError("somewhere above")
    wrapped.__cause__ = error
    for found in (error, wrapped):
        line = disk_fault(found)
        assert line is not None
        assert told in line
        assert "\n" not in line


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "x", "a"), ValueError("a"), OSError("a"), None])
def test_other_errors_are_none_of_the_disk(error: Exception | None) -> None:
    assert disk_fault(error) is None


def test_a_full_disk_names_the_file_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as raised, naming(path), path.open("wb") as file:
        file.write(b"x" * 100)
    assert disk_fault(raised.value) == f"{path}: No space left on device; free some space there"
