"""What is a source's raster, what is not, and that it is said."""

import os
from pathlib import Path

import pytest

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.folder import raster_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "dem"
    path.mkdir()
    (path / "dem.tif").write_bytes(b"x")
    return path


def dead_link(path: Path) -> None:
    path.symlink_to("/gone/away.tif")


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [(Path.mkdir, "is a folder with a GeoTIFF's name"), (dead_link, "link to /gone/away.tif"), (pipe, "regular file")],
)
@pytest.mark.parametrize("name", ["a.tif", "a.TIFF"])
def test_what_has_a_rasters_name_and_is_no_file(
    folder: Path, make: object, said: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make(folder / name)  # type: ignore[operator]
    with pytest.raises(DataError, match=said) as error:
        raster_files(folder, BadFiles("error"))
    assert str(error.value).startswith(str(folder / name))
    skip = BadFiles("skip")
    assert [path.name for path in raster_files(folder, skip)] == ["dem.tif"]
    assert raster_files(folder, skip)
    assert skip.skipped == [name]
    assert len([message for message in caplog.messages if "skipped a bad file" in message]) == 1


def test_a_name_that_is_no_text_is_named(folder: Path) -> None:
    (folder / os.fsdecode(b"d\xe9m.tif")).write_bytes(b"x")
    with pytest.raises(DataError, match=r"d\\udce9m\.tif has a name that is not UTF-8; rename it"):
        raster_files(folder, BadFiles("error"))
    skip = BadFiles("skip")
    assert [path.name for path in raster_files(folder, skip)] == ["dem.tif"]
    assert skip.skipped == [r"d\udce9m.tif"]


def test_a_link_that_leads_somewhere_is_a_file(folder: Path) -> None:
    (folder / "link.tif").symlink_to(folder / "dem.tif")
    assert [path.name for path in raster_files(folder, BadFiles("error"))] == ["dem.tif", "link.tif"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dem.img", "1 files that are not named .tif in {folder} (first: dem.img): not used; convert them"),
        ("dem.tif.part", "1 files that are not named .tif in {folder} (first: dem.tif.part): not used; convert them"),
        ("dem.vrt", "1 files that are not named .tif in {folder} (first: dem.vrt): not used; convert them"),
        ("._dem.tif", "1 hidden GeoTIFFs in {folder} (first: ._dem.tif): not used; rename them"),
        ("n/34/w120.TIF", "1 GeoTIFFs in subfolders of {folder} (first: n/34/w120.TIF): not used; move them up"),
    ],
)
def test_what_is_not_used_is_said_once(folder: Path, name: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    bad = BadFiles("error")
    for _ in range(2):
        assert [path.name for path in raster_files(folder, bad)] == ["dem.tif"]
    assert [message.startswith(said.format(folder=folder)) for message in caplog.messages] == [True]


def test_a_linked_folder_is_looked_into_but_not_walked(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("disk/a.tif", "disk/deep/b.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "disk")
    raster_files(folder, BadFiles("error"))
    assert caplog.messages[0].startswith(f"1 GeoTIFFs in subfolders of {folder} (first: link/a.tif)")


def test_companions_need_no_word(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("dem.tif.aux.xml", "dem.tif.ovr", "dem.tif.msk", "dem.tfw", "README.md", ".DS_Store", "dem.TXT"):
        (folder / name).write_text("x")
    (folder / "notes").mkdir()
    raster_files(folder, BadFiles("error"))
    assert not caplog.messages


def test_a_folder_that_cannot_be_listed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"dem cannot be listed \(Permission denied\)"):
        raster_files(folder, BadFiles("error"))
