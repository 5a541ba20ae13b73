"""Which class each code of a raster is of, by a table: so that map units (mukey) become few classes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config.sources import ClassTable
from mlssm.errors import DataError
from mlssm.sources.dbf import read_dbf
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.opening import opened

# columns as agencies name them, the first that is there: of codes; of classes; of a component's share of its map unit
KEYS = ("mukey", "value", "code", "gridcode")
COLUMNS = ("hydgrpdcd", "hydgrp", "hydrologic_group", "hydgrp_dcd", "texcl", "texture", "class_name", "class", "name")
PERCENT = "comppct_r"
# what stands for no class in such a table
NOTHING = ("", "nan", "none", "null", "<null>", "na", "n/a")
XML = ".aux.xml"


@dataclass(frozen=True)
class Classes:
    """Which class each code is of.

    Attributes:
        numbers: Of each code the number of its class; empty where each code is a class of its own.
        names: Of each number its class's name, as it stands in channels.
        origin: Where that is from, for messages.
    """

    numbers: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    origin: str = ""

    def of(self, codes: Array) -> Array:
        """The class numbers of codes; NaN where the table has no class."""
        if not self.numbers:
            return codes
        known, places = np.unique(codes, return_inverse=True)
        return np.asarray(self._numbers(known)[places].reshape(codes.shape), np.float32)

    def check(self, path: Path, known: Array, bad: BadFiles) -> None:
        """Say which of a raster's codes have no class.

        Args:
            path: The raster.
            known: Its codes, each once.
            bad: Takes note of it.

        Raises:
            DataError: None of them has.
        """
        lost = known[np.isnan(self._numbers(known))]
        if lost.size and lost.size == known.size:
            raise DataError(f"{path} holds codes such as {lost[0]:.0f}, and {self.origin} has a class for none of them")
        if lost.size:
            bad.correct(path, f"codes of which {self.origin} has no class (e.g. {lost[0]:.0f}) were taken as missing")

    def _numbers(self, codes: Array) -> npt.NDArray[np.float64]:
        return np.array([self.numbers.get(int(code), np.nan) if np.isfinite(code) else np.nan for code in codes], float)


def classes_of(root: Path, named: Mapping[int, str], table: ClassTable | None, bad: BadFiles) -> Classes:
    """The classes of a source.

    Args:
        root: The area's folder.
        named: Name of each code's class, as the configuration has it.
        table: Or the file that has it.
        bad: Takes note of what is doubtful.

    Raises:
        DataError: The file cannot be read, or lacks a column; a code has two classes; a name has no letter or digit.
    """
    if table is None:
        return _numbered(named, "the configuration's 'classes'")
    path = root / table.file
    rows = _rows(path)
    key, column = _column(path, rows, table.key, KEYS, "key"), _column(path, rows, table.column, COLUMNS, "column")
    return _numbered(_by_code(path, rows, key, column, bad), f"{path} (column {column})")


def _numbered(named: Mapping[int, str], origin: str) -> Classes:
    channels = {code: channel_name(name) for code, name in named.items()}
    names = sorted(set(channels.values()))
    numbers = {name: number for number, name in enumerate(names, 1)}
    by_code = {code: numbers[name] for code, name in channels.items()}
    return Classes(by_code, {number: name for name, number in numbers.items()}, origin)


def channel_name(name: str) -> str:
    """A class's name as it stands in channels: letters, digits and _.

    Raises:
        DataError: Nothing is left of it.
    """
    found = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    if not found or found == "available":
        raise DataError(f"a class cannot be named {name!r}; give it letters or digits")
    return found


def _rows(path: Path) -> pd.DataFrame:
    """A table's columns as text, names in small letters."""
    try:
        rows = _read(path)
    except (OSError, ValueError, pd.errors.ParserError, ElementTree.ParseError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"the table {path} cannot be read ({reason}); give CSV, parquet, .dbf or .aux.xml") from None
    rows.columns = [str(name).strip().lower() for name in rows.columns]
    return rows


def _read(path: Path) -> pd.DataFrame:
    if path.name.lower().endswith(XML):
        return pd.DataFrame(attribute_table(path))
    if path.suffix.lower() == ".dbf":
        return pd.DataFrame(read_dbf(path))
    if path.suffix.lower() in (".parquet", ".pq"):
        return pd.read_parquet(path)
    # the separator is the one of the first line; what is empty stays text
    return pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False, encoding="utf-8-sig")


def attribute_table(path: Path) -> dict[str, list[str]]:
    """The columns of the raster attribute table in GDAL's `.aux.xml`; none where it has no such table."""
    table = ElementTree.parse(path).getroot().find(".//GDALRasterAttributeTable")
    if table is None:
        return {}
    names = [field.findtext("Name", "") for field in table.findall("FieldDefn")]
    rows = [[cell.text or "" for cell in row.findall("F")] for row in table.findall("Row")]
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _column(path: Path, rows: pd.DataFrame, wanted: str | None, usual: Sequence[str], key: str) -> str:
    names = [wanted.lower()] if wanted else usual
    found = next((name for name in names if name in rows.columns), None)
    if found is None:
        told = f"no column '{wanted}'" if wanted else f"no column that is known as its {key} ({', '.join(usual)})"
        raise DataError(f"{path} has {told}; it has {', '.join(rows.columns) or 'none'}: name one with table.{key}")
    return found


def _by_code(path: Path, rows: pd.DataFrame, key: str, column: str, bad: BadFiles) -> dict[int, str]:
    """The class of each code; of a map unit with several components that of the largest share."""
    codes = pd.to_numeric(rows[key], errors="coerce")
    if codes.isna().any() or (codes % 1 != 0).any():
        strange = rows[key][codes.isna() | (codes % 1 != 0)].iloc[0]
        raise DataError(f"{path} has {strange!r} in its column {key}, no whole number; name the column of the codes")
    names = rows[column].astype(str).str.strip()
    kept = ~names.str.lower().isin(NOTHING)
    table = pd.DataFrame({"code": codes.astype("int64"), "name": names})[kept]
    if not table.groupby("code")["name"].nunique().gt(1).any():
        return dict(zip(table["code"], table["name"], strict=True))
    if PERCENT not in rows.columns:
        code = table.groupby("code")["name"].nunique().idxmax()
        raise DataError(f"{path} gives {key} {code} several classes in {column}; give one a {key}, or a {PERCENT}")
    bad.correct(path, f"of a {key} with several components, the class with the largest {PERCENT} was taken")
    table["share"] = pd.to_numeric(rows[PERCENT][kept], errors="coerce").fillna(0)
    sums = table.groupby(["code", "name"])["share"].sum().reset_index().sort_values(["share", "name"])
    return dict(zip(sums["code"], sums["name"], strict=True))  # the largest comes last


def check_same_tables(paths: Iterable[Path], bad: BadFiles) -> None:
    """Refuse tiles whose own attribute tables give one code two classes, and say where they paint one in two colours.

    Raises:
        DataError: Two do.
    """
    seen: dict[str, tuple[str, Path]] = {}
    painted: dict[int, tuple[tuple[int, ...], Path]] = {}
    for path in paths:
        with bad.handled(path):
            _say_other_colours(path, painted, bad)
        beside = path.with_name(path.name + XML)
        if not beside.is_file():
            continue
        columns = {name.lower(): values for name, values in _attributes(beside).items()}
        key = next((columns[name] for name in KEYS if name in columns), [])
        name = next((columns[name] for name in COLUMNS if name in columns), [])
        for code, class_name in zip(key, name, strict=False):
            other, place = seen.setdefault(code, (class_name, path))
            if other != class_name:
                raise DataError(
                    f"{path} calls class {code} {class_name!r}, and {place.name} {other!r}: two classifications in one "
                    "folder; bring them to one, or leave one of them"
                )


def _say_other_colours(path: Path, painted: dict[int, tuple[tuple[int, ...], Path]], bad: BadFiles) -> None:
    for code, colour in _colours(path).items():
        other, place = painted.setdefault(code, (colour, path))
        if other != colour:
            bad.say(f"{path} and {place.name} paint class {code} in two colours: are they of one classification?")
            return


def _colours(path: Path) -> dict[int, tuple[int, ...]]:
    with opened(path) as source:
        try:
            table: dict[int, tuple[int, ...]] = source.colormap(1)
        except ValueError:  # it has none
            return {}
    return {code: colour for code, colour in table.items() if any(colour[:3])}  # what is unused is black


def _attributes(path: Path) -> dict[str, list[str]]:
    try:
        return attribute_table(path)
    except (OSError, ElementTree.ParseError):
        return {}  # GDAL does without it, too
