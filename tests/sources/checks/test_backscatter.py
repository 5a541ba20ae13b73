"""Backscatter that is none, or is another unit: refused by name, value and cure, or corrected with a line."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from mlssm.config.backscatter import Units
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.checks.backscatter import Differences
from mlssm.sources.checks.backscatter_values import Lost
from mlssm.sources.checks.decibels import Decibels
from mlssm.sources.checks.header import Stored
from mlssm.sources.faults import BadFiles
from mlssm.sources.opening import inspect
from mlssm.sources.pass_reader import read_judged
from mlssm.sources.passes import Image, Pass

Floats = npt.NDArray[np.float64]
BORDER = np.s_[:, :5]


@pytest.fixture
def decibels() -> Floats:
    """What land looks like, 24 x 24 pixels."""
    return np.random.default_rng(0).normal(-11, 2, (24, 24))


def power_of(path: Path, polarisation: str, units: Units, grid: Grid, bad: BadFiles) -> Any:
    """Linear power of one image, as a pass of it alone is read."""
    time = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    image = Image(path, time, polarisation, 137, inspect(path).bounds_in(grid.crs), stored=Stored(units))
    overpass = Pass(time, 137, (image,))
    return read_judged(overpass, grid, bad, lambda reader: reader.power(polarisation, grid.full))


@pytest.fixture
def read(small_grid: Grid) -> Callable[..., tuple[Floats, BadFiles]]:
    def read_image(path: Path, units: Units = "dB", polarisation: str = "VV") -> tuple[Floats, BadFiles]:
        bad = BadFiles("error")
        return 10 * np.log10(power_of(path, polarisation, units, small_grid, bad).astype(float)), bad

    return read_image


def written(area_files: Any, values: Any, dtype: str = "float32", nodata: float | None = None) -> Path:
    path: Path = area_files.raster("a_VV.tif", np.asarray(values).astype(dtype), nodata=nodata)
    return path


def power(decibels: Floats) -> Floats:
    return np.asarray(10 ** (decibels / 10))


@pytest.mark.parametrize(("units", "fill"), [("dB", -40.0), ("dB", -49.99), ("dB", 9.0), ("linear", 2e-5)])
def test_a_constant_apart_from_all_others_is_missing(
    area_files: Any, read: Any, decibels: Floats, units: Units, fill: float
) -> None:
    values = decibels if units == "dB" else power(decibels)
    values[BORDER] = fill
    found, bad = read(written(area_files, values), units)
    assert np.isnan(found[BORDER]).all()
    assert np.isfinite(found).sum() == 24 * 19
    assert f"exactly {fill:g}, a constant apart" in bad.corrections()[0]


def test_values_that_were_clipped_are_kept(area_files: Any, read: Any, decibels: Floats) -> None:
    found, bad = read(written(area_files, np.maximum(decibels, -12)))
    assert np.isfinite(found).all()
    assert not bad.corrected


OTHER_UNITS: dict[str, tuple[Units, Callable[[Floats], Floats], str]] = {
    "power": ("dB", power, "float32"),
    "power less noise": ("dB", lambda db: power(db) + np.random.default_rng(1).normal(0, 0.05, db.shape), "float32"),
    "power within a border": ("dB", lambda db: np.where(np.arange(24) < 5, 0, power(db)), "float32"),
    "amplitude": ("dB", lambda db: power(db) ** 0.5, "float32"),
    "a tenth": ("dB", lambda db: db / 10, "float32"),
    "ten times": ("dB", lambda db: db * 10, "int16"),
    "hundred times": ("dB", lambda db: db * 100, "int16"),
    "stretched": ("dB", lambda db: np.clip((db + 25) * 10, 0, 255), "uint8"),
    "decibels": ("linear", lambda db: db, "float32"),
    "digital numbers": ("linear", lambda db: 350 * power(db) ** 0.5, "uint16"),
    "times 10000": ("linear", lambda db: power(db) * 10000, "uint16"),
    "small": ("linear", lambda db: power(db) * 1e-4, "float32"),
}


@pytest.mark.parametrize("kind", OTHER_UNITS)
def test_values_in_another_unit_are_refused(area_files: Any, read: Any, decibels: Floats, kind: str) -> None:
    units, convert, dtype = OTHER_UNITS[kind]
    path = written(area_files, convert(decibels), dtype)
    with pytest.raises(DataError, match=r"datamodule\.backscatter\.units") as error:
        read(path, units)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("units", ["dB", "linear"])
@pytest.mark.parametrize(
    "fill", [-9999.0, -32768.0, -327.68, -99.0, 255.0, 9999.0, 65535.0, 3.4028235e38, -3.4028235e38]
)
@pytest.mark.parametrize("where", [BORDER, np.s_[7, 8]])
def test_a_missing_value_that_is_not_declared_is_refused(
    area_files: Any, read: Any, decibels: Floats, units: Units, fill: float, where: Any
) -> None:
    values = decibels if units == "dB" else power(decibels)
    values[where] = fill
    single_strong_target = where == np.s_[7, 8] and (units, fill) in {
        ("linear", 255.0), ("linear", 9999.0), ("linear", 65535.0), ("dB", -99.0),
    }  # fmt: skip
    if single_strong_target:  # one pixel of 24 or 40 dB may be a ship
        read(written(area_files, values), units)
        return
    with pytest.raises(DataError, match=r"holds -?\d.*missing value"):
        read(written(area_files, values), units)


@pytest.mark.parametrize("units", ["dB", "linear"])
def test_a_nodata_that_is_declared_with_another_value_is_refused(
    area_files: Any, read: Any, decibels: Floats, units: Units
) -> None:
    values = decibels if units == "dB" else power(decibels)
    values[BORDER] = -9999
    with pytest.raises(DataError, match="holds -9999"):
        read(written(area_files, values, nodata=-32768), units)


@pytest.mark.parametrize(("units", "fill"), [("dB", 0.0), ("dB", np.inf), ("dB", -np.inf), ("linear", 0.0)])
def test_what_cannot_be_measured_is_missing(
    area_files: Any, read: Any, decibels: Floats, units: Units, fill: float
) -> None:
    values = decibels if units == "dB" else power(decibels)
    values[BORDER] = fill
    found, bad = read(written(area_files, values), units)
    assert np.isnan(found[BORDER]).all()
    np.testing.assert_allclose(found[:, 5:], decibels[:, 5:], atol=1e-4)
    assert bool(bad.corrected) == (units == "dB" and fill == 0)


def test_a_border_of_0_db_that_was_taken_to_power_is_missing_with_a_line(
    area_files: Any, read: Any, decibels: Floats
) -> None:
    values = power(decibels)
    values[BORDER] = 1
    found, bad = read(written(area_files, values), "linear")
    assert np.isnan(found[BORDER]).all()
    assert bad.corrections() == (
        "a power of exactly 1, from a border of 0 dB, was taken as missing: in 1 files (first: a_VV.tif)",
    )


def test_some_pixels_of_0_db_are_measured_where_values_come_in_steps(
    area_files: Any, read: Any, decibels: Floats
) -> None:
    stored = np.round(decibels * 100)
    stored[4, 4] = 0
    path = written(area_files, stored, "int16")
    with rasterio.open(path, "r+") as file:
        file.scales = (0.01,)
    found, bad = read(path)
    assert found[4, 4] == 0
    assert not bad.corrected
    stored[BORDER] = 0
    path = written(area_files, stored, "int16")
    with rasterio.open(path, "r+") as file:
        file.scales = (0.01,)
    assert np.isnan(read(path)[0][BORDER]).all()


def test_good_images_stay(area_files: Any, read: Any, decibels: Floats) -> None:
    decibels[3, 3], decibels[9, 9] = 25, -55  # a ship and a shadow
    found, bad = read(written(area_files, decibels))
    np.testing.assert_allclose(found, decibels, atol=1e-4)
    assert not bad.corrected
    stored = written(area_files, np.round(decibels * 100), "int16", nodata=-32768)
    with rasterio.open(stored, "r+") as file:
        file.scales = (0.01,)
    np.testing.assert_allclose(read(stored)[0], decibels, atol=0.006)
    bright_city = np.random.default_rng(3).normal(-2, 5, (24, 24))
    read(written(area_files, bright_city))
    calm_water = np.random.default_rng(3).normal(-27, 1.5, (24, 24))
    read(written(area_files, calm_water))


def test_complex_values_are_refused(area_files: Any, read: Any, decibels: Floats) -> None:
    with pytest.raises(DataError, match=r"complex64 values.*calibrated"):
        read(written(area_files, power(decibels) ** 0.5 * np.exp(0.7j), "complex64"), "linear")


def described(area_files: Any, names: tuple[str | None, ...], *bands: Floats, **tags: str) -> Path:
    path: Path = area_files.raster("a_VV.tif", bands[0].astype(np.float32), nodata=None, count=len(bands))
    with rasterio.open(path, "r+") as file:
        for number, band in enumerate(bands, start=1):
            file.write(band.astype(np.float32), number)
        file.descriptions = names
        file.update_tags(**tags)
    return path


@pytest.mark.parametrize(
    "names", [("VH", "VV", "angle"), ("Gamma0_VH_db", "Gamma0_VV_db", "localIncidenceAngle"), ("vh", "vv", None)]
)
def test_the_band_that_is_described_as_the_polarisation_is_read(
    area_files: Any, read: Any, decibels: Floats, names: tuple[str | None, ...]
) -> None:
    path = described(area_files, names, decibels - 7, decibels, np.full((24, 24), 38.0))
    found, bad = read(path)
    np.testing.assert_allclose(found, decibels, atol=1e-4)
    np.testing.assert_allclose(read(path, "dB", "VH")[0], decibels - 7, atol=1e-4)
    assert "described as VV" in bad.corrections()[0]


def test_several_bands_that_nothing_tells_apart_are_refused(area_files: Any, read: Any, decibels: Floats) -> None:
    path = described(area_files, (None, None), decibels - 7, decibels)
    with pytest.raises(DataError, match=r"has 2 bands \(no description, no description\).*gdal_translate -b"):
        read(path)


@pytest.mark.parametrize("name", ["alpha", "valid data"])
def test_a_band_of_validity_is_applied(area_files: Any, read: Any, decibels: Floats, name: str) -> None:
    valid = np.ones((24, 24))
    valid[BORDER] = 0
    path = described(area_files, (None, name), decibels, valid)
    found, _ = read(path)
    np.testing.assert_array_equal(np.isnan(found), valid == 0)


@pytest.mark.parametrize(
    ("name", "tags", "said"),
    [
        ("VH", {}, r"says 'VH' of itself"),
        ("Sigma0_VV_db", {}, r"'Sigma0_VV_db'; set datamodule\.backscatter\.units=dB"),
        ("Amplitude_VV", {}, r"calibrated gamma0"),
        ("localIncidenceAngle", {}, "it is an angle"),
        (None, {"POLARIZATION": "VH"}, "says 'VH' of itself"),
        (None, {"units": "decibel"}, r"in 'decibel'; set datamodule\.backscatter\.units=dB"),
        (None, {"OUTPUT_BACKSCATTER_EXPRESSION_CONVENTION": "decibels"}, r"units=dB"),
        (None, {"scale_factor": "0.01"}, r"tag scale_factor=0\.01.*gdal_edit\.py -scale"),
    ],
)
def test_what_a_file_says_of_itself_counts(
    area_files: Any, read: Any, decibels: Floats, name: str | None, tags: dict[str, str], said: str
) -> None:
    path = described(area_files, (name,), power(decibels), **tags)
    with pytest.raises(DataError, match=said):
        read(path, "linear")


@pytest.mark.parametrize(("letter", "units"), [("a", "linear"), ("d", "linear"), ("p", "dB")])
def test_a_name_of_hyp3_tells_the_scale(
    area_files: Any, read: Any, decibels: Floats, letter: str, units: Units
) -> None:
    name = f"S1A_IW_20230101T015902_DVP_RTC30_G_g{letter}uned_FD6A_VV.tif"
    path = area_files.raster(name, (power(decibels) if units == "linear" else decibels).astype(np.float32))
    with pytest.raises(DataError, match="gives VV backscatter in"):
        read(path, units)


def test_what_noise_leaves_below_zero_averages_to_the_truth(area_files: Any, small_grid: Grid) -> None:
    # 10 m pixels whose noise passes the signal; the mean of 9 is on the grid. Dropping the negative half would add 6 dB
    rng = np.random.default_rng(0)
    fine = (0.02 + rng.normal(0, 0.02, (72, 72))).astype(np.float32)
    path = area_files.raster("a_VH.tif", fine, pixel=10)
    bad = BadFiles("error")
    found = power_of(path, "VH", "linear", small_grid, bad)
    np.testing.assert_allclose(found, fine.reshape(24, 3, 24, 3).mean(axis=(1, 3)), atol=1e-6)
    assert not bad.corrected


@pytest.mark.parametrize(("share", "outcome"), [(0.004, "fine"), (0.1, "told"), (0.3, "refused")])
def test_pixels_without_positive_power_are_told_and_too_many_refused(share: float, outcome: str) -> None:
    image = np.full(1000, 0.1, np.float32)
    image[: int(1000 * share)] = -0.01
    bad, loss = BadFiles("error"), Lost()
    for block in np.split(image, 4):
        loss.add(block)
    if outcome == "refused":
        with pytest.raises(DataError, match=r"a\.tif: 30% of its pixels.*datamodule\.grid\.resolution_m"):
            loss.check(Path("a.tif"), bad)
        return
    loss.check(Path("a.tif"), bad)
    assert bool(bad.corrected) == (outcome == "told")


def differences(co: Floats, cross: Floats) -> Differences:
    """Of two images in dB, seen in two blocks."""
    found = Differences("HH", "HV")
    for rows in (slice(10), slice(10, None)):
        found.add(*(np.round(image[rows] * 100).astype(np.int16) for image in (co, cross)))
    return found


def test_polarisations_that_are_exchanged_or_the_same_are_refused(decibels: Floats) -> None:
    path = Path("a.tif")
    differences(decibels, decibels - 7).check(path)
    differences(np.full((24, 24), -9.0), np.full((24, 24), -9.0)).check(path)  # nothing is known of a flat image
    Differences("HH", "HV").check(path)
    with pytest.raises(DataError, match=r"HV of its pass lies 7\.0 dB above HH; are their names exchanged"):
        differences(decibels - 7, decibels).check(path)
    with pytest.raises(DataError, match="HH and HV of its pass hold the same values"):
        differences(decibels, decibels).check(path)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 1))
def test_quantiles_of_a_histogram_are_those_of_its_values(seed: int, size: int, share: float) -> None:
    values = np.random.default_rng(seed).integers(-900, 900, size).astype(np.int16)
    found = Decibels()
    for block in np.array_split(values, 3):
        found.add(block)
    of_levels = found.quantiles(share, 0.5)
    assert of_levels[1] == found.quantiles(0.5)[0]
    for value, wanted in ((of_levels[0], values), (found.magnitude(share), np.abs(values))):
        assert value == pytest.approx(np.quantile(wanted, share, method="averaged_inverted_cdf") / 100, abs=1e-9)
    assert found.between(-2, 3) == np.count_nonzero((values > -200) & (values < 300))
