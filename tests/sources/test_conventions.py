"""What producers' names say."""

from pathlib import Path
from typing import Any

import pytest

from mlssm.errors import DataError
from mlssm.orbits import relative_orbit
from mlssm.sources.conventions import CONVENTIONS, Named, generic
from mlssm.sources.conventions.words import polarisation, units_in

PRODUCT = "S1A_IW_GRDH_1SDV_20170909T175748_20170909T175813_018302_01EC88_98A1"


def read(name: str) -> Named | None:
    return next((named for convention in CONVENTIONS if (named := convention.read(name))), None)


@pytest.mark.parametrize(
    ("name", "convention", "groups", "units", "quantity"),
    [
        (
            "OPERA_L2_RTC-S1_T137-292324-IW2_20230101T015858Z_20240301T120000Z_S1A_30_v1.0_VH", "OPERA RTC-S1",
            {"date": "20230101T015858", "polarisation": "VH", "orbit": "137", "platform": "S1A",
             "burst": "T137-292324-IW2", "processed": "20240301T120000"}, "linear", "gamma0",
        ),
        (
            "S1A_IW_20220105T020012_DVP_RTC30_G_gpuned_4A2B_VV", "ASF HyP3 RTC",
            {"date": "20220105T020012", "polarisation": "VV", "platform": "S1A"}, "linear", "gamma0",
        ),
        (
            "S1B_IW_20220105T020012_SVR_RTC10_G_sduned_4A2B_VV", "ASF HyP3 RTC",
            {"date": "20220105T020012", "polarisation": "VV", "platform": "S1B"}, "dB", "sigma0",
        ),
        (
            "S1C_IW_20260105T020012_DVP_RTC20_G_gauned_4A2B_VH", "ASF HyP3 RTC",
            {"date": "20260105T020012", "polarisation": "VH", "platform": "S1C"}, "amplitude", "gamma0",
        ),
        (PRODUCT, "Earth Engine", {"date": "20170909T175748", "platform": "S1A", "orbit": "30"}, None, "sigma0"),
        (
            f"{PRODUCT}-0000000000-0000006912", "Earth Engine",
            {"date": "20170909T175748", "platform": "S1A", "orbit": "30", "tile": "0000000000-0000006912"},
            None, "sigma0",
        ),
        (
            "S1B_IW_GRDH_1SDV_20170903T175659_20170903T175724_007231_00CBEF_rtc_vh", "Planetary Computer RTC",
            {"date": "20170903T175659", "platform": "S1B", "orbit": "30", "polarisation": "VH"}, "linear", "gamma0",
        ),
        (
            "S1B_IW_GRDH_1SDV_20170903T175659_20170903T175724_007231_00CBEF_rtc/measurement/iw-vv.rtc",
            "Planetary Computer RTC",
            {"date": "20170903T175659", "platform": "S1B", "orbit": "30", "polarisation": "VV"}, "linear", "gamma0",
        ),
        (
            f"Subset_{PRODUCT}_Orb_NR_Cal_TC_dB", "SNAP",
            {"date": "20170909T175748", "platform": "S1A", "orbit": "30"}, "dB", None,
        ),
        (
            f"{PRODUCT}_Cal_TF_TC_Gamma0_VH", "SNAP",
            {"date": "20170909T175748", "platform": "S1A", "orbit": "30", "polarisation": "VH"}, None, "gamma0",
        ),
        (
            "s1a-iw-grd-vv-20170909t175748-20170909t175813-018302-01ec88-001_geo", "Copernicus SAFE",
            {"date": "20170909T175748", "platform": "S1A", "orbit": "30", "polarisation": "VV"}, None, None,
        ),
        (
            "S1B__IW___D_20180101T170648_VV_gamma0-rtc_db", "pyroSAR",
            {"date": "20180101T170648", "platform": "S1B", "pass": "D", "polarisation": "VV"}, "dB", "gamma0",
        ),
        (
            "VV_20230101T015902_137", "plain names",
            {"date": "20230101T015902", "orbit": "137", "polarisation": "VV"}, None, None,
        ),
    ],
)  # fmt: skip
def test_names_of_producers(name: str, convention: str, groups: dict[str, str], units: Any, quantity: Any) -> None:
    named = read(name)
    assert named is not None
    assert (named.convention, named.groups, named.units, named.quantity) == (convention, groups, units, quantity)


@pytest.mark.parametrize(
    "name",
    [
        "S1A_IW_20220105T020012_DVP_RTC30_G_gpuned_4A2B_ls_map", f"{PRODUCT}_TC_layover_mask", "scene", "dem_20230101",
        "OPERA_L2_RTC-S1_T137-292324-IW2_20230101T015858Z_20240301T120000Z_S1A_30_v1.0_mask",
    ],
)  # fmt: skip
def test_what_lies_beside_images_is_none(name: str) -> None:
    assert read(name) is None


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("S1A_IW_20220105T020012_DVP_RTC30_G_gpuned_4A2B_inc_map_ell", {"date": "20220105T020012"}),
        (f"{PRODUCT}_TC_incidenceAngleFromEllipsoid", {"orbit": "30"}),
        ("OPERA_L2_RTC-S1-STATIC_T064-135518-IW1_20140403_S1A_30_v1.0_incidence_angle", {"orbit": "064"}),
        ("incidence_137", {"orbit": "137"}),
    ],
)
def test_files_of_incidence_angles(name: str, groups: dict[str, str]) -> None:
    found = next(each for convention in CONVENTIONS if (each := convention.read_incidence(name)) is not None)
    assert groups.items() <= found.items()
    assert read(name) is None


def test_the_local_angle_is_not_the_ellipsoids() -> None:
    for name in ("S1A_IW_20220105T020012_DVP_RTC30_G_gpuned_4A2B_inc_map", f"{PRODUCT}_TC_localIncidenceAngle"):
        assert all(convention.read_incidence(name) is None for convention in CONVENTIONS)
        assert generic.read_incidence(name) is None
        assert read(name) is None


@pytest.mark.parametrize(
    ("name", "groups", "units"),
    [
        ("site_2023-01-01_01-59-02_VV", {"date": "20230101T015902", "polarisation": "VV"}, None),
        ("20230101T0159_asc_orbit64_vh_db", {"date": "20230101T0159", "polarisation": "VH", "pass": "ascending",
                                             "orbit": "64"}, "dB"),
        ("S1D_20230101_descending_VV_amplitude", {"date": "20230101", "polarisation": "VV", "pass": "descending",
                                                  "platform": "S1D"}, "amplitude"),
        ("Sentinel-1B_20230101T015902_20230101T015927_VV_VH", {"date": "20230101T015902", "platform": "S1B"}, None),
        ("VV_20230101015902_T31UFS", {"date": "20230101T015902", "polarisation": "VV", "tile": "31UFS"}, None),
        ("gamma0_VV_20230101T015902Z_linear", {"date": "20230101T015902", "polarisation": "VV"}, "linear"),
    ],
)  # fmt: skip
def test_any_name_with_a_time(name: str, groups: dict[str, str], units: Any) -> None:
    named = generic.read(name)
    assert named is not None
    assert (named.groups, named.units) == (groups, units)


@pytest.mark.parametrize(
    "name", ["scene_VV", "VV_1234567890", "20231345_VV", "20230231_VV", "mask_20230101", "VV_20230101_angle"]
)
def test_names_without_a_date_or_of_no_image(name: str) -> None:
    assert generic.read(name) is None


def test_several_dates_are_not_chosen_from() -> None:
    with pytest.raises(DataError, match=r"several dates \(20230101, 20230113\): which one is that of acquisition"):
        generic.read("VV_20230101_20230113")


@pytest.mark.parametrize(
    ("platform", "absolute", "date", "orbit"),
    [
        # from ESA's forum: two products of relative orbit 30, two of 92
        ("S1A", "018302", "20170909", 30), ("S1B", "007231", "20170903", 30),
        ("S1A", "029739", "20191103", 92), ("S1A", "033764", "20200805", 92),
        # while it was moved to its new place
        ("S1C", "008000", "20260615", None),
    ],
)  # fmt: skip
def test_relative_orbits(platform: str, absolute: str, date: str, orbit: int | None) -> None:
    assert relative_orbit(platform, absolute, date) == orbit


def test_words_of_bands() -> None:
    assert [polarisation(text) for text in ("Sigma0_VV_db", "vh", "VV_VH", "VVs")] == ["VV", "VH", None, None]
    texts = ("Sigma0_VV_db", "Gamma0_VH", "Amplitude_VV", "VV", "dB linear", "Sigma0_VV_mask")
    assert [units_in(text) for text in texts] == ["dB", "linear", "amplitude", None, None, None]


def test_each_convention_is_a_file_of_its_own() -> None:
    folder = Path(generic.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "convention", "words", "generic"}
    assert len(files) == len(CONVENTIONS)
