import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlssm.provenance import digest, file_digests

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
