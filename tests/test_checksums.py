import subprocess
from pathlib import Path

import pytest

from mlssm.checksums import LIST, damaged, write_checksums
from mlssm.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three files, one of them empty, with their checksums."""
    (tmp_path / "below").mkdir()
    for name in ("a", "below/b c", "empty"):
        (tmp_path / name).write_bytes(name.encode() * 1000 if name != "empty" else b"")
    write_checksums(tmp_path)
    return tmp_path


def test_nothing_is_damaged_as_it_was_written(folder: Path) -> None:
    (folder / "below" / ".DS_Store").write_text("a file manager's")
    assert damaged(folder) == {}


def test_each_damaged_file_is_named_with_its_fault(folder: Path) -> None:
    content = bytearray((folder / "below" / "b c").read_bytes())
    content[77] ^= 1
    (folder / "below" / "b c").write_bytes(content)
    (folder / "empty").unlink()
    (folder / "more").write_text("x")
    (folder / "a").unlink()
    (folder / "a").mkdir()  # what cannot be read
    (folder / "a" / "d").write_text("x")
    assert damaged(folder) == {
        "a": "is gone",
        "a/d": "was not written with the others",
        "below/b c": "does not hold what was written",
        "empty": "is gone",
        "more": "was not written with the others",
    }


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "a").unlink()
    (folder / "a").symlink_to("nowhere")
    assert damaged(folder) == {"a": "cannot be read (No such file or directory)"}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"abc  a\n", b"\n"])
def test_a_list_that_is_damaged_itself_is_refused(folder: Path, content: bytes) -> None:
    (folder / LIST).write_bytes(content)
    with pytest.raises(DataError, match=rf"{LIST} (is damaged itself: line 1|cannot be read)"):
        damaged(folder)
    (folder / LIST).unlink()
    with pytest.raises(DataError, match=rf"{LIST} is gone, or was never written"):
        damaged(folder)


def test_gnu_coreutils_read_the_same_list(folder: Path) -> None:
    try:
        done = subprocess.run(["b2sum", "--check", LIST], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("b2sum is not installed")
    assert (done.returncode, done.stdout.count(": OK\n")) == (0, 3)
