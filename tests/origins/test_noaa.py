"""NOAA's access service, as a server on loopback plays it."""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from mlssm.config import parse
from mlssm.config.noaa import NoaaWeather
from mlssm.config.origins import DownloadConfig, OriginConfig
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins import services
from mlssm.origins.contract import Place, Request
from mlssm.origins.download import Downloads
from mlssm.origins.noaa import NoaaFetcher, wrong_with
from mlssm.sources.weather.load import load_weather

STATIONS = {"USC00000001": (-119.75, 34.45), "USW00000002": (-119.5, 34.6), "US1CASB0003": (-119.2, 34.2)}
HEADER = '"STATION","DATE","LATITUDE","LONGITUDE","ELEVATION","NAME","PRCP","PRCP_ATTRIBUTES","TMAX","TMIN"'
Answer = tuple[int, bytes, dict[str, str]]


def record(station: str, days: int = 3) -> bytes:
    longitude, latitude = STATIONS[station]
    lines = [
        f'"{station}","2022-01-{day:02d}","{latitude}","{longitude}","12.0","TOWN, CA","12.7",",,7,2400","20.5","8.1"'
        for day in range(1, days + 1)
    ]
    return "\n".join([HEADER, *lines, ""]).encode()


class Service:
    """Answers searches and requests for data; what it is told to do wrong it does first."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.first: list[Answer | str] = []
        self.data: Callable[[str], bytes] = record
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                service.asked.append({"path": parts.path} | query)
                status, body, headers = service.answer(parts.path, query)
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body)), "Connection": "close"} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        if self.first:
            wrong = self.first.pop(0)
            if isinstance(wrong, tuple):
                return wrong
            body = self.right(path, query)
            return 200, body[: len(body) // 2], {"Content-Length": str(len(body))}
        return 200, self.right(path, query), {"Content-Type": "text/csv"}

    def right(self, path: str, query: dict[str, str]) -> bytes:
        if path.endswith("/search/v1/data"):
            north, west, south, east = (float(value) for value in query["bbox"].split(","))
            results = [
                {"stations": [{"id": name}], "boundingPoints": [{"type": "Point", "coordinates": [x, y]}]}
                for name, (x, y) in STATIONS.items()
                if west <= x <= east and south <= y <= north
            ]
            return json.dumps({"count": len(results), "results": results}).encode()
        return self.data(query["stations"])


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    service.thread.start()
    yield service
    service.server.shutdown()
    service.thread.join()
    service.server.server_close()


def fetcher(service: Service, **settings: Any) -> NoaaFetcher:
    api = f"http://127.0.0.1:{service.server.server_port}/access/services"
    downloads = Downloads(DownloadConfig(cache=None, backoff_s=0, retries=3, timeout_s=5, threads=2))
    return NoaaFetcher(NoaaWeather.model_validate({"service": "noaa", "api": api} | settings), downloads)


def request(root: Path, last: int = 3) -> Request:
    box = (-119.8, 34.4, -119.7, 34.5)
    grid = Grid("EPSG:32611", (240000, 3820000), 30, 10, 10)
    place = Place({"type": "Polygon", "coordinates": []}, box)
    return Request(place, dt.date(2022, 1, 1), dt.date(2022, 1, last), grid, root, "weather")


def test_stations_of_a_box_are_fetched_and_read(service: Service, tmp_path: Path) -> None:
    noaa = fetcher(service, margin_km=40, days_before=30)
    plan = noaa.plan(request(tmp_path))
    assert [wanted.name for wanted in plan.wanted] == [
        "weather/USC00000001.csv",
        "weather/USW00000002.csv",
    ]
    assert plan.requests == 3
    asked = service.asked[0]
    north, west, *_ = (float(value) for value in asked["bbox"].split(","))
    assert (asked["startDate"], asked["endDate"], asked["dataTypes"]) == ("2021-12-02", "2022-01-03", "PRCP")
    assert (north - 34.5) * 111.2 == pytest.approx(40, rel=1e-3)
    assert (-119.8 - west) * 111.2 * np.cos(np.radians(34.5)) == pytest.approx(40, rel=1e-3)
    assert not (tmp_path / "weather").exists()
    fetched = noaa.fetch(request(tmp_path), plan)
    assert {file.name for file in fetched.files} == {wanted.name for wanted in plan.wanted}
    assert service.asked[1]["units"] == "metric"
    assert all("public domain" in file.licence for file in fetched.files)
    weather, _ = load_weather(tmp_path, fetched.section, "error")  # type: ignore[arg-type]
    assert weather.ids == ("USC00000001", "USW00000002")
    np.testing.assert_allclose(weather.values[:, :, 0], 12.7)
    before = len(service.asked)
    noaa.fetch(request(tmp_path), plan)
    assert len(service.asked) == before  # what is there is not fetched again


@pytest.mark.parametrize(
    "wrong", [(429, b"slow down", {"Retry-After": "0"}), (500, b"oops", {}), (503, b"", {}), "cut off"]
)
def test_faults_for_now_are_tried_again(service: Service, tmp_path: Path, wrong: Answer | str) -> None:
    noaa = fetcher(service, most_stations=1)
    service.first = [wrong, wrong]
    plan = noaa.plan(request(tmp_path))
    service.first = [wrong, wrong]
    (file,) = noaa.fetch(request(tmp_path), plan).files
    assert (tmp_path / file.name).read_bytes() == record("USC00000001")
    assert file.size == len(record("USC00000001"))
    assert len(service.asked) == 6


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><body>Under maintenance</body></html>", "no record of it: '<html>"),
        (b'{"errorCode":"500","errorMessage":"An error occured"}', "no record of it: '{"),
        (record("USW00000002"), "no record of it: it holds 'USW00000002'"),
        (record("USC00000001")[:-40], "no record of it: it is cut off in its last line"),
    ],
)
def test_pages_of_another_kind_are_no_record(service: Service, tmp_path: Path, body: bytes, message: str) -> None:
    noaa = fetcher(service, most_stations=1)
    plan = noaa.plan(request(tmp_path))
    service.data = lambda station: body
    with pytest.raises(DataError, match=message):
        noaa.fetch(request(tmp_path), plan)
    assert not list(tmp_path.rglob("*.csv"))


def test_stations_without_a_day_are_left_out(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noaa = fetcher(service, margin_km=40)
    plan = noaa.plan(request(tmp_path))
    service.data = {"USC00000001": b"", "USW00000002": HEADER.encode() + b"\n"}.__getitem__
    with caplog.at_level("WARNING"), pytest.raises(DataError, match="none of 2 stations has a day"):
        noaa.fetch(request(tmp_path), plan)
    assert sum("has no day in the span: left out" in line for line in caplog.messages) == 2


def test_a_place_without_stations_and_an_answer_of_another_form(service: Service, tmp_path: Path) -> None:
    nowhere = fetcher(service, margin_km=0)
    service.right = lambda path, query: b'{"count": 0, "results": []}'  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"knows no station with rain within 0 km .* enlarge"):
        nowhere.plan(request(tmp_path))
    service.right = lambda path, query: b'{"message": "moved"}'  # type: ignore[method-assign]
    with pytest.raises(DataError, match="answers a search otherwise than it should"):
        nowhere.plan(request(tmp_path))
    service.right = lambda path, query: b'{"results": [{"stations": [{"id": "X"}]}]}'  # type: ignore[method-assign]
    with pytest.raises(DataError, match="a station without a name or a place"):
        nowhere.plan(request(tmp_path))


def test_what_is_wrong_with_a_record() -> None:
    assert wrong_with(record("USC00000001"), "USC00000001") is None
    assert wrong_with(b"[]", "USC00000001") == "no line"


def test_the_service_is_one_of_the_weathers(tmp_path: Path) -> None:
    settings = parse(OriginConfig, {"weather": {"service": "noaa", "margin_km": 30}}).weather
    assert settings == NoaaWeather(service="noaa", margin_km=30)
    found = services.fetcher("weather", settings, Downloads(DownloadConfig(cache=tmp_path)))
    assert isinstance(found, NoaaFetcher)
