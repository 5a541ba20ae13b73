import gzip
import logging
import os
from pathlib import Path

import pytest

from mlssm.errors import DataError
from mlssm.sources.weather import csv_lines
from mlssm.sources.weather.csv_lines import read_csv_lines

PLAIN = 'A,B,Name\n1,2.5,"Town, CA"\n\n -3 ,,x\n'


def lines_of(folder: Path, content: bytes, name: str = "t.csv") -> list[list[str]]:
    (path := folder / name).write_bytes(content)
    found = read_csv_lines(path)
    return [list(found.columns), *([str(found.index[row]), *found.iloc[row]] for row in range(len(found)))]


EXPECTED = [["A", "B", "NAME"], ["2", "1", "2.5", "Town, CA"], ["4", "-3", "", "x"]]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.rstrip("\n").encode(),
        PLAIN.replace("A,B,Name", '"a", b , "NAME"').encode(),
        b'A;B;Name\n1;2,5;"Town, CA"\n\n-3;;x',
        b"A\tB\tName\n1\t2,5\tTown, CA\n\n-3\t\tx",
        b'A,B,Name\n1,2.5,"Town, CA",\n\n-3,,x,\n',
    ],
)
def test_ways_of_writing_the_same_lines(tmp_path: Path, content: bytes) -> None:
    assert lines_of(tmp_path, content) == EXPECTED


def test_a_compressed_file_and_names_of_other_alphabets(tmp_path: Path) -> None:
    assert lines_of(tmp_path, gzip.compress(PLAIN.encode()), "t.csv.GZ") == EXPECTED
    accents = PLAIN.replace("Town", "Montaña").encode("cp1252")
    assert lines_of(tmp_path, accents)[1][3] == "Montaña, CA"


def test_separators_that_the_header_lacks_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        lines_of(tmp_path, b"A,B\n1,2,\n3,4,\n")
    assert "lines end with separators that the header lacks" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\r\n", "is empty"),
        (b"A,B\n1,2\n3,\x00\x00\x00\n", "line 3: a byte 0x00, which no text has"),
        (b"A,B\n1\x02,2\n", "line 2: a byte 0x02"),
        (b"\x89PNG\r\n\x1a\n\x00", "which no text has|cannot be read as text"),
        (b"A,B\n1,\x81\x8d\n", "cannot be read as text"),
        (b"A,B,C\n1,2,3\n4,5\n", "line 3: 2 fields, while the header has 3: cut off"),
        (b"A,B\n1,2\n3,4,5\n", "line 3: 3 fields, while the header has 2: damaged"),
        (b'A,B\n"1,2\n3",4\n', "line 2: a quotation mark is not closed"),
        (b'A,B\n1,"2\n', "line 2: cannot be read as CSV|line 2: a quotation mark is not closed"),
        (b'A,B\n1,"2"x\n', "line 2: cannot be read as CSV"),
        (b"A,B,a\n1,2,3\n", "column A is there twice"),
        (b"A," + b"x" * 200_000 + b"\n1,2\n", "cannot be read as CSV"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"t\.csv.*({message})"):
        lines_of(tmp_path, content)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("nowhere")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in (("link", "a link to nothing"), ("folder", "not a file"), ("pipe", "not a file")):
        with pytest.raises(DataError, match=rf"{name}\.csv is {message}"):
            read_csv_lines(tmp_path / f"{name}.csv")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_what_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    (path := tmp_path / "t.csv").write_text(PLAIN)

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=rf"t\.csv: cannot be read \(.*{error.strerror}"):
        read_csv_lines(path)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-9], lambda raw: raw[:20] + b"\x00" * 9 + raw[29:], lambda raw: b"A"]
)
def test_damaged_compression_is_named(tmp_path: Path, damage: object) -> None:
    whole = gzip.compress(PLAIN.encode() * 20)
    with pytest.raises(DataError, match=r"t\.csv\.gz: cannot be read"):
        lines_of(tmp_path, damage(whole), "t.csv.gz")  # type: ignore[operator]


def test_a_file_that_unpacks_to_more_than_any_station_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "LARGEST_BYTES", 2 * 1024**2)
    with pytest.raises(DataError, match="holds more than 2 MB"):
        lines_of(tmp_path, gzip.compress(b"A,B\n" + b"1,2\n" * 1024**2), "t.csv.gz")
