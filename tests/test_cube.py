import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import mlssm
from mlssm import cli
from mlssm.cube import ANGLE_SCALE, BACKSCATTER_SCALE, FILL, NDVI_SCALE, Cube, pack, unpack
from mlssm.errors import DataError
from mlssm.jobs.verify import verify
from mlssm.manifest import FORMAT
from mlssm.prepare.area import prepare


@given(
    arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(-3, 3, width=32)),
    st.sampled_from([BACKSCATTER_SCALE, ANGLE_SCALE, NDVI_SCALE]),
)
def test_packing_loses_at_most_half_a_step(values: Any, scale: float) -> None:
    packed = pack(values, scale)
    assert packed.dtype == np.int16
    assert np.abs(unpack(packed, scale) - values).max() <= scale / 2 + 1e-6


@given(arrays(np.int16, 6), st.sampled_from([BACKSCATTER_SCALE, NDVI_SCALE]))
def test_unpacking_then_packing_is_the_same(packed: Any, scale: float) -> None:
    np.testing.assert_array_equal(pack(unpack(packed, scale), scale), packed)


def test_missing_stays_missing_and_what_is_too_large_is_cut_but_never_missing() -> None:
    packed = pack(np.array([np.nan, 1e6, -1e6, np.inf, -np.inf, 0], np.float32), 0.01)
    assert packed.tolist() == [FILL, 32767, -32767, 32767, -32767, 0]
    assert np.isnan(unpack(packed, 0.01)).tolist() == [True, False, False, False, False, False]


@pytest.fixture(scope="module")
def prepared(area_files_in: Any, speckled: Any, tmp_path_factory: pytest.TempPathFactory) -> Cube:
    """Two passes of one burst; VH is missing in the second."""
    area_files = area_files_in(tmp_path_factory.mktemp("prepared"))
    area_files.weather()
    area_files.image(speckled)
    area_files.image(speckled / 5, pol="VH")
    area_files.image(speckled, "20230113T015902")
    return prepare(area_files.config(), "error")


@pytest.fixture
def cube(prepared: Cube, tmp_path: Path) -> Cube:
    """A copy of it, to be changed."""
    path = tmp_path / "cubes" / prepared.path.name
    shutil.copytree(prepared.path, path)
    return Cube(path, prepared.manifest)


def test_arrays_are_read_as_they_were_written(cube: Cube, speckled: Any) -> None:
    expected = 10 * np.log10(speckled)
    (extent,) = cube.extents
    np.testing.assert_allclose(cube.backscatter(0, "VV", extent), expected, atol=0.00501)
    np.testing.assert_allclose(cube.backscatter(0, "VH", extent), expected - 10 * np.log10(5), atol=0.00501)
    assert np.isnan(cube.backscatter(1, "VH", extent)).all()
    inner = type(extent)(3, 4, 5, 6)
    np.testing.assert_array_equal(cube.backscatter(1, "VV", inner), cube.backscatter(1, "VV", extent)[3:8, 4:10])
    assert cube.times.astype(str).tolist() == ["2023-01-01T01:59:02", "2023-01-13T01:59:02"]
    assert cube.orbits.tolist() == [137, 137]
    assert cube.incidence(137, extent) is None
    assert cube.ndvi_days.size == 0


def test_the_weather_comes_back_with_its_stations(cube: Cube) -> None:
    weather = cube.weather
    assert weather.ids == ("S0", "S1")
    assert (weather.days[0], len(weather.days)) == (np.datetime64("2022-12-01"), 40)
    rain = weather.values[:, 0, weather.variables.index("precipitation")]
    np.testing.assert_allclose(rain[:3], [0, 0.7, 1.4])
    x, y = cube.grid.project(weather.longitude, weather.latitude)
    np.testing.assert_allclose(cube.station_xy, np.stack([x, y], axis=1))


def test_another_polarisation_names_those_that_are_there(cube: Cube) -> None:
    with pytest.raises(DataError, match=r"retrieval\.polarisation=HH is not in the images; they have VV, VH"):
        cube.backscatter(0, "HH", cube.extents[0])


def test_opening_what_is_no_cube(cube: Cube, tmp_path: Path) -> None:
    assert Cube.open(cube.path) == cube
    with pytest.raises(DataError, match=r"there is no cube at .*nothing"):
        Cube.open(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"there is no cube at .*file"):
        Cube.open(tmp_path / "file")
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(DataError, match=rf"other\.zarr has cube format None, not {FORMAT}; delete it"):
        Cube.open(tmp_path / "other.zarr")
    zarr.create_group(tmp_path / "young.zarr", attributes={"format": FORMAT})
    with pytest.raises(DataError, match=r"young\.zarr is no whole cube: its attribute 'mlssm' is missing or wrong"):
        Cube.open(tmp_path / "young.zarr")
    zarr.create_array(tmp_path / "array.zarr", shape=(1,), dtype="int8")
    with pytest.raises(DataError, match=r"array\.zarr is not a zarr group"):
        Cube.open(tmp_path / "array.zarr")
    (cube.path / "zarr.json").write_text('{"zarr_format": 3')
    with pytest.raises(DataError, match="is not a zarr group"):
        Cube.open(cube.path)


def test_a_cube_of_another_format_is_refused(cube: Cube) -> None:
    path = cube.path / "zarr.json"
    meta = json.loads(path.read_text())
    meta["attributes"]["format"] = 99
    path.write_text(json.dumps(meta))
    with pytest.raises(DataError, match=f"has cube format 99, not {FORMAT}; delete it"):
        Cube.open(cube.path)


def files_of(cube: Cube, array: str) -> list[Path]:
    return sorted(path for path in (cube.path / array).rglob("*") if path.is_file())


@pytest.mark.parametrize("array", ["weather", "backscatter", "day", "station", "time"])
def test_a_cube_that_has_lost_a_chunk_is_refused(cube: Cube, array: str) -> None:
    chunk = next(path for path in files_of(cube, array) if path.name != "zarr.json")
    content = chunk.read_bytes()
    chunk.unlink()
    with pytest.raises(DataError, match=rf"is not whole: array '{array}' has .* copy it again, or delete it"):
        Cube.open(cube.path)
    chunk.write_bytes(content[:-1])
    with pytest.raises(DataError, match=rf"is not whole: array '{array}'"):
        Cube.open(cube.path)
    chunk.write_bytes(content)
    assert Cube.open(cube.path) == cube


def test_a_cube_that_has_lost_an_array_is_refused(cube: Cube) -> None:
    shutil.rmtree(cube.path / "weather")
    with pytest.raises(DataError, match="array 'weather' has 0 files of 0 bytes"):
        Cube.open(cube.path)


def test_what_a_file_manager_leaves_in_a_cube_is_no_fault(cube: Cube) -> None:
    (cube.path / "weather" / ".DS_Store").write_text("x")
    assert Cube.open(cube.path) == cube


def damage(path: Path, at: int) -> None:
    """Flip one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


READS = {
    "backscatter": lambda cube: cube.backscatter(0, "VV", cube.extents[0]),
    "weather": lambda cube: cube.weather,
    "station": lambda cube: cube.station_xy,
    "time": lambda cube: cube.times,
    "orbit": lambda cube: cube.orbits,
    "window_end": lambda cube: cube.window_ends,
}


@pytest.mark.parametrize("array", READS)
@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_flipped_bit_is_not_read_as_another_value(cube: Cube, array: str, place: float) -> None:
    chunk = next(path for path in files_of(cube, array) if path.name != "zarr.json")
    damage(chunk, int(place * chunk.stat().st_size))
    opened = Cube.open(cube.path)  # all files are there, and as long as they were
    with pytest.raises(DataError, match=rf"array '{array}' is damaged \(.*\); `mlssm-verify .*` names its files"):
        READS[array](opened)


def test_verify_names_each_damaged_file_with_the_cure(cube: Cube, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify([cube.path.parent]) == 0
    assert capsys.readouterr().out == f"{cube.path}: all files are as they were written\n"
    chunk = next(path for path in files_of(cube, "backscatter") if path.name != "zarr.json")
    damage(chunk, chunk.stat().st_size // 2)
    (cube.path / "time" / "zarr.json").unlink()
    assert verify([cube.path]) == 2
    cure = "copy it again, or delete the cube, and it is made anew"
    assert capsys.readouterr().out.splitlines() == [
        f"{chunk} does not hold what was written; {cure}",
        f"{cube.path / 'time' / 'zarr.json'} is gone; {cure}",
    ]


def test_a_cube_of_before_checksums_opens_and_is_not_verified(cube: Cube, capsys: pytest.CaptureFixture[str]) -> None:
    path = cube.path / "zarr.json"
    meta = json.loads(path.read_text())
    del meta["attributes"]["checksums"], meta["attributes"]["checksum"]
    path.write_text(json.dumps(meta))
    assert Cube.open(cube.path).manifest.checksums == {}
    assert verify([cube.path]) == 1
    assert (
        f"has no checksums: version {mlssm.__version__}, which wrote it, kept none; delete it"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(("key", "value"), [("origin", [240000, 3816001]), ("extents", []), ("checksum", "0")])
def test_attributes_that_were_changed_are_refused(cube: Cube, key: str, value: object) -> None:
    path = cube.path / "zarr.json"
    meta = json.loads(path.read_text())
    meta["attributes"][key] = value
    path.write_text(json.dumps(meta))
    with pytest.raises(DataError, match=r"zarr\.json does not hold what was written; copy it again, or delete"):
        Cube.open(cube.path)


def test_verify_by_its_command(cube: Cube, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["mlssm-verify", str(cube.path)])
    with pytest.raises(SystemExit) as ended:
        cli.verify()
    assert (ended.value.code, capsys.readouterr().err) == (0, "")
    damage(files_of(cube, "time")[0], -2)
    with pytest.raises(SystemExit) as ended:
        cli.verify()
    assert ended.value.code == 1
    assert "time/c/0 does not hold what was written; copy it again, or delete the cube" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["mlssm-verify", str(cube.path.parent / "nowhere")])
    with pytest.raises(SystemExit) as ended:
        cli.verify()
    assert str(ended.value.code).startswith("error: ")
    assert "nowhere is neither a cube nor a folder with one" in str(ended.value.code)
