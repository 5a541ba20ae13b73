from pathlib import Path

import pytest
import xxhash

from mlssm.checksums import damaged, file_checksums, value_checksum


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files in folders, one of them empty, and one beside."""
    for name in ("a/a", "a/below/b c", "c/empty", "top"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 1000 if name != "c/empty" else b"")
    return tmp_path


def test_each_file_in_a_folder_has_its_digest(folder: Path) -> None:
    expected = xxhash.xxh3_128(b"a/a" * 1000).hexdigest()
    found = file_checksums(folder)
    assert list(found) == ["a/a", "a/below/b c", "c/empty"]
    assert found["a/a"] == expected


def test_nothing_is_damaged_as_it_was_written(folder: Path) -> None:
    written = file_checksums(folder)
    (folder / "a" / ".DS_Store").write_text("a file manager's")
    assert damaged(folder, written) == {}


def test_each_damaged_file_is_named_with_its_fault(folder: Path) -> None:
    written = file_checksums(folder)
    content = bytearray((folder / "a/below/b c").read_bytes())
    content[77] ^= 1
    (folder / "a/below/b c").write_bytes(content)
    (folder / "c/empty").unlink()
    (folder / "c/more").write_text("x")
    (folder / "a/a").unlink()
    (folder / "a/a").symlink_to("nowhere")
    assert damaged(folder, written) == {
        "a/a": "cannot be read (No such file or directory)",
        "a/below/b c": "does not hold what was written",
        "c/empty": "is gone",
        "c/more": "was not written with the others",
    }


def test_values_have_the_checksum_of_what_they_hold() -> None:
    assert value_checksum({"a": 1.0, "b": [1, 2]}) == value_checksum({"b": [1, 2], "a": 1.0})
    assert value_checksum({"a": 1.0}) != value_checksum({"a": 1.5})
