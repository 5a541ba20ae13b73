"""Areas from Earth Engine: the requests that are built, what is made of answers, and what faults are told as."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from tests.one_pass import read_pass

from mlssm.config import DatamoduleConfig, parse
from mlssm.config.area_file import read_area_file
from mlssm.config.earth_engine import EarthEngineNdvi, EarthEngineService
from mlssm.config.origins import DownloadConfig
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.earth_engine.backscatter import scene_image
from mlssm.origins.earth_engine.elevation import MODELS, elevation_image
from mlssm.origins.earth_engine.ndvi import ndvi_image
from mlssm.origins.earth_engine.session import Session
from mlssm.origins.fill import fill
from mlssm.prepare.settle import settle
from mlssm.sources.backscatter import index_backscatter
from mlssm.sources.faults import BadFiles

PLACE = [-76.80, 38.80, -76.75, 38.83]
GRID = Grid("EPSG:32618", (340000.0, 4300000.0), 20.0, 6, 8)
S1, S2 = "COPERNICUS/S1_GRD", "COPERNICUS/S2_SR_HARMONIZED"
DAYS = ("20220101", "20220113", "20220125")


def milliseconds(day: str, hour: int) -> int:
    return int(dt.datetime.strptime(day, "%Y%m%d").replace(hour=hour, tzinfo=dt.UTC).timestamp() * 1000)


def scene(day: str, end: str = "1AB2", processed: int | None = 1) -> list[Any]:
    index = f"S1A_IW_GRDH_1SDV_{day}T230000_{day}T230025_041000_04DEF0_{end}"
    return [index, milliseconds(day, 23), 106, "ASCENDING", *([processed] if processed else [])]


def sentinel2(day: str, cloud: float) -> list[Any]:
    return [f"{day}T155821_{day}T160101_T18SUJ", milliseconds(day, 16), cloud, "18SUJ", 0.0]


def pixels(text: str, band: str, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    level = {"VV": -10.0, "VH": -17.0, "angle": 39.0, "DEM": 55.0, "ndvi": 0.5}[band]
    values = np.full(shape, level) + (0.01 * np.arange(shape[1]) if band != "ndvi" else 0)
    values[0] = np.nan
    return values


@pytest.fixture
def filled(engine: Any) -> Any:
    engine.rows = {S2: [sentinel2("20220105", 5), sentinel2("20220107", 50)], S1: [scene(day) for day in DAYS]}
    engine.bands = ("VV", "VH", "angle", "DEM", "ndvi")
    engine.values = pixels
    return engine


Area = Callable[..., DatamoduleConfig]


@pytest.fixture
def area(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> Area:
    def made(*overrides: str) -> DatamoduleConfig:
        values = composed(
            "train",
            "datamodule=earth_engine",
            f"datamodule.root={tmp_path / 'area'}",
            f"area={PLACE}",
            "dates=2022-01-01/2022-01-31",
            "datamodule.origin.download.backoff_s=0",
            "datamodule.origin.download.retries=2",
            "datamodule.origin.weather=null",
            *overrides,
        )
        return parse(DatamoduleConfig, values["datamodule"])

    return made


def test_an_area_is_filled_and_read(filled: Any, area: Area) -> None:
    config = area()
    fill(config)
    names = [f"backscatter/S1A_{day}T230000_106_ascending.tif" for day in DAYS]
    found = sorted(path.relative_to(config.root).as_posix() for path in config.root.rglob("*.tif"))
    assert found == [*names, "dem/copernicus.tif", "ndvi/ndvi_20220105.tif"]
    stated = read_area_file(config.root)
    assert stated is not None
    assert {source.name for source in stated.provenance} == set(found)
    assert stated.provenance[0].address == f"earthengine:{S1}/{scene(DAYS[0])[0]}"
    (config.root / "weather").mkdir()  # the user's own
    settled, _ = settle(config)
    bad = BadFiles("error")
    index = index_backscatter(config.root, settled.backscatter, settled.grid, bad)
    assert [(each.orbit, each.platform) for each in index.passes] == [(106, "S1A")] * 3
    decibels = read_pass(index.passes[0], "VH", index.grid, index.extents[0], bad)
    assert decibels is not None
    with rasterio.open(config.root / names[0]) as dataset:
        assert dataset.descriptions == ("VV", "VH", "angle")
        stored = dataset.read(2)
    np.testing.assert_allclose(decibels[1:], stored[1:], atol=1e-5)
    assert np.isnan(decibels[0]).all()
    assert stored[1, 3] == pytest.approx(-16.97)
    assert list(index.incidence) == [106]


def test_all_pixels_are_asked_for_on_the_stated_grid_in_tiles(filled: Any, area: Area) -> None:
    config = area(*(f"datamodule.origin.{each}=null" for each in ("dem", "ndvi")))
    config.origin.backscatter.__dict__["tile"] = 64  # type: ignore[union-attr]
    fill(config)
    with rasterio.open(next(config.root.rglob("*.tif"))) as dataset:
        height, width, transform = dataset.height, dataset.width, dataset.transform
    across, down = -(-width // 64), -(-height // 64)
    assert across > 1
    assert len(filled.grids) == 3 * 3 * across * down
    assert {grid["crsCode"] for grid in filled.grids} == {"EPSG:32618"}
    corners = {(grid["affineTransform"]["translateX"], grid["affineTransform"]["translateY"]) for grid in filled.grids}
    wanted = {(transform.c + x * 64 * 20, transform.f - y * 64 * 20) for x in range(across) for y in range(down)}
    assert corners == wanted
    assert max(grid["dimensions"]["width"] for grid in filled.grids) == 64


def test_the_search_is_of_the_place_the_days_the_mode_and_polarisations(filled: Any, area: Area) -> None:
    fill(area(*(f"datamodule.origin.{each}=null" for each in ("dem", "ndvi"))))
    search = filled.asked[0]
    assert f'"id": {{"constantValue": "{S1}"}}' in search
    for constant in ("2021-12-31", "2022-02-02", "instrumentMode", "IW", "transmitterReceiverPolarisation", "VV", "VH"):
        assert f'"constantValue": "{constant}"' in search
    assert "-76.8" in search
    assert '"functionName": "Filter.intersects"' in search


def test_a_scene_that_was_processed_twice_is_taken_once_and_days_are_local(
    filled: Any, area: Area, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    # 1 January 2022, 1 h UTC is 31 December there
    before = ["S1A_IW_GRDH_1SDV_20220101T010000_x_1", milliseconds("20220101", 1), 4, "DESCENDING", 1]
    filled.rows[S1] = [before, scene(DAYS[0], "NEW1", 9), scene(DAYS[0], "ZOLD", 5), scene(DAYS[1], "0000", None)]
    config = area(*(f"datamodule.origin.{each}=null" for each in ("dem", "ndvi")))
    fill(config)
    stated = read_area_file(config.root)
    assert stated is not None
    assert [str(item.address)[-4:] for item in stated.provenance] == ["NEW1", "0000"]
    assert "1 scenes are there in an older processing" in caplog.text


def test_a_killed_fill_goes_on_scene_by_scene(filled: Any, area: Area) -> None:
    import ee

    config = area(
        *(f"datamodule.origin.{each}=null" for each in ("dem", "ndvi")),
        "datamodule.origin.download.threads=1",
    )
    normal = filled.values

    def failing(text: str, band: str, shape: tuple[int, int]) -> Any:
        if DAYS[1] in text:
            raise ee.EEException("User memory limit exceeded.")
        return normal(text, band, shape)

    filled.values = failing
    with pytest.raises(DataError, match=r"User memory limit exceeded\.; set a smaller .*tile"):
        fill(config)
    filled.values, before = normal, len(filled.asked)
    fill(config)
    assert len(list(config.root.rglob("*.tif"))) == 3
    assert not any(DAYS[0] in text for text in filled.asked[before:])


def nodes(image: Any) -> str:
    from ee import serializer

    return json.dumps(serializer.encode(image, is_compound=False, for_cloud_api=True))


def test_coarser_backscatter_is_a_mean_of_power(engine: Any) -> None:
    coarse, fine = (
        nodes(scene_image(f"{S1}/x", ("VV", "VH"), Grid(GRID.crs, GRID.origin, pixel, 6, 8))) for pixel in (20.0, 10.0)
    )
    order = [coarse.index(f'"Image.{name}"') for name in ("log10", "reduceResolution", "exp")]  # outermost first
    assert order == sorted(order)
    assert "0.2302585" in coarse  # ln(10) / 10: decibels to power
    assert '"Reducer.mean"' in coarse
    assert "reduceResolution" not in fine
    assert "Image.exp" not in fine


def test_ndvi_masks_clouds_by_classes_or_by_probability(engine: Any) -> None:
    assets = [f"{S2}/{sentinel2(day, 5)[0]}" for day in ("20220105", "20220105")]
    classes = nodes(ndvi_image(assets, EarthEngineNdvi(service="earth_engine")))
    chosen = EarthEngineNdvi(service="earth_engine", clouds="probability", most_probable=33)
    probability = nodes(ndvi_image(assets, chosen))
    assert '"constantValue": [4, 5, 6, 7]' in classes
    assert '"constantValue": ["B8", "B4"]' in classes
    assert '"Image.updateMask"' in classes
    assert "CLOUD_PROBABILITY" not in classes
    assert '"constantValue": [4, 5, 6, 7, 8, 9, 10]' in probability
    assert "COPERNICUS/S2_CLOUD_PROBABILITY" in probability
    assert '"constantValue": 33' in probability
    assert '"constantValue": "2022-01-06"' in probability  # the day's end


def test_elevation_is_of_either_model(engine: Any) -> None:
    copernicus, nasadem = (nodes(elevation_image(MODELS[name], GRID)) for name in ("copernicus", "nasadem"))
    assert "COPERNICUS/DEM/GLO30" in copernicus
    assert '"ImageCollection.mosaic"' in copernicus
    assert "NASA/NASADEM_HGT/001" in nasadem
    assert all('"constantValue": "bilinear"' in text for text in (copernicus, nasadem))


def test_values_that_no_ndvi_has_are_refused(filled: Any, area: Area) -> None:
    filled.values = lambda text, band, shape: np.full(shape, 5000.0)
    with pytest.raises(DataError, match=r"an NDVI of 5000, outside -1\.\.1"):
        fill(area(*(f"datamodule.origin.{each}=null" for each in ("dem", "backscatter"))))


def test_no_scene_is_told(filled: Any, area: Area) -> None:
    filled.rows[S1] = []
    with pytest.raises(DataError, match=r"no IW scene with VV and VH .* \(relative orbits: all\)"):
        fill(area())


def session() -> Session:
    patience = DownloadConfig(cache=None, retries=2, backoff_s=0)
    return Session(EarthEngineService(service="earth_engine"), patience)


def failing(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("Not signed up for Earth Engine or project is not registered. Visit https://x", "register the project at"),
        ("ee.Initialize: no project found. Call with project= or see http://goo.gle/ee-auth.", r"SOURCE\.project="),
        ("Please authorize access to your Earth Engine account by running\n\nearthengine authenticate", "run `earth"),
        ("Earth Engine API has not been used in project 42 before or it is disabled.", "enable the Earth Engine API"),
        ("Caller does not have required permission to use project p. Grant the caller the role", "Service Usage"),
        ("Total request size (60000000 bytes) must be less than or equal to 50331648 bytes.", "smaller .*tile"),
        ("Image.load: Image asset 'A' not found (does not exist or caller does not have access).", "is not there"),
        ("Image.select: Band pattern 'VH' did not match any bands.", "Band pattern"),
    ],
)
def test_what_is_refused_for_good_is_asked_once_and_told_with_its_cure(engine: Any, said: str, cure: str) -> None:
    import ee

    asked: list[int] = []
    with pytest.raises(DataError, match=cure):
        session().ask(lambda: (asked.append(1), failing(ee.EEException(said))), "the login")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (
            "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded.",
            "quota",
        ),
        ("Quota exceeded for quota metric 'Compute requests' and limit 'per minute'.", "quota is used up for now"),
        ("Computation timed out.", "smaller"),
        ("An internal error has occurred", "smaller"),
    ],
)
def test_what_fails_for_now_is_asked_again(engine: Any, said: str, word: str) -> None:
    import ee

    answers: list[Exception] = [ee.EEException(said)] * 2
    assert session().ask(lambda: failing(answers.pop()) if answers else 7, "pixels") == 7
    with pytest.raises(DataError, match=f"{word}.*given up after 3 trials"):
        session().ask(lambda: failing(ee.EEException(said)), "pixels")


def test_an_expired_login_and_a_broken_connection_are_told_apart(engine: Any) -> None:
    from google.auth.exceptions import RefreshError, TransportError

    with pytest.raises(DataError, match="run `earthengine authenticate`"):
        session().ask(lambda: failing(RefreshError("invalid_grant: Bad Request")), "the login")
    with pytest.raises(DataError, match=r"the connection broke.*given up after 3 trials"):
        session().ask(lambda: failing(TransportError("no route")), "the login")
    with pytest.raises(ZeroDivisionError):
        session().ask(lambda: 1 // 0, "the login")


def test_without_a_login_the_cure_is_told(engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ee

    ee.Reset()
    monkeypatch.setattr(ee.oauth, "get_credentials_path", lambda: str(tmp_path / "none"))
    monkeypatch.setattr(
        ee.data.google.auth, "default", lambda: failing(ee.data.google.auth.exceptions.DefaultCredentialsError())
    )
    with pytest.raises(DataError, match=r"refuses the login: Please authorize .* run `earthengine authenticate`"):
        session().sign_in()
