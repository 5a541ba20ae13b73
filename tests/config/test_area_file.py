"""`area.yaml`: read and written, and what is wrong with it told by its line."""

import datetime as dt
from pathlib import Path

import pytest

from mlssm.config import BackscatterConfig
from mlssm.config.area_file import AREA_FILE, AreaFile, FileProvenance, read_area_file, write_area_file
from mlssm.errors import ConfigError, DataError

WHOLE = r"""
format: 1
time_zone: America/Los_Angeles
backscatter:
  folder: radar
  pattern: S1_(?P<date>\d{8})_(?P<pass>ASC|DESC)\.tif
  time_of_day: {ascending: 14:06, descending: 01:59}
  units: dB*100
  bands: {VV: 1, VH: 2}
  incidence_band: 3
weather: stations
dem: {folder: dem.tif}
provenance:
- {name: "radar/*", licence: CC BY 4.0}
"""


def area(folder: Path, text: str) -> AreaFile | None:
    (folder / AREA_FILE).write_text(text, encoding="utf-8")
    return read_area_file(folder)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_area_file(tmp_path) is None
    found = area(tmp_path, WHOLE)
    assert found is not None
    assert found.backscatter is not None
    assert found.backscatter.time_of_day == {"ascending": "14:06", "descending": "01:59"}
    assert found.backscatter.bands == {"VV": 1, "VH": 2}
    assert (found.weather and found.weather.folder, found.soil) == ("stations", None)
    fetched = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    item = FileProvenance(name="radar/a.tif", licence="CC0", address="https://x/a.tif", size=3, retrieved=fetched)
    more = found.model_copy(update={"provenance": (*found.provenance, item)})
    assert write_area_file(tmp_path, more) == tmp_path / AREA_FILE
    assert read_area_file(tmp_path) == more
    assert [path.name for path in tmp_path.iterdir()] == [AREA_FILE]


def test_an_origins_section_is_written_without_what_is_not_known(tmp_path: Path) -> None:
    write_area_file(tmp_path, AreaFile(format=1, backscatter=BackscatterConfig(folder="sentinel1", units="linear")))
    text = (tmp_path / AREA_FILE).read_text(encoding="utf-8")
    assert text == "format: 1\nbackscatter:\n  folder: sentinel1\n  units: linear\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format: 1\nbackscatter:\n  folder: s\n  patern: x\n", "line 4: unknown .*patern'; did you mean 'pattern'?"),
        ("format: 1\nxyz: x\n", "line 2: unknown configuration key 'xyz'; take it away"),
        ("backscatter: s\n", "line 1: configuration key 'format' is missing"),
        ("format: 2\n", "line 1: format=2 is not allowed"),
        ("format: 1\nbackscatter:\n  folder: s\n  bands:\n    VV: 0\n", r"line 5: backscatter\.bands\.VV=0"),
        ("format: 1\nbackscatter:\n  folder: s\n  units: db\n", r"line 4: backscatter\.units='db' is not allowed"),
        ("format: 1\nbackscatter:\n  folder: s\n  bands: {VV: 1, VH: 1}\n", "line 2: .*name a band twice"),
        ("format: 1\nbackscatter:\n  folder: s\n  time_of_day: 25:00\n", "line 4: .*no time of day such as '14:06'"),
        (
            "format: 1\nprovenance:\n- name: a\n- {name: b, licence: c}\n",
            r"line 3: .*'provenance\.0\.licence' is missing",
        ),
        ("format: 1\nweather: a\nweather: b\n", "line 3: 'weather' stands twice; keep one"),
        ("format: [", "is not YAML"),
        ("", "holds no keys"),
        ("- a\n", "holds no keys"),
    ],
)
def test_a_fault_is_told_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        area(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / AREA_FILE))
    assert "\n" not in str(error.value)


def test_a_folder_may_be_left_to_be_found(tmp_path: Path) -> None:
    found = area(tmp_path, "format: 1\nbackscatter: {units: dB*100}\n")
    assert found is not None
    assert found.backscatter == BackscatterConfig(folder="auto", units="dB*100")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / AREA_FILE).write_bytes(b"format: 1\nweather: \xff\n")
    with pytest.raises(DataError, match=r"area\.yaml cannot be read"):
        read_area_file(tmp_path)
    (tmp_path / AREA_FILE).unlink()
    (tmp_path / AREA_FILE).symlink_to("/gone/area.yaml")
    with pytest.raises(DataError, match=r"area\.yaml cannot be read"):
        read_area_file(tmp_path)


def test_the_example_in_the_documentation_has_every_key(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    found = area(tmp_path, example)
    assert found is not None
    assert found.backscatter is not None
    set_keys = found.backscatter.model_dump(exclude_none=True).keys()
    assert BackscatterConfig.model_fields.keys() - set_keys == {"incidence_band"}  # which excludes others
    assert "incidence_band: 3" in example
    # `request` is written by what fetched the files, and by nobody else
    assert AreaFile.model_fields.keys() - {"request"} == found.model_dump(exclude_none=True).keys()
    assert all(key in example for key in FileProvenance.model_fields)
