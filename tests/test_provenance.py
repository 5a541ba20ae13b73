import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm import provenance
from mlssm.provenance import FileDigests, digest, name_below


def file_digests(root: Path, paths: Iterable[Path], memory: Path | None = None) -> dict[str, str]:
    digests = FileDigests(memory)
    found = {name_below(root, path): digests.of(path) for path in sorted(paths)}
    digests.keep()
    return found


SETTINGS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5)


def test_files_are_known_by_their_content_and_their_place_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "area"
    for name in ("b/x.tif", "a/x.tif"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(name)
    found = file_digests(root, [root / "b/x.tif", root / "a/x.tif"])
    assert list(found) == ["a/x.tif", "b/x.tif"]
    assert found["a/x.tif"] == hashlib.sha256(b"a/x.tif").hexdigest()


def test_files_of_one_name_elsewhere_do_not_hide_each_other(tmp_path: Path) -> None:
    paths = [tmp_path / "dem" / "x.tif", tmp_path / "soil" / "x.tif"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    assert len(file_digests(tmp_path / "area", paths)) == 2


@given(SETTINGS)
def test_the_order_of_keys_does_not_matter(settings: dict[str, object]) -> None:
    assert digest(settings) == digest(dict(reversed(settings.items())))


@given(SETTINGS, st.text(max_size=5), st.integers())
def test_another_value_is_another_digest(settings: dict[str, object], key: str, value: int) -> None:
    changed = settings | {key: value}
    assert (digest(changed) == digest(settings)) == (changed == settings)


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, memory = tmp_path / "dem.tif", tmp_path / "cubes" / "digests.json"
    file.write_bytes(b"one")
    _settle(file)
    first = file_digests(tmp_path, [file], memory)
    read: list[Path] = []
    monkeypatch.setattr(provenance, "sha256", lambda path: read.append(path) or "read")
    assert file_digests(tmp_path, [file], memory) == first
    assert read == []
    assert file_digests(tmp_path, [file]) == {"dem.tif": "read"}  # without a memory all are read


@pytest.mark.parametrize("content", [b"two", b"three"])
def test_a_changed_file_is_always_noticed(tmp_path: Path, content: bytes) -> None:
    file, memory = tmp_path / "dem.tif", tmp_path / "digests.json"
    file.write_bytes(b"one")
    _settle(file)
    first = file_digests(tmp_path, [file], memory)
    file.write_bytes(content)  # also at once, and with the same size
    assert file_digests(tmp_path, [file], memory) != first
    file.unlink()
    file.write_bytes(b"one")
    assert file_digests(tmp_path, [file], memory) == first


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    file, memory = tmp_path / "dem.tif", tmp_path / "digests.json"
    file.write_bytes(b"one")
    file_digests(tmp_path, [file], memory)
    assert not memory.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b"\xff"])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, content: bytes) -> None:
    file, memory = tmp_path / "dem.tif", tmp_path / "digests.json"
    file.write_bytes(b"one")
    _settle(file)
    memory.write_bytes(content)
    assert file_digests(tmp_path, [file], memory) == file_digests(tmp_path, [file])
    assert json.loads(memory.read_bytes()).keys() == {str(file)}


def _settle(path: Path) -> None:
    """Let it have been changed an hour ago."""
    then = time.time() - 3600
    os.utime(path, (then, then))
