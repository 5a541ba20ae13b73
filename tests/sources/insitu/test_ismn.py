import shutil
from pathlib import Path

import numpy as np
import pytest

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.insitu.ismn_archive import read_ismn
from mlssm.sources.insitu.read import read_ground

SURFACE = (0.0, 0.05)
VALUES = [0.2, 0.21, 0.22, 0.5, 0.23]
FLAGS = ["G", "G", "D01,D03", "C02", "G"]


@pytest.mark.parametrize("form", ["header_values", "ceop_sep"])
@pytest.mark.parametrize("zipped", [False, True])
def test_values_count_that_are_flagged_as_good(archive, tmp_path: Path, form: str, zipped: bool, capsys) -> None:
    archive.write("A", VALUES, FLAGS, form=form)
    archive.write("A", VALUES, depth=(0.2, 0.2), form=form)
    archive.write("A", [5, 4, 3, 2, -1], variable="ts", form=form)
    place = archive.root
    if zipped:
        place = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", archive.root))
    before = sorted(archive.root.rglob("*"))
    (sensor,) = read_ismn(place, SURFACE, BadFiles("error"))
    assert sensor.station == "NET A"
    assert (sensor.longitude, sensor.latitude) == (-119.85, 34.45)
    assert sensor.depth == (0.05, 0.05)
    np.testing.assert_array_equal(sensor.moisture, [0.2, 0.21, np.nan, np.nan, 0.23])
    np.testing.assert_array_equal(sensor.temperature, [5, 4, 3, 2, -1])
    assert str(sensor.times[1]) == "2021-01-01T01:00:00"
    assert not sensor.daily
    assert sensor.refused == 2
    # nothing is written into the user's folder, and nothing printed
    assert sorted(archive.root.rglob("*")) == before
    assert capsys.readouterr().out == ""


def test_each_sensor_and_station_is_its_own(archive) -> None:
    archive.write("A", VALUES)
    archive.write("A", [0.1] * 5, instrument="Other", depth=(0, 0.05))
    archive.write("B", VALUES, place=(-119.8, 34.4), network="NET2")
    found = read_ground(archive.root, None, SURFACE, BadFiles("error"))
    assert [(sensor.station, sensor.name) for sensor in found] == [
        ("NET A", "Other 0 to 0.05 m"),
        ("NET A", "Hydraprobe 0.05 to 0.05 m"),
        ("NET2 B", "Hydraprobe 0.05 to 0.05 m"),
    ]
    # without a sensor of temperature it is not known
    assert np.isnan(found[0].temperature).all()


def test_a_file_that_the_reader_passes_over_is_told(archive) -> None:
    archive.write("A", VALUES)
    path = archive.write("B", VALUES)
    path.write_text("nothing of the kind\n")
    with pytest.raises(DataError, match=r"NET_NET_B_sm.*cannot be read as a file of ISMN"):
        read_ground(archive.root, None, SURFACE, BadFiles("error"))
    bad = BadFiles("skip")
    assert [sensor.station for sensor in read_ground(archive.root, None, SURFACE, bad)] == ["NET A"]
    assert bad.skipped == [path.name]


def test_no_sensor_of_the_wanted_depth_is_told(archive) -> None:
    archive.write("A", VALUES, depth=(0.1, 0.1))
    with pytest.raises(DataError, match=r"no soil moisture between 0 and 0.05 m"):
        read_ground(archive.root, None, SURFACE, BadFiles("error"))
    assert len(read_ground(archive.root, None, (0.0, 0.1), BadFiles("error"))) == 1


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    place = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "in"))
    with pytest.raises(DataError, match=r"has no files of ISMN"):
        read_ground(place, None, SURFACE, BadFiles("error"))
