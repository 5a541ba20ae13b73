"""What would be fetched, said without fetching it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlssm.config import DatamoduleConfig, TrainConfig, parse
from mlssm.origins.dry_run import dry_run, estimate
from mlssm.origins.fill import request_of

COUNTY = "+experiment=prince_georges"


def county(composed: Any, server: Any, *overrides: str) -> DatamoduleConfig:
    services = ("backscatter", "dem", "ndvi", "weather")
    values = composed(
        "train",
        COUNTY,
        "datamodule.dry_run=true",
        "datamodule.origin.download.backoff_s=0.001",
        *(f"++datamodule.origin.{source}.api={server.url}" for source in services),
        *(f"datamodule.origin.{source}.sign=null" for source in services[:3]),
        *overrides,
    )
    return parse(TrainConfig, values).datamodule


def test_the_paper_s_area_is_one_command(tmp_path: Path, server: Any, composed: Any, made: Any) -> None:
    config = county(composed, server)
    assert (config.time_zone, config.area) == ("America/New_York", "prince_georges")
    request = request_of(config)
    assert (request.grid.crs, request.grid.pixel) == ("EPSG:32618", 20)
    assert config.origin is not None
    assert config.origin.weather is not None


def test_the_paper_s_area_comes_from_earth_engine_too(composed: Any) -> None:
    config = parse(TrainConfig, composed("train", COUNTY, "datamodule=earth_engine")).datamodule
    assert config.origin is not None
    services = {name: getattr(config.origin, name).service for name in ("backscatter", "ndvi", "soil", "weather")}
    assert services == {"backscatter": "earth_engine", "ndvi": "earth_engine", "soil": "ssurgo", "weather": "noaa"}
    assert (config.area, config.time_zone) == ("prince_georges", "America/New_York")


def test_scenes_bytes_and_requests_are_said(
    server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, composed: Any, made: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    bounds = (-77.5, 38.0, -76.0, 39.5)
    assets = {pol: f"{server.url}/{pol}.tif" for pol in ("vv", "vh")}
    facts = {"platform": "sentinel-1a", "sat:relative_orbit": 4}
    days = (f"2022-01-{day:02d}T23:00:00Z" for day in (1, 13, 25))
    made.serve(server, "sentinel-1-rtc", [made.item(f"S1A_{day}", day, bounds, assets, **facts) for day in days])
    config = county(composed, server, *(f"datamodule.origin.{source}=null" for source in ("dem", "ndvi", "weather")))
    text = dry_run(config)
    # 6 files of 3342 x 1876 pixels of 20 m, read as pixels of 10 m of 4 bytes
    assert "backscatter: 6 files, 601.9 MB, 20 requests; STAC" in text
    assert "3 scenes of relative orbit 4, 2022-01-01 to 2022-01-25" in text
    assert "ESTIMATE" not in text
    assert list(tmp_path.iterdir()) == []
    assert server.count("GET", "/vv") == 0


def test_without_a_service_it_is_an_estimate_and_says_so(server: Any, composed: Any, made: Any) -> None:
    server.faults["*"] = [503] * 99
    text = dry_run(county(composed, server))
    for source in ("backscatter", "dem", "ndvi", "weather"):
        assert f"{source}: ESTIMATE of about" in text
    assert text.count("status 503") == 4


def test_an_estimate_is_revisit_times_area_times_bytes(server: Any, composed: Any, made: Any) -> None:
    request = request_of(county(composed, server))
    files, size, _ = estimate("backscatter", request)
    # 1096 days, a pass of each of two tracks every 12 days, two polarisations
    assert files == 2 * 2 * 92
    assert size == files * 3342 * 1876 * 4 * 4
    assert estimate("dem", request)[0] == 4  # tiles of a degree that the county touches


def test_opera_fetches_whole_bursts_of_any_small_place(composed: Any) -> None:
    place = ("datamodule=opera", "area=[-76.9,38.7,-76.88,38.72]", "dates=2022-01-01/2022-01-12")
    config = parse(TrainConfig, composed("train", *place)).datamodule
    request = request_of(config)
    files, size, _ = estimate("backscatter", request, "opera")
    assert files == 4  # two tracks and two polarisations of one burst
    assert size == pytest.approx(files * 20e3 * 85e3 / 900 * 4)
    assert size > 10 * estimate("backscatter", request, "stac")[1]
