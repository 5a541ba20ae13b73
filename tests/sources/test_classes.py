import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from tests.one_window import read_soil

from mlssm.config.sources import ClassTable
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.classes import channel_name, check_same_tables, classes_of
from mlssm.sources.faults import BadFiles

FIRST = 3_300_000
GROUPS = ("A", "B/D", "C")


@pytest.fixture
def mukeys(area_files: Any) -> Any:
    """80 map units as gNATSGO has them, in 24 x 24 pixels."""
    codes = np.arange(24 * 24).reshape(24, 24) % 80 + FIRST
    return area_files.raster("soil/mukey.tif", codes.astype(np.uint32), nodata=None), codes


def table(root: Path, rows: pd.DataFrame, name: str = "soil/muaggatt.csv") -> ClassTable:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("parquet"):
        rows.to_parquet(root / name)
    else:
        rows.to_csv(root / name, index=False)
    return ClassTable(file=name)


def muaggatt(count: int = 80) -> pd.DataFrame:
    return pd.DataFrame({"MUKEY": FIRST + np.arange(count), "hydgrpdcd": [GROUPS[i % 3] for i in range(count)]})


@pytest.mark.parametrize("name", ["soil/muaggatt.csv", "soil/muaggatt.parquet"])
def test_map_units_become_hydrologic_groups(area_files: Any, small_grid: Grid, mukeys: Any, name: str) -> None:
    path, codes = mukeys
    bad = BadFiles("error")
    classes = classes_of(area_files.root, {}, table(area_files.root, muaggatt(), name), bad)
    assert classes.names == {1: "A", 2: "B_D", 3: "C"}
    found = read_soil([path], small_grid, small_grid.full, bad, classes)
    np.testing.assert_array_equal(found, (codes - FIRST) % 3 + 1)
    assert bad.corrections() == ()


def test_a_few_classes_by_name(area_files: Any, small_grid: Grid, mukeys: Any) -> None:
    path, codes = mukeys
    named = {FIRST + number: "sandy loam" if number < 40 else "clay" for number in range(80)}
    classes = classes_of(area_files.root, named, None, BadFiles("error"))
    assert classes.names == {1: "clay", 2: "sandy_loam"}
    found = read_soil([path], small_grid, small_grid.full, BadFiles("error"), classes)
    np.testing.assert_array_equal(found, np.where(codes - FIRST < 40, 2, 1))


def test_units_without_a_class_are_missing_with_a_line_and_no_unit_of_the_table_is_refused(
    area_files: Any, small_grid: Grid, mukeys: Any
) -> None:
    path, codes = mukeys
    rows = muaggatt(60)
    rows.loc[0, "hydgrpdcd"] = ""  # water
    bad = BadFiles("error")
    classes = classes_of(area_files.root, {}, table(area_files.root, rows), bad)
    found = read_soil([path], small_grid, small_grid.full, bad, classes)
    np.testing.assert_array_equal(np.isnan(found), (codes == FIRST) | (codes >= FIRST + 60))
    assert bad.corrections()[0].startswith("codes of which ")
    assert "muaggatt.csv (column hydgrpdcd) has no class (e.g. 3300000) were taken as missing" in bad.corrections()[0]

    rows["MUKEY"] += 1000
    other = classes_of(area_files.root, {}, table(area_files.root, rows), bad)
    with pytest.raises(DataError, match=r"mukey\.tif holds codes such as 3300000, and .* has a class for none of them"):
        read_soil([path], small_grid, small_grid.full, bad, other)


def test_map_units_without_a_table_are_refused_with_the_cure(small_grid: Grid, mukeys: Any) -> None:
    with pytest.raises(DataError, match=r"80 classes .*, more than 30; group .*datamodule\.soil=\{folder: soil, table"):
        read_soil([mukeys[0]], small_grid, small_grid.full, BadFiles("error"))


def test_more_than_30_named_classes_are_refused(area_files: Any, small_grid: Grid, mukeys: Any) -> None:
    many = {FIRST + number: f"series {number}" for number in range(80)}
    classes = classes_of(area_files.root, many, None, BadFiles("error"))
    from mlssm.sources.checks.soil import check_class_count

    found = read_soil([mukeys[0]], small_grid, small_grid.full, BadFiles("error"), classes)
    with pytest.raises(DataError, match="80 classes"):
        check_class_count(mukeys[0], np.unique(found))


def test_of_several_components_the_largest_is_taken_and_without_shares_none(area_files: Any) -> None:
    rows = pd.DataFrame(
        {
            "mukey": [1, 1, 1, 2],
            "hydgrp": ["A", "B", "B", "C"],
            "comppct_r": [50, 30, 25, 90],
        }
    )
    bad = BadFiles("error")
    classes = classes_of(area_files.root, {}, table(area_files.root, rows), bad)
    assert {code: classes.names[number] for code, number in classes.numbers.items()} == {1: "B", 2: "C"}
    assert "largest comppct_r was taken" in bad.corrections()[0]
    with pytest.raises(DataError, match="gives mukey 1 several classes in hydgrp"):
        classes_of(area_files.root, {}, table(area_files.root, rows.drop(columns="comppct_r")), bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.rename(columns={"MUKEY": "musym"}), r"no column that is known as its key .*table\.key"),
        (lambda rows: rows.rename(columns={"hydgrpdcd": "drain"}), r"no column that is known as its column .*drain"),
        (lambda rows: rows.assign(MUKEY="CA675"), "'CA675' in its column mukey, no whole number"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_told(area_files: Any, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classes_of(area_files.root, {}, table(area_files.root, change(muaggatt())), BadFiles("error"))


def test_a_table_that_cannot_be_read_is_told(area_files: Any) -> None:
    for name, content in (("no.csv", None), ("bad.parquet", b"PAR1"), ("bad.dbf", b"xx"), ("bad.tif.aux.xml", b"<a")):
        if content is not None:
            area_files.root.mkdir(exist_ok=True)
            (area_files.root / name).write_bytes(content)
        with pytest.raises(DataError, match=f"the table .*{name} cannot be read"):
            classes_of(area_files.root, {}, ClassTable(file=name), BadFiles("error"))


def write_dbf(path: Path, rows: dict[str, list[str]], width: int = 12) -> None:
    names, count = list(rows), len(next(iter(rows.values())))
    size = 1 + width * len(names)
    head = struct.pack("<BBBBIHH20x", 3, 126, 1, 1, count, 32 + 32 * len(names) + 1, size)
    fields = b"".join(name.encode().ljust(11, b"\0") + b"C" + bytes(4) + bytes([width]) + bytes(15) for name in names)
    body = b"".join(b" " + b"".join(rows[name][i].ljust(width).encode() for name in names) for i in range(count))
    path.write_bytes(head + fields + b"\r" + body + b"\x1a")


def write_attributes(path: Path, rows: dict[str, list[str]]) -> None:
    fields = "".join(f"<FieldDefn index='{i}'><Name>{name}</Name></FieldDefn>" for i, name in enumerate(rows))
    cells = ["".join(f"<F>{cell}</F>" for cell in row) for row in zip(*rows.values(), strict=True)]
    body = fields + "".join(f"<Row index='{i}'>{row}</Row>" for i, row in enumerate(cells))
    table = f"<GDALRasterAttributeTable>{body}</GDALRasterAttributeTable>"
    path.write_text(f"<PAMDataset><PAMRasterBand band='1'>{table}</PAMRasterBand></PAMDataset>", encoding="utf-8")


@pytest.mark.parametrize(("name", "write"), [("s.tif.vat.dbf", write_dbf), ("s.tif.aux.xml", write_attributes)])
def test_a_rasters_own_attribute_table_serves(area_files: Any, name: str, write: Any) -> None:
    area_files.root.mkdir()
    write(area_files.root / name, {"Value": ["1", "2", "3"], "Texture": ["loam", "clay", "loam"]})
    classes = classes_of(area_files.root, {}, ClassTable(file=name), BadFiles("error"))
    assert {code: classes.names[number] for code, number in classes.numbers.items()} == {
        1: "loam",
        2: "clay",
        3: "loam",
    }


def test_two_tiles_of_two_classifications_are_refused(area_files: Any) -> None:
    values, tmp_path, bad = np.ones((4, 4), np.uint8), area_files.root, BadFiles("error")
    tiles = [area_files.raster(f"{name}.tif", values, nodata=None) for name in "ab"]
    write_attributes(tmp_path / "a.tif.aux.xml", {"Value": ["1", "2"], "Class": ["loam", "clay"]})
    write_attributes(tmp_path / "b.tif.aux.xml", {"Value": ["2", "3"], "Class": ["clay", "sand"]})
    check_same_tables(tiles, bad)
    write_attributes(tmp_path / "b.tif.aux.xml", {"Value": ["2", "3"], "Class": ["sand", "clay"]})
    with pytest.raises(DataError, match=r"b\.tif calls class 2 'sand', and a\.tif 'clay'"):
        check_same_tables(tiles, bad)


def test_names_of_classes_are_those_of_channels() -> None:

    assert [channel_name(name) for name in ("B/D", "sandy loam", "silt-loam ")] == ["B_D", "sandy_loam", "silt_loam"]
    with pytest.raises(DataError, match="cannot be named"):
        channel_name("--")


def test_two_tiles_that_paint_a_class_in_two_colours_are_said(
    area_files: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tiles = []
    for name, colour in (("a", 200), ("b", 200), ("c", 10)):
        path = area_files.raster(f"{name}.tif", np.ones((4, 4), np.uint8), nodata=None)
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, {1: (colour, 0, 0, 255)})
        tiles.append(path)
    check_same_tables(tiles[:2], BadFiles("error"))
    assert caplog.text == ""
    check_same_tables(tiles, BadFiles("error"))
    assert "c.tif and a.tif paint class 1 in two colours: are they of one classification?" in caplog.text
