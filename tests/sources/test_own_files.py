"""A user's own folder of GeoTIFFs, of whatever producer: what is recognised, and what is asked back."""

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import Affine
from tests.one_pass import read_pass
from tests.one_window import read_incidence

from mlssm.config import BackscatterConfig, GridConfig, parse
from mlssm.config.area_file import AreaFile
from mlssm.errors import DataError
from mlssm.sources.backscatter import BackscatterIndex, index_backscatter
from mlssm.sources.faults import BadFiles

PRODUCT = "S1A_IW_GRDH_1SDV_20170909T175748_20170909T175813_018302_01EC88_98A1"
DECIBELS = np.random.default_rng(0).normal(-11, 2, (24, 24)).astype(np.float32)
POWER = (10 ** (DECIBELS / 10)).astype(np.float32)
ANGLE = np.full((24, 24), 38.0, np.float32)
GRID = GridConfig(crs=None, resolution_m=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    return tmp_path / "s"


def write(
    path: Path, *bands: Any, names: tuple[str, ...] = (), corner: tuple[float, float] = (240000, 3816000), **more: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"driver": "GTiff", "count": len(bands), "dtype": bands[0].dtype.name, "crs": "EPSG:32611"}
    shape |= {"height": 24, "width": 24, "transform": Affine(30, 0, corner[0], 0, -30, corner[1])}
    tags = more.pop("tags", {})
    scale = more.pop("scale", None)
    with rasterio.open(path, "w", **shape | more) as file:
        file.write(np.stack(bands))
        file.descriptions = names or (None,) * len(bands)
        file.update_tags(**tags)
        if scale is not None:
            file.scales = (scale,) * len(bands)
    return path


def index(folder: Path, bad: BadFiles | None = None, **known: Any) -> BackscatterIndex:
    config = parse(BackscatterConfig, {"folder": folder.name} | known)
    return index_backscatter(folder.parent, config, GRID, bad or BadFiles("error"))


def levels(found: BackscatterIndex, time: int = 0, bad: BadFiles | None = None) -> dict[str, Any]:
    """dB of each polarisation of a pass."""
    bad, overpass = bad or BadFiles("error"), found.passes[time]
    return {pol: read_pass(overpass, pol, found.grid, found.extents[0], bad) for pol in overpass.polarisations}


def angles(found: BackscatterIndex, orbit: int, bad: BadFiles | None = None) -> Any:
    """Degrees of an orbit."""
    return read_incidence(found.incidence[orbit], found.grid, found.extents[0], bad or BadFiles("error"), found.angle)


def test_hyp3_by_its_letters_amplitude_is_squared(folder: Path) -> None:
    for day, letter, values in (("05", "p", POWER), ("17", "d", DECIBELS), ("29", "a", POWER**0.5)):
        write(folder / f"S1A_IW_202201{day}T020012_DVP_RTC30_G_g{letter}uned_4A2B_VV.tif", values)
    write(folder / "S1A_IW_20220105T020012_DVP_RTC30_G_gpuned_4A2B_inc_map_ell.tif", np.radians(ANGLE))
    write(folder / "S1A_IW_20220105T020012_DVP_RTC30_G_gpuned_4A2B_ls_map.tif", np.ones((24, 24), np.uint8))
    bad = BadFiles("error")
    found = index(folder, bad)
    for time in range(3):
        np.testing.assert_allclose(levels(found, time, bad)["VV"], DECIBELS, atol=1e-4)
    assert [overpass.platform for overpass in found.passes] == ["S1A"] * 3
    np.testing.assert_allclose(angles(found, 0, bad), 38, atol=1e-4)
    told = " ".join(bad.corrections())
    assert "amplitude was squared" in told
    assert "radians were taken to degrees" in told


@pytest.mark.parametrize("values", [DECIBELS, POWER])
def test_earth_engine_exports_by_their_bands(folder: Path, values: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    vh = values - 7 if values is DECIBELS else values / 5
    write(folder / f"{PRODUCT}.tif", values, vh, ANGLE, names=("VV", "VH", "angle"), nodata=np.nan)
    found = index(folder)
    (overpass,) = found.passes
    assert (overpass.orbit, overpass.platform, overpass.acquired) == (
        30,
        "S1A",
        dt.datetime(2017, 9, 9, 17, 57, 48, tzinfo=dt.UTC),
    )
    read = levels(found)
    np.testing.assert_allclose(read["VV"], DECIBELS, atol=1e-4)
    np.testing.assert_allclose(np.median(read["VV"] - read["VH"]), 7, atol=0.02)
    np.testing.assert_array_equal(angles(found, 30), 38)
    (line,) = [message for message in caplog.messages if message.startswith("backscatter: ")]
    assert "by Earth Engine: " in line
    assert "incidence angle of 1 orbits" in line


def test_tiles_of_one_date_are_mosaicked(folder: Path) -> None:
    write(folder / f"{PRODUCT}-0000000000-0000000000.tif", DECIBELS, names=("VV",))
    write(folder / f"{PRODUCT}-0000000000-0000000024.tif", DECIBELS - 2, names=("VV",), corner=(240000 + 720, 3816000))
    found = index(folder)
    assert len(found.passes) == 1
    both = [read_pass(found.passes[0], "VV", found.grid, area, BadFiles("error")) for area in found.extents]
    np.testing.assert_allclose(both, [DECIBELS, DECIBELS - 2], atol=1e-4)


@pytest.mark.parametrize(
    ("names", "bands"),
    [
        (("Sigma0_VH_db", "Sigma0_VV_db"), (DECIBELS - 7, DECIBELS)),
        (("Sigma0_VH", "Sigma0_VV"), (POWER / 5.0119, POWER)),
        (("Intensity_VV", "Sigma0_VV", "Gamma0_VH"), (POWER * 1e5, POWER, POWER / 5.0119)),
    ],
)
def test_snap_by_its_bands(folder: Path, names: tuple[str, ...], bands: Any) -> None:
    write(folder / f"{PRODUCT}_Orb_NR_Cal_TC.tif", *bands, names=names)
    read = levels(index(folder))
    np.testing.assert_allclose(read["VV"], DECIBELS, atol=1e-3)
    np.testing.assert_allclose(read["VH"], DECIBELS - 7, atol=1e-3)


def test_uncalibrated_bands_of_snap_are_refused(folder: Path) -> None:
    for name, values in (("Intensity_VV", POWER * 1e5), ("Amplitude_VV", (POWER * 1e5) ** 0.5)):
        write(folder / f"{PRODUCT}_Orb_TC.tif", values, names=(name,))
        with pytest.raises(DataError, match="calibrate"):
            levels(index(folder))


def with_private_tag(path: Path, text: bytes) -> None:
    """Add SNAP's tag to a classic little-endian TIFF: its first directory is written anew at the end of the file."""
    content = path.read_bytes()
    start = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[start : start + 2], "little")
    entries = content[start + 2 : start + 2 + 12 * count]
    place = len(content) + len(content) % 2
    entry = b"".join(
        number.to_bytes(size, "little") for number, size in ((65000, 2), (2, 2), (len(text), 4), (place, 4))
    )
    directory = (count + 1).to_bytes(2, "little") + entries + entry + bytes(4)
    where = place + len(text) + len(text) % 2
    body = content[:4] + where.to_bytes(4, "little") + content[8:].ljust(place - 8, b"\0")
    path.write_bytes(body + text.ljust(where - place, b"\0") + directory)


def test_snaps_own_tag_tells_its_bands(folder: Path) -> None:
    path = write(folder / f"{PRODUCT}_Orb_NR_Cal_TC.tif", POWER / 5.0119, POWER)
    about = "<Spectral_Band_Info><BAND_INDEX>{}</BAND_INDEX>\n<BAND_NAME>{}</BAND_NAME></Spectral_Band_Info>"
    bands = "".join(about.format(number, name) for number, name in ((1, "Gamma0_VV"), (0, "Gamma0_VH")))
    with_private_tag(
        path, f"<Dimap_Document><Image_Interpretation>{bands}</Image_Interpretation></Dimap_Document>".encode()
    )
    read = levels(index(folder))
    np.testing.assert_allclose(read["VV"], DECIBELS, atol=1e-3)
    np.testing.assert_allclose(read["VH"], DECIBELS - 7, atol=1e-3)


def pasted(error: pytest.ExceptionInfo[DataError]) -> BackscatterConfig:
    """The area.yaml that a message has."""
    text = str(error.value).partition("\n\n")[2]
    section = AreaFile.model_validate(yaml.safe_load(text)).backscatter
    assert section is not None
    return section


@pytest.mark.parametrize("values", [POWER, POWER**0.5])
def test_power_and_amplitude_are_not_told_apart_by_guess(folder: Path, values: Any) -> None:
    write(folder / "site_20230101T015902_VV.tif", values)
    with pytest.raises(DataError, match=r"_VV\.tif holds values around .*amplitude; say it in area"):
        index(folder)
    units = "linear" if values is POWER else "amplitude"
    np.testing.assert_allclose(levels(index(folder, units=units))["VV"], DECIBELS, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.round(POWER * 10000).astype(np.uint16), "no calibrated backscatter: digital numbers"),
        (DECIBELS / 20, "neither decibels nor power"),
    ],
)
def test_values_that_are_neither_are_not_asked_about(folder: Path, values: Any, said: str) -> None:
    write(folder / "site_20230101T015902_VV.tif", values)
    with pytest.raises(DataError, match=said):
        index(folder)


def test_files_in_decibels_and_in_power_are_each_read_in_their_own(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder / "site_20230101T015902_VV.tif", DECIBELS)
    write(folder / "site_20230113T015902_VV.tif", POWER, names=("VV linear",))
    found = index(folder)
    for time in range(2):
        np.testing.assert_allclose(levels(found, time)["VV"], DECIBELS, atol=1e-4)
    assert any("are in several units (dB (1), linear (1))" in message for message in caplog.messages)


def test_a_name_and_a_header_that_contradict_each_other(folder: Path) -> None:
    write(folder / "site_20230101T015902_VV_dB.tif", POWER, names=("VV linear",))
    with pytest.raises(DataError, match="call its values dB and linear; set datamodule"):
        index(folder)


def test_a_date_needs_a_time(folder: Path) -> None:
    write(folder / "site_2023_VV_20230101.tif", DECIBELS)
    with pytest.raises(DataError, match="has a date in its name and no time") as error:
        index(folder)
    known = yaml.safe_load(str(error.value).partition("\n\n")[2])["backscatter"] | {"time_of_day": "01:59"}
    known.pop("folder")
    assert index(folder, **known).passes[0].acquired == dt.datetime(2023, 1, 1, 1, 59, tzinfo=dt.UTC)


def test_a_time_of_day_for_each_orbit_or_pass(folder: Path) -> None:
    for name in ("a_20230101_asc_orbit64_VV", "a_20230102_orbit137_VV", "a_20230103_desc_VV"):
        write(folder / f"{name}.tif", DECIBELS)
    known = {"64": 846, 137: "01:59:02", "descending": "02:07"}  # YAML takes 14:06 for 846
    found = index(folder, time_of_day=known)
    assert [f"{overpass.acquired:%d %H:%M:%S}" for overpass in found.passes] == [
        "01 14:06:00",
        "02 01:59:02",
        "03 02:07:00",
    ]
    assert [overpass.direction for overpass in found.passes] == ["ascending", "", "descending"]


def test_a_tag_may_tell_the_time(folder: Path) -> None:
    write(folder / "site_20230101_VV.tif", DECIBELS, tags={"ACQUISITION_DATETIME": "2023-01-01T01:59:02.5Z"})
    assert index(folder).passes[0].acquired == dt.datetime(2023, 1, 1, 1, 59, 2, tzinfo=dt.UTC)


def test_bands_that_nothing_tells_are_asked_for(folder: Path) -> None:
    write(folder / "site_20230101T015902.tif", DECIBELS - 7, DECIBELS)
    with pytest.raises(DataError, match=r"has 2 bands \(no description, no description\), and neither") as error:
        index(folder)
    assert pasted(error).bands == {"VV": 1, "VH": 2}
    read = levels(index(folder, bands={"VV": 2, "VH": 1}))
    np.testing.assert_allclose(read["VV"], DECIBELS, atol=1e-4)
    np.testing.assert_allclose(read["VH"], DECIBELS - 7, atol=1e-4)
    with pytest.raises(DataError, match="has 2 bands, and band 3 is to be VV"):
        levels(index(folder, bands={"VV": 3}))


def test_bands_that_the_descriptions_contradict(folder: Path) -> None:
    write(folder / "site_20230101T015902.tif", DECIBELS - 7, DECIBELS, names=("VH", "VV"))
    with pytest.raises(DataError, match="calls its band 1 'VH', but `bands` takes it for VV"):
        index(folder, bands={"VV": 1, "VH": 2})


def test_several_bands_of_one_polarisation(folder: Path) -> None:
    write(folder / "site_20230101T015902.tif", DECIBELS, DECIBELS, names=("Sigma0_VV_db", "Gamma0_VV_db"))
    with pytest.raises(DataError, match=r"several bands of VV \(Sigma0_VV_db, Gamma0_VV_db\); choose one"):
        index(folder)
    np.testing.assert_allclose(levels(index(folder, bands={"VV": 2}))["VV"], DECIBELS, atol=1e-4)


def test_whole_numbers_with_and_without_a_scale(folder: Path) -> None:
    hundred = np.round(DECIBELS * 100).astype(np.int16)
    hundred[0] = -32768
    for units, scale in (("dB", 0.01), ("dB*100", None), (None, 0.01)):
        write(folder / "VV_20230101T015902_137.tif", hundred, scale=scale, nodata=-32768)
        read = levels(index(folder, units=units))["VV"]
        np.testing.assert_allclose(read[1:], DECIBELS[1:], atol=0.006)
        assert np.isnan(read[0]).all()
    write(folder / "VV_20230101T015902_137.tif", hundred, scale=0.01)
    with pytest.raises(DataError, match=r"states a scale of its own.*units=dB"):
        levels(index(folder, units="dB*100"))


def test_a_missing_value_that_the_files_do_not_declare(folder: Path) -> None:
    values = DECIBELS.copy()
    values[:5] = -32
    write(folder / "VV_20230101T015902_137.tif", values)
    read = levels(index(folder, nodata=-32))["VV"]
    assert np.isnan(read[:5]).all()
    assert np.isfinite(read[5:]).all()


def test_a_crs_in_place_of_the_files(folder: Path) -> None:
    write(folder / "VV_20230101T015902_137.tif", DECIBELS, crs="EPSG:32610")
    found = index(folder, crs="EPSG:32611")
    assert found.grid.crs == "EPSG:32611"
    np.testing.assert_allclose(levels(found)["VV"], DECIBELS, atol=1e-4)


def test_an_incidence_layer_and_an_incidence_band(folder: Path) -> None:
    write(folder / "VV_20230101T015902_137.tif", DECIBELS, ANGLE)
    known = {"bands": {"VV": 1}, "incidence_band": 2}
    found = index(folder, **known)
    np.testing.assert_array_equal(angles(found, 137), 38)
    layer = write(folder.parent / "geometry" / "theta.tif", np.radians(ANGLE))
    found = index(folder, bands={"VV": 1}, incidence_layer="geometry/theta.tif", incidence_units="radians")
    assert found.incidence == {137: (layer,)}
    np.testing.assert_allclose(angles(found, 137), 38, atol=1e-4)


def test_satellites_and_orbits_stay_apart(folder: Path) -> None:
    names = (
        "S1A_20230101T015902_orbit137_VV", "S1B_20230107T015902_orbit137_VV", "S1C_20230101T140602_orbit64_VV",
        "S1D_20230103T015105_orbit137_VV",
    )  # fmt: skip
    for name in names:
        write(folder / f"{name}.tif", DECIBELS)
    found = index(folder)
    told = [(overpass.orbit, overpass.platform) for overpass in found.passes]
    assert told == [(137, "S1A"), (64, "S1C"), (137, "S1D"), (137, "S1B")]


def test_orbits_that_name_and_tag_contradict(folder: Path) -> None:
    write(folder / "VV_20230101T015902_137.tif", DECIBELS, tags={"TRACK_NUMBER": "64"})
    with pytest.raises(DataError, match="its name gives the relative orbit 137, its tags 64"):
        index(folder)


def test_products_in_folders_of_their_own(folder: Path) -> None:
    item = "S1B_IW_GRDH_1SDV_20170903T175659_20170903T175724_007231_00CBEF_rtc"
    write(folder / item / "measurement" / "iw-vv.rtc.tiff", POWER, nodata=-32768)
    with pytest.raises(DataError, match="holds no GeoTIFF"):
        index(folder, subfolders=False)
    found = index(folder)
    assert [(overpass.orbit, overpass.platform) for overpass in found.passes] == [(30, "S1B")]
    np.testing.assert_allclose(levels(found)["VV"], DECIBELS, atol=1e-4)
    write(folder / "VV_20230101T015902_137.tif", DECIBELS)
    assert [len(index(folder, subfolders=deep).passes) for deep in (None, False, True)] == [1, 1, 2]


def test_a_folder_of_unknown_names_is_answered_with_a_pattern(folder: Path) -> None:
    path = write(folder / "tile07_d20230101T015902q_S1A_x.tif", DECIBELS, names=("VV",))
    path.rename(folder / "scene-VV.tif")
    with pytest.raises(
        DataError, match=r"no GeoTIFF in s matches the names that are known \(first file: scene-VV\.tif\)"
    ):
        index(folder)


def test_two_quantities_in_one_folder_are_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder / "gamma0_VV_20230101T015902.tif", DECIBELS)
    write(folder / "sigma0_VV_20230113T015902.tif", DECIBELS)
    index(folder)
    assert any("several quantities (gamma0 (1), sigma0 (1))" in message for message in caplog.messages)


def test_midnight_to_the_second_is_no_time(folder: Path) -> None:
    write(folder / "VV_20230101T000000_137.tif", DECIBELS)
    with pytest.raises(DataError, match="has a date in its name and no time"):
        index(folder)
    assert index(folder, time_of_day="01:59").passes[0].acquired.hour == 1


@pytest.mark.parametrize(("hour", "told"), [("0159", False), ("1406", False), ("1759", True), ("0606", True)])
def test_local_times_in_names_are_noticed(
    folder: Path, hour: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """At 120 degrees west Sentinel-1 passes near 2 and 14 h UTC, which are 18 and 6 h there."""
    write(folder / f"VV_20230101T{hour}02_137.tif", DECIBELS)
    index(folder)
    assert any("local solar time" in message and "UTC?" in message for message in caplog.messages) == told


def test_an_area_that_one_image_alone_sees_is_noticed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for day in range(1, 13):
        write(folder / f"VV_202301{day:02d}T015902_137.tif", DECIBELS)
    write(folder / "VV_20230113T015902_137.tif", DECIBELS, crs="EPSG:32612")
    assert len(index(folder).extents) == 2
    (line,) = [message for message in caplog.messages if message.startswith("only 1 of 13 passes")]
    assert "VV_20230113T015902_137.tif): is its CRS right?" in line


@pytest.mark.parametrize("name", ["VV coherence", "VV/VH ratio", "layover_shadow VV"])
def test_bands_of_other_quantities_are_refused(folder: Path, name: str) -> None:
    write(folder / "VV_20230101T015902_137.tif", POWER, names=(name,))
    with pytest.raises(DataError, match=r"give backscatter|rename it"):
        levels(index(folder, units="linear"))


def test_a_scale_and_an_offset_of_the_band_are_applied(folder: Path) -> None:
    path = write(folder / "VV_20230101T015902_137.tif", np.round((DECIBELS + 50) * 4).astype(np.uint8), scale=0.25)
    with rasterio.open(path, "r+") as file:
        file.offsets = (-50,)
    np.testing.assert_allclose(levels(index(folder))["VV"], DECIBELS, atol=0.13)


def test_a_crs_may_be_given_by_its_code() -> None:
    assert parse(BackscatterConfig, {"folder": "s", "crs": 32611}).crs == "EPSG:32611"


OWN = r"(?P<date>\d{8}T\d{6})_(?P<polarisation>\w\w)_(?P<orbit>\w+)\.tif"


def test_groups_of_an_own_pattern_are_checked(folder: Path) -> None:
    path = write(folder / "20230101T015902_vv_T137.tif", DECIBELS)
    found = index(folder, pattern=OWN)
    assert [(overpass.orbit, overpass.polarisations) for overpass in found.passes] == [(137, {"VV"})]
    for name, said in (
        ("xx_137", "takes 'XX' for the polarisation"),
        ("vv_041318", "gives '041318' for the relative orbit"),
    ):
        path = path.rename(folder / f"20230101T015902_{name}.tif")
        with pytest.raises(DataError, match=said):
            index(folder, pattern=OWN)


def test_an_own_pattern_may_take_the_absolute_orbit(folder: Path) -> None:
    write(folder / "S1A_20170909T175748_018302.tif", DECIBELS, names=("VV",))
    pattern = r"(?P<platform>S1\w)_(?P<date>\d{8}T\d{6})_(?P<absolute>\d{6})\.tif"
    assert index(folder, pattern=pattern).passes[0].orbit == 30
    without = pattern.replace("(?P<platform>S1\\w)", "S1A")
    assert index(folder, pattern=without).passes[0].orbit == 0


def test_orbits_of_tags_may_be_written_as_fractions(folder: Path) -> None:
    write(folder / "VV_20230101T015902.tif", DECIBELS, tags={"RELATIVE_ORBIT": "62.0"})
    assert index(folder).passes[0].orbit == 62


def test_an_angle_that_is_missing_like_the_image(folder: Path) -> None:
    angle = ANGLE.copy()
    angle[:3] = -32
    write(
        folder / f"{PRODUCT}.tif", np.where(angle < 0, -32, DECIBELS).astype(np.float32), angle, names=("VV", "angle")
    )
    found = index(folder, nodata=-32)
    np.testing.assert_array_equal(np.isnan(angles(found, 30)), angle < 0)


def test_a_time_of_day_for_another_orbit(folder: Path) -> None:
    write(folder / "a_20230101_orbit64_VV.tif", DECIBELS)
    with pytest.raises(DataError, match="time_of_day nothing for its orbit"):
        index(folder, time_of_day={"137": "01:59"})


def test_a_scene_and_what_was_cut_from_it_are_one_image(folder: Path) -> None:
    write(folder / "VV_20230101T015902_137.tif", DECIBELS)
    write(folder / "VV_20230101T015903_137.tif", DECIBELS[:12, :12], height=12, width=12)
    with pytest.raises(DataError, match=r"VV_20230101T015903_137\.tif shows the ground of VV_20230101T015902_137\.tif"):
        index(folder)


def test_the_next_image_in_a_file_is_not_passed_over(folder: Path) -> None:
    path = write(folder / "VV_20230101T015902_137.tif", DECIBELS)
    write(path, DECIBELS - 7, APPEND_SUBDATASET=True)
    with pytest.raises(DataError, match="holds 2 images, of which the first alone would be read"):
        index(folder)


@pytest.mark.parametrize(("tag", "told"), [("2023-01-01T01:59:20", 0), ("2022-12-31T17:59:02", 1)])
def test_a_tag_hours_from_the_name_is_told(folder: Path, tag: str, told: int) -> None:
    write(folder / "VV_20230101T015902_137.tif", DECIBELS, tags={"ACQUISITION_DATETIME": tag})
    bad = BadFiles("error")
    index(folder, bad)
    assert len(bad.corrections()) == told
    assert all("+8.0 h from that of the tag ACQUISITION_DATETIME" in line for line in bad.corrections())


def test_what_is_known_stays_in_the_area_file_to_paste(folder: Path) -> None:
    write(folder / "site_20230101_VV.tif", DECIBELS)
    with pytest.raises(DataError) as error:
        index(folder, units="dB", nodata=-32)
    text = str(error.value).partition("\n\n")[2]
    section = yaml.safe_load(text)["backscatter"]
    assert {"units": "dB", "nodata": -32, "folder": "s", "time_of_day": "HH:MM"}.items() <= section.items()


def test_an_angle_for_each_image_goes_to_the_orbit_of_the_image(folder: Path) -> None:
    for number, (time, angle) in enumerate((("20220105T020012", 33), ("20220106T141112", 43), ("20220117T020013", 33))):
        name = f"S1A_IW_{time}_DVP_RTC30_G_gpuned_4A2{number}"
        write(folder / f"{name}_VV.tif", POWER)
        write(folder / f"{name}_inc_map_ell.tif", np.radians(np.full((24, 24), angle, np.float32)))
    found = index(folder)
    assert [overpass.orbit for overpass in found.passes] == [1001, 1002, 1001]
    for orbit, angle in ((1001, 33), (1002, 43)):
        np.testing.assert_allclose(angles(found, orbit), angle, atol=1e-4)


def test_of_two_angles_that_of_the_ellipsoid_is_read(folder: Path) -> None:
    names = ("Sigma0_VV_db", "localIncidenceAngle", "incidenceAngleFromEllipsoid")
    write(folder / f"{PRODUCT}_Orb_NR_Cal_TC.tif", DECIBELS, ANGLE - 20, ANGLE, names=names)
    np.testing.assert_array_equal(angles(index(folder), 30), 38)


def test_the_local_angle_alone_is_none(folder: Path) -> None:
    write(folder / f"{PRODUCT}_TC.tif", DECIBELS, ANGLE, names=("Sigma0_VV_db", "localIncidenceAngle"))
    assert not index(folder).incidence


def test_angles_of_two_orbits_that_are_taken_for_one_are_refused(folder: Path) -> None:
    for time, angle in (("20230101T015902", 33), ("20230113T015902", 43)):
        write(folder / f"site_{time}.tif", DECIBELS, ANGLE - 38 + angle, names=("VV", "angle"))
    with pytest.raises(DataError, match="two quantities or units"):
        angles(index(folder), 0)


def test_one_file_that_cannot_be_told_is_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder / "site_20230101T015902_VV.tif", DECIBELS)
    write(folder / "site_20230113T015902_VV.tif", POWER)
    skip = BadFiles("skip")
    assert len(index(folder, skip).passes) == 1
    assert skip.skipped == ["site_20230113T015902_VV.tif"]
    (line,) = [message for message in caplog.messages if message.startswith("skipped a bad file")]
    assert "\n" not in line
