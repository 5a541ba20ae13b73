"""Soil from services on loopback, whose answers have the shapes of the real ones."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.transform import from_bounds
from rasterio.warp import transform_bounds
from tests.one_window import read_soil

from mlssm.config.soil_services import PolarisSoil, SoilGridsSoil, SsurgoSoil
from mlssm.config.sources import SoilSource
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.contract import Fetched, Fetcher, Place, Request
from mlssm.origins.download import Downloads
from mlssm.origins.soil.polaris import PolarisFetcher, tile_names
from mlssm.origins.soil.soilgrids import SoilGridsFetcher
from mlssm.origins.soil.ssurgo import SsurgoFetcher, met, tiles
from mlssm.sources.classes import classes_of
from mlssm.sources.faults import BadFiles

CRS, WEST, NORTH = "EPSG:32618", 330000.0, 4300000.0
GRID = Grid(CRS, (WEST, NORTH), 20.0, 20, 30)
BOX = transform_bounds(CRS, "EPSG:4326", *GRID.bounds)
QUERY = "/tabular/post.rest"
METADATA = "ColumnOrdinal=0,ColumnSize=30,NumericPrecision=255,NumericScale=255,ProviderType=VarChar,IsLong=False"


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    west, south, east, north = BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    place = Place({"type": "Polygon", "coordinates": [ring]}, BOX)
    return Request(place, dt.date(2022, 1, 1), dt.date(2022, 1, 31), GRID, tmp_path / "area", "soil")


def filled(fetcher: Fetcher, request: Request) -> Fetched:
    return fetcher.fetch(request, fetcher.plan(request))


def classes(fetched: Fetched, request: Request) -> npt.NDArray[Any]:
    """The name of each pixel's class, as the ordinary reader finds it."""
    bad = BadFiles("error")
    section = fetched.section
    assert isinstance(section, SoilSource)
    found = classes_of(request.root, section.classes, section.table, bad)
    paths = sorted((request.root / section.folder).glob("*.tif"))
    numbers = read_soil(paths, GRID, GRID.full, bad, found)
    return np.array([[found.names.get(int(each), "?") if np.isfinite(each) else "" for each in row] for row in numbers])


def rectangle(west: float, east: float) -> str:
    """A share of the grid's width, in well-known text."""
    left, top = GRID.origin
    width, height = GRID.width * GRID.pixel, GRID.height * GRID.pixel
    corners = [(left + west * width, top), (left + east * width, top)]
    corners += [(x, top - height) for x, _ in reversed(corners)]
    from rasterio.warp import transform

    xs, ys = transform(CRS, "EPSG:4326", *zip(*[*corners, corners[0]], strict=True))
    return f"POLYGON (({', '.join(f'{x} {y}' for x, y in zip(xs, ys, strict=True))}))"


def survey(server: Any, table: list[list[str | None]]) -> list[str]:
    """Let Soil Data Access answer: three map units from west to east, and a table of their classes."""
    asked: list[str] = []
    polygons = [["101", rectangle(0, 0.5)], ["102", rectangle(0.5, 0.8)], ["103", rectangle(0.8, 1)]]

    def answer(query: Any, body: Any) -> Any:
        asked.append(body["query"])
        assert body["format"] == "json+columnname+metadata"
        is_place = "mupolygongeo" in body["query"]
        columns, rows = (["mukey", "wkt"], polygons) if is_place else (["mukey", "class", "share"], table)
        return {"Table": [columns, [METADATA] * len(columns), *rows]} if rows else {}

    server.answers[QUERY] = answer
    return asked


def test_ssurgo_burns_hydrologic_groups(server: Any, downloads: Downloads, request_: Request) -> None:
    asked = survey(server, [["101", "B/D", "100"], ["102", "A", "100"], ["103", None, "100"]])
    fetched = filled(SsurgoFetcher(SsurgoSoil(service="ssurgo", api=server.url), downloads), request_)
    found = classes(fetched, request_)
    assert found[5, 3] == "B_D"
    assert found[5, 20] == "A"
    assert found[5, 28] == ""  # water: no group
    assert (found[:, :15] == "B_D").mean() > 0.9
    assert f"{BOX[0]:.6f} {BOX[1]:.6f}" in asked[0]
    assert "hydgrpdcd" in asked[1]
    assert "IN (101, 102, 103)" in asked[1]
    assert [item.name for item in fetched.files] == ["soil/ssurgo_00000_00000.tif"]
    assert "public domain" in fetched.files[0].licence


def test_ssurgo_takes_the_texture_of_the_largest_share(server: Any, downloads: Downloads, request_: Request) -> None:
    table: list[list[str | None]] = [
        ["101", "Silt loam", "40"],
        ["101", "Fine sandy loam", "30"],
        ["101", "Sandy loam", "25"],  # 55 with the one above
        ["102", "Clay", "90"],
        ["103", "Muck", "100"],
    ]
    survey(server, table)
    settings = SsurgoSoil(service="ssurgo", api=server.url, classes="texture")
    found = classes(filled(SsurgoFetcher(settings, downloads), request_), request_)
    assert found[5, 3] == "sandy_loam"
    assert found[5, 20] == "clay"
    assert found[5, 28] == ""


def test_ssurgo_goes_on_after_faults_for_now(server: Any, downloads: Downloads, request_: Request) -> None:
    survey(server, [["101", "B", "100"], ["102", "A", "100"]])
    server.faults[QUERY] = [503, 500]
    fetched = filled(SsurgoFetcher(SsurgoSoil(service="ssurgo", api=server.url), downloads), request_)
    assert len(fetched.files) == 1
    server.faults[QUERY] = [400]
    (request_.root / fetched.files[0].name).unlink()
    with pytest.raises(DataError, match="Soil Data Access refuses a query"):
        filled(SsurgoFetcher(SsurgoSoil(service="ssurgo", api=server.url), downloads), request_)


def test_ssurgo_says_where_it_has_nothing_or_something_unknown(
    server: Any, downloads: Downloads, request_: Request
) -> None:
    fetcher = SsurgoFetcher(SsurgoSoil(service="ssurgo", api=server.url), downloads)
    server.answers[QUERY] = lambda query, body: {}
    with pytest.raises(DataError, match="has no map unit on area"):
        filled(fetcher, request_)
    survey(server, [["101", "E", "100"]])
    with pytest.raises(DataError, match="hydrologic group 'E', which is none of A, A/D"):
        filled(fetcher, request_)


def test_tiles_cover_a_grid_once() -> None:
    grid = Grid(CRS, (WEST, NORTH), 20.0, 900, 500)
    count = np.zeros(grid.shape, int)
    for tile in tiles(grid):
        count[tile.window.slices] += 1
    assert (count == 1).all()


def test_only_tiles_that_the_place_meets_are_asked_for(request_: Request) -> None:
    grid = Grid(CRS, (WEST, NORTH), 20.0, 900, 500)
    place = Place({"type": "Polygon", "coordinates": [[[*BOX[:2]], [BOX[2], BOX[1]], [*BOX[2:]], [*BOX[:2]]]]}, BOX)
    wide = Request(place, request_.first, request_.last, grid, request_.root, "soil")
    assert [tile.name for tile in met(wide)] == ["ssurgo_00000_00000.tif"]
    assert len(list(tiles(grid))) == 8


def coverage(value: float, nodata: float | None = -32768, dtype: Any = np.int16) -> bytes:
    """What a WCS answers: degrees, 250 m."""
    from rasterio.io import MemoryFile

    values = np.full((14, 18), value, dtype)
    values[:, 12:] = -32768 if nodata is not None else 0
    west, south, east, north = BOX
    transform = from_bounds(west - 0.01, south - 0.01, east + 0.01, north + 0.01, 18, 14)
    profile = {"driver": "GTiff", "count": 1, "dtype": dtype, "crs": "EPSG:4326", "nodata": nodata}
    with MemoryFile() as memory:
        with memory.open(**profile, height=14, width=18, transform=transform) as dataset:
            dataset.write(values, 1)
        return memory.read()


@pytest.mark.parametrize("nodata", [-32768, None])
def test_soilgrids_becomes_texture(server: Any, downloads: Downloads, request_: Request, nodata: float | None) -> None:
    server.by_query = {"clay_5-15cm_mean": coverage(150, nodata), "sand_5-15cm_mean": coverage(200, nodata)}
    settings = SoilGridsSoil(service="soilgrids", api=f"{server.url}/mapserv", depth="5-15cm")
    fetched = filled(SoilGridsFetcher(settings, downloads), request_)
    found = classes(fetched, request_)
    assert found[10, 2] == "silt_loam"  # 15 % clay, 20 % sand
    assert set(found.ravel()) <= {"silt_loam", ""}
    address = str(fetched.files[0].address)
    assert "COVERAGEID=clay_5-15cm_mean" in address
    assert f"SUBSET=long({BOX[0] - 0.01:.6f},{BOX[2] + 0.01:.6f})" in address
    before = len(server.seen)
    filled(SoilGridsFetcher(settings, downloads), request_)
    assert len(server.seen) == before  # it is there


def test_soilgrids_that_answers_otherwise_is_refused(server: Any, downloads: Downloads, request_: Request) -> None:
    fetcher = SoilGridsFetcher(SoilGridsSoil(service="soilgrids", api=f"{server.url}/mapserv"), downloads)
    server.by_query = {"clay": b"<ows:ExceptionReport>msWCSGetCoverage20(): no such coverage"}
    with pytest.raises(DataError, match="answers with no GeoTIFF: <ows:ExceptionReport>"):
        filled(fetcher, request_)
    server.by_query = {"clay": coverage(1500), "sand": coverage(200)}
    with pytest.raises(DataError, match="1500 g/kg, more than the whole soil"):
        filled(fetcher, request_)
    server.by_query = {"clay": coverage(-32768), "sand": coverage(-32768)}
    with pytest.raises(DataError, match="has no soil on area"):
        filled(fetcher, request_)


def polaris(server: Any, made: Any, clay: float, sand: float) -> PolarisFetcher:
    (name,) = tile_names(GRID)
    for part, value in (("clay", clay), ("sand", sand)):
        values = np.full((60, 60), value, np.float32)
        values[:, 15:] = -9999
        server.files[f"/v1.0/{part}/mean/0_5/{name}.tif"] = made.cog(
            values, 30, -9999, north=NORTH + 300, west=WEST - 150
        )
    return PolarisFetcher(PolarisSoil(service="polaris", api=f"{server.url}/v1.0"), Downloads(settings_of(server)))


def settings_of(server: Any) -> Any:
    from mlssm.config.origins import DownloadConfig

    return DownloadConfig(cache=None, retries=2, backoff_s=0.001, timeout_s=1)


def test_polaris_becomes_texture_by_windows(server: Any, made: Any, request_: Request) -> None:
    fetched = filled(polaris(server, made, 60, 20), request_)
    found = classes(fetched, request_)
    assert found[10, 5] == "clay"
    assert found[10, 25] == ""
    assert fetched.files[0].licence.startswith("not stated")
    with rasterio.open(request_.root / fetched.files[0].name) as dataset:
        assert dataset.dtypes == ("uint8",)
        assert dataset.nodata == 0


def test_polaris_says_where_it_has_nothing_or_no_percent(server: Any, made: Any, request_: Request) -> None:
    with pytest.raises(DataError, match="holds 600 to 600, which are no percent"):
        filled(polaris(server, made, 600, 20), request_)
    server.files.clear()
    fetcher = PolarisFetcher(PolarisSoil(service="polaris", api=f"{server.url}/v1.0"), Downloads(settings_of(server)))
    with pytest.raises(DataError, match="POLARIS has nothing on area"):
        filled(fetcher, request_)


def test_tiles_of_polaris_are_named_by_their_corners() -> None:
    assert list(tile_names(GRID)) == ["lat3839_lon-77-76"]
