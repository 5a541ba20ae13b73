"""Soil groups from answers of the form that Soil Data Access gives, on loopback."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from shapely.geometry import box

from mlssm.config import GridConfig
from mlssm.config.ssurgo import SsurgoSoil
from mlssm.errors import DataError
from mlssm.origins.contract import Request
from mlssm.origins.download import Downloads
from mlssm.origins.place import read_place
from mlssm.origins.ssurgo import SsurgoFetcher
from mlssm.origins.stated_grid import state_grid

# a box of two by one tiles of 0.05 degrees
PLACE = (-77.0, 38.8, -76.9, 38.85)
WEST, EAST = box(-77.01, 38.79, -76.95, 38.86).wkt, box(-76.95, 38.79, -76.89, 38.86).wkt


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    place = read_place(PLACE)
    grid = state_grid(place, GridConfig(crs=None, resolution_m=100))
    return Request(place, dt.date(2022, 1, 1), dt.date(2022, 2, 1), grid, tmp_path / "area", "soil")


@pytest.fixture
def soil(server: Any, downloads: Downloads) -> SsurgoFetcher:
    server.rows = [["1", "B", WEST], ["2", "C/D", EAST], ["3", None, WEST]]
    server.answers["/sda"] = lambda query, body: {"Table": server.rows} if "SELECT" in body["query"] else {}
    return SsurgoFetcher(SsurgoSoil(service="ssurgo", api=f"{server.url}/sda"), downloads)


def test_groups_lie_where_their_map_units_are(server: Any, soil: SsurgoFetcher, request_: Request) -> None:
    server.faults["/sda"] = [500]
    plan = soil.plan(request_)
    assert plan.requests == 2
    fetched = soil.fetch(request_, plan)
    assert fetched.section.model_dump()["classes"][6] == "C_D"
    assert fetched.files[0].licence.startswith("work of the US Government")
    with rasterio.open(request_.root / "soil" / "hydrologic_group.tif") as dataset:
        values = dataset.read(1)
    columns, _ = request_.grid.project(np.array([-76.95]), np.array([38.825]))
    border = round((columns[0] - request_.grid.origin[0]) / request_.grid.pixel)
    middle = values[values.shape[0] // 2]
    assert set(middle[: border - 1]) == {3}
    assert set(middle[border + 1 :]) == {6}


def test_what_was_asked_already_is_not_asked_again(server: Any, soil: SsurgoFetcher, request_: Request) -> None:
    soil.fetch(request_, soil.plan(request_))
    soil.fetch(request_, soil.plan(request_))
    assert server.count("POST", "/sda") == 2


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([["1", "B"]], "answers otherwise than it is described"),
        ([["1", None, WEST]], "has no hydrologic group for area"),
        ([["1", "B", WEST]] * 5, "cuts its answer at 5 rows"),
    ],
    ids=["form", "none", "cut"],
)
def test_an_answer_that_does_not_serve_is_refused(
    server: Any,
    soil: SsurgoFetcher,
    request_: Request,
    rows: list[Any],
    match: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlssm.origins.ssurgo.MOST_ROWS", 5)
    server.rows = rows
    with pytest.raises(DataError, match=match):
        soil.fetch(request_, soil.plan(request_))
