"""The lines of a CSV file as text, checked one by one: what is damaged is refused, and nothing is guessed of it."""

from __future__ import annotations

import csv
import gzip
import logging
import re
import zlib
from pathlib import Path

import pandas as pd

from mlssm.errors import DataError

log = logging.getLogger(__name__)

DELIMITERS = ",;\t"
LARGEST_BYTES = 256 * 1024**2  # unpacked; two centuries of all elements of a station are a tenth of it
END_OF_LINE = re.compile(r"\r\n|\r|\n")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
REPLACE = "replace the file, or leave it out with on_bad_file=skip"


def read_csv_lines(path: Path) -> pd.DataFrame:
    """Read a CSV, also one that is compressed by gzip.

    Commas, semicolons and tabs separate columns, whichever the header has most of; where it is no comma, a number may
    have a decimal comma. Encodings are UTF-8 and UTF-16 with their marks, else Windows-1252: what is read is ASCII.

    Args:
        path: The file; `.gz` at its end says that it is compressed.

    Returns:
        Text without blanks around it, columns named in capital letters; the index is the line's number in the file.

    Raises:
        DataError: It is no file, cannot be read, is empty or damaged, a line has another number of columns than the
            header, or two columns have one name.
    """
    lines = END_OF_LINE.split(_text(path))
    delimiter = max(DELIMITERS, key=lines[0].count)
    numbers, rows = _rows(path, lines, delimiter)
    if not rows:
        raise DataError(f"{path} is empty; {REPLACE}")
    header = [name.upper() for name in rows[0]]
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        raise DataError(f"{path}: column {min(twice)} is there twice; remove one")
    body = [_fitted(path, number, row, len(header)) for number, row in zip(numbers[1:], rows[1:], strict=True)]
    if any(len(row) > len(header) for row in rows[1:]):
        log.info(
            "%s: lines end with separators that the header lacks; the columns are taken in the header's order", path
        )
    found = pd.DataFrame(body, index=numbers[1:], columns=header, dtype=str)
    return found if delimiter == "," else found.apply(_with_points)


def _text(path: Path) -> str:
    raw = _bytes(path)
    if not raw.strip():
        raise DataError(f"{path} is empty; {REPLACE}")
    try:
        text = _decoded(raw)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read as text ({error}); {REPLACE}") from error
    damage = CONTROL.search(text)
    if damage:
        line = len(END_OF_LINE.findall(text[: damage.start()])) + 1
        raise DataError(
            f"{path}, line {line}: a byte {ord(damage.group()):#04x}, which no text has: damaged; {REPLACE}"
        )
    return text


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        what = "a link to nothing" if path.is_symlink() else "not a file"
        raise DataError(f"{path} is {what}; replace it or remove it")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); {REPLACE}") from error
    if len(raw) > LARGEST_BYTES:
        raise DataError(f"{path} holds more than {LARGEST_BYTES // 1024**2} MB: no station's daily file; {REPLACE}")
    return raw


def _decoded(raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def _rows(path: Path, lines: list[str], delimiter: str) -> tuple[list[int], list[list[str]]]:
    """The lines that are not blank and their numbers."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    numbers: list[int] = []
    rows: list[list[str]] = []
    before = 0
    try:
        for row in reader:
            if reader.line_num != before + 1:
                raise DataError(f"{path}, line {before + 1}: a quotation mark is not closed; {REPLACE}")
            before = reader.line_num
            stripped = [field.strip() for field in row]
            if any(stripped):
                numbers.append(before)
                rows.append(stripped)
    except csv.Error as error:
        raise DataError(f"{path}, line {before + 1}: cannot be read as CSV ({error}); {REPLACE}") from error
    return numbers, rows


def _fitted(path: Path, number: int, row: list[str], columns: int) -> list[str]:
    """A line with as many fields as the header; empty ones beyond it are what a separator at the end makes."""
    if len(row) < columns or any(row[columns:]):
        what = "cut off or damaged" if len(row) < columns else "damaged"
        raise DataError(f"{path}, line {number}: {len(row)} fields, while the header has {columns}: {what}; {REPLACE}")
    return row[:columns]


def _with_points(column: pd.Series[str]) -> pd.Series[str]:
    return column.str.replace(r"^([+-]?\d+),(\d+)$", r"\1.\2", regex=True)
