"""What `train.py` says to input that it cannot use: one or two lines, a code that is not 0, and nothing half-made."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.transform import Affine

from mlssm.cube import Cube

pytestmark = pytest.mark.slow

Change = Callable[[Path], None]


def _replace(path: Path, content: bytes) -> None:
    """The files are links: the original is not to be written into."""
    path.unlink()
    path.write_bytes(content)


def _image(area: Path) -> Path:
    return sorted((area / "sentinel1").glob("*_VV.tif"))[3]


def _write(path: Path, values: np.ndarray, **profile: Any) -> None:
    path.unlink()
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)


def _edit(path: Path, **changes: Any) -> None:
    with rasterio.open(path) as source:
        values, profile = source.read(), source.profile
    _write(path, values, **(profile | changes))


def truncated_image(area: Path) -> None:
    path = _image(area)
    content = path.read_bytes()
    _replace(path, content[: len(content) * 2 // 3])


def image_without_crs(area: Path) -> None:
    path = _image(area)
    with rasterio.open(path) as source:
        values, profile = source.read(), source.profile
    del profile["crs"]
    _write(path, values, **profile)


def dem_elsewhere(area: Path) -> None:
    path = area / "dem" / "dem.tif"
    with rasterio.open(path) as source:
        moved = Affine.translation(5, 5) @ source.transform
    _edit(path, transform=moved)


def no_image(area: Path) -> None:
    for path in (area / "sentinel1").iterdir():
        path.unlink()


def _station_files(area: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    for path in (area / "weather").glob("*.csv"):
        table = change(pd.read_csv(path, dtype=str, keep_default_na=False))
        text = io.StringIO()
        table.to_csv(text, index=False)
        _replace(path, text.getvalue().encode())


def no_rain_column(area: Path) -> None:
    _station_files(area, lambda table: table.drop(columns="PRCP"))


def _scaled(column: str, factor: float, offset: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(**{column: [f"{float(v) * factor + offset:.0f}" if v else v for v in table[column]]})

    return change


def rain_in_the_wrong_unit(area: Path) -> None:
    _station_files(area, _scaled("PRCP", 1000, 0))


def fahrenheit(area: Path) -> None:
    _station_files(area, _scaled("TMAX", 1.8, 320))


def weather_of_other_years(area: Path) -> None:
    _station_files(area, lambda table: table.assign(DATE=[f"{int(d[:4]) + 10}{d[4:]}" for d in table["DATE"]]))


def soil_known_at_one_pixel(area: Path) -> None:
    path = area / "soil" / "soil.tif"
    with rasterio.open(path) as source:
        values, profile = source.read(), source.profile
    values[:] = profile["nodata"]
    values[0, 0, 0] = 1
    _write(path, values, **profile)


def unchanged(area: Path) -> None:
    """The fault is in what is asked for."""


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        change: Brings it into the area's files.
        message: What the error must match.
        asked: Overrides.
        prepared: Whether the files are sound, so that a cube is made.
    """

    change: Change
    message: str
    asked: tuple[str, ...] = ()
    prepared: bool = False


CASES = {
    "truncated image": Case(truncated_image, r"sentinel1/OPERA.*_VV\.tif.*on_bad_file=skip"),
    "image without CRS": Case(image_without_crs, r"sentinel1/OPERA.*_VV\.tif has no CRS; "),
    "DEM elsewhere": Case(dem_elsewhere, r"area/dem\S* does not overlap .*null"),
    "no image": Case(no_image, r"area/sentinel1 .*GeoTIFF"),
    "no soil folder": Case(lambda area: shutil.rmtree(area / "soil"), r"area/soil is missing"),
    "no weather folder": Case(lambda area: shutil.rmtree(area / "weather"), r"area/weather is missing"),
    "no rain column": Case(no_rain_column, r"weather/SIM00000001\.csv.*PRCP"),
    "rain in the wrong unit": Case(
        rain_in_the_wrong_unit, r"weather/SIM00000001\.csv: the units of PRCP look wrong.*tenths"
    ),
    "Fahrenheit": Case(fahrenheit, r"weather/SIM0000000\d\.csv: the units of TMAX look wrong.*tenths"),
    "no weather on any date": Case(
        weather_of_other_years, r"none of the \d+ dates has weather .* the stations have 2030-", (), True
    ),
    "soil missing, dropped": Case(
        soil_known_at_one_pixel, r"no train patch is left", ("features.on_missing=drop",), prepared=True
    ),
    "no sensitive pixel": Case(
        unchanged, r"no train patch is left.*retrieval\.min_sensitivity_db", ("retrieval.min_sensitivity_db=30",), True
    ),
    "no patch valid enough": Case(
        unchanged,
        r"no \w+ patch is left.*patches\.min_valid_fraction=1",
        ("patches.min_valid_fraction=1",),
        True,
    ),
    "too few dates for references": Case(
        unchanged, r"\d+ training dates.*retrieval\.min_dates=60", ("retrieval.min_dates=60",), True
    ),
    "one season alone": Case(unchanged, r"no season is left for validation.*split\.val", ("split=by_season",), True),
    "diverging": Case(
        unchanged, r"training diverged.*optimiser\.learning_rate=1e\+30", ("optimiser.learning_rate=1e30",), True
    ),
    "unknown accelerator": Case(unchanged, r"trainer: .*abacus.*cpu", ("trainer.accelerator=abacus",)),
    "no epoch": Case(unchanged, r"trainer\.max_epochs=0", ("trainer.max_epochs=0",)),
    "polarisation that is not there": Case(
        unchanged, r"retrieval\.polarisation=HH .*VV", ("retrieval.polarisation=HH",), True
    ),
}


@pytest.fixture(scope="module")
def sound_cubes(
    trained: Any, area_copied: Callable[[Path], Path], real: tuple[str, ...], tmp_path_factory: Any
) -> Path:
    """The cube of the sound area, by a training that fails next."""
    project = type(trained[0])(tmp_path_factory.mktemp("sound"))
    area_copied(project.folder)
    outcome = project.run("train", *real, "retrieval.min_dates=60")
    outcome.check_told(r"retrieval\.min_dates=60")
    return project.folder / "data" / "cubes"


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_named_with_its_cure(
    name: str, project: Any, area_copy: Path, real: tuple[str, ...], sound_cubes: Path
) -> None:
    case = CASES[name]
    case.change(area_copy)
    if case.change is unchanged and case.prepared:
        shutil.copytree(sound_cubes, project.folder / "data" / "cubes", copy_function=os.link)
    outcome = project.run("train", *real, *case.asked)
    outcome.check_told(case.message)
    assert len(project.cubes) == case.prepared
    assert project.partial() == []


WRONG = {
    "unknown key": (("model.lagg=3",), r"'model\.lagg'; did you mean model\.lag\?"),
    "unknown section": (("modell.lag=3",), r"unknown configuration key 'modell"),
    "unknown choice": (("sampler=three_pass",), r"unknown choice sampler=three_pass; choose one of density, natural, "),
    "unknown Trainer argument": (("+trainer.max_epoch=3",), r"trainer\.max_epoch.*max_epochs"),
    "text for a number": (("model.lag=soon",), r"model\.lag='soon' is not allowed"),
    "number out of range": (("model.lag=0",), r"model\.lag=0 is not allowed"),
    "missing folder": (
        ("datamodule=opera_rtc", "datamodule.root=nowhere"),
        r"datamodule\.root=nowhere is not a folder",
    ),
    "no folder given": (("datamodule=opera_rtc",), r"datamodule\.root.* is not set"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_word_is_named_before_any_work(name: str, project: Any) -> None:
    asked, message = WRONG[name]
    outcome = project.run("train", *asked)
    outcome.check_told(message)
    assert not (project.folder / "data").exists()


def test_a_bad_image_is_left_out_on_demand_and_counted(project: Any, area_copy: Path, real: tuple[str, ...]) -> None:
    truncated_image(area_copy)
    outcome = project.run("train", *real, "on_bad_file=skip", "trainer.max_epochs=1")
    assert outcome.code == 0, outcome.stderr
    warnings = [line for line in outcome.stderr.splitlines() if " WARNING " in line]
    assert any(f"{_image(area_copy).name} cannot be read" in line for line in warnings)
    assert f"1 bad files are left out of the cube: {_image(area_copy).name}" in outcome.stderr
    again = project.run("train", *real, "on_bad_file=skip", "retrieval.min_dates=60")  # which ends it next
    assert "nothing to prepare" in again.stderr
    assert "1 bad files are left out of the cube" in again.stderr


def test_dates_without_weather_are_dropped_and_counted(project: Any, area_copy: Path, real: tuple[str, ...]) -> None:
    _station_files(area_copy, lambda table: table[table["DATE"] > "2020-10-31"])
    outcome = project.run("train", *real, "trainer.max_epochs=1")
    assert outcome.code == 0, outcome.stderr
    (path,) = project.cubes
    ends = Cube.open(path).window_ends
    # two days, the second of which ends on or before 1 November: not both have weather
    dropped = int((ends <= np.datetime64("2020-11-01")).sum())
    assert dropped > 5
    assert f"{dropped} dates without weather in their window are dropped: 2020-09-01, 2020-09-" in outcome.stderr
    dates = re.search(r"train \d+ patches on (\d+) dates, val \d+ patches on (\d+) .* on (\d+) dates", outcome.stderr)
    assert dates is not None
    assert sum(int(number) for number in dates.groups()) == len(ends) - dropped


def test_a_failed_training_is_marked_and_is_not_the_latest(
    project: Any, area_copy: Path, real: tuple[str, ...]
) -> None:
    outcome = project.run("train", *real, "retrieval.min_dates=60")
    assert outcome.code == 1
    outcome = project.run("predict", "dates=[2020-12-02]")
    outcome.check_told(r"no finished training with a model.*python train\.py")
    assert not (project.folder / "maps").exists()
