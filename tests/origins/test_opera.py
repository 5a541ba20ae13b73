"""OPERA bursts from a catalogue of recorded shape and a server of data, both on loopback."""

from __future__ import annotations

import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio
import requests
from asf_search import ASFSession
from rasterio.transform import from_origin
from requests.adapters import HTTPAdapter

from mlssm.config import BackscatterConfig, DatamoduleConfig, GridConfig
from mlssm.config.origins import DownloadConfig, OperaBackscatter, OriginConfig
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.jobs.area import open_area
from mlssm.origins import earthdata, opera
from mlssm.origins.contract import Place, Request
from mlssm.origins.earthdata import earthdata_session, is_below
from mlssm.origins.opera import Granule, OperaFetcher, newest, within_days

from .conftest import Faulty

GRID = Grid("EPSG:32611", (500000.0, 3830000.0), 30.0, 20, 20)
WEST, SOUTH, EAST, NORTH = -117.0, 34.60, -116.99, 34.612
PLACE = {
    "type": "Polygon",
    "coordinates": [[[WEST, SOUTH], [EAST, SOUTH], [EAST, NORTH], [WEST, NORTH], [WEST, SOUTH]]],
}
BURST, OTHER = "T137-292324-IW2", "T064-135518-IW1"
TIFF_PATH = "/data/"


def name(burst: str, acquired: str, processed: str) -> str:
    return f"OPERA_L2_RTC-S1_{burst}_{acquired}Z_{processed}Z_S1A_30_v1.0"


def static_name(burst: str) -> str:
    return f"OPERA_L2_RTC-S1-STATIC_{burst}_20140403_S1A_30_v1.0"


def product(url: str, collection: str, granule: str, layers: dict[str, int], east: float = 0.0) -> dict[str, Any]:
    """A granule as CMR's UMM JSON has it (version 1.4), with what is read of it."""
    files = [f"{granule}_{layer}.tif" for layer in layers]
    static = "STATIC" in granule
    burst = granule.removeprefix("OPERA_L2_RTC-S1-STATIC_").removeprefix("OPERA_L2_RTC-S1_").partition("_")[0]
    acquired = "20140403T000000" if static else granule.split("_")[4].rstrip("Z")
    stamp = dt.datetime.strptime(acquired, "%Y%m%dT%H%M%S").strftime("%Y-%m-%dT%H:%M:%S.000Z")
    times = {"BeginningDateTime": stamp, "EndingDateTime": stamp}
    west, south, right, north = WEST - 0.1, SOUTH - 0.1, EAST + 0.1, NORTH + 0.1
    points = [(west, south), (west, north), (right, north), (right, south), (west, south)]
    boundary = {"Points": [{"Longitude": x + east, "Latitude": y} for x, y in points]}
    attributes = {
        "PROCESSING_TYPE": "RTC-STATIC" if static else "RTC",
        "PRODUCT_TYPE": "RTC-STATIC" if static else "RTC",
        "OPERA_BURST_ID": burst.replace("-", "_"),
        "ASCENDING_DESCENDING": "ASCENDING",
        "BEAM_MODE": "IW",
        "PATH_NUMBER": burst[1:4],
    }
    return {
        "meta": {
            "concept-id": f"G-{granule}",
            "collection-concept-id": "C2795135174-ASF" if static else "C2777436413-ASF",
            "native-id": granule,
            "provider-id": "ASF",
            "revision-id": 1,
        },
        "umm": {
            "GranuleUR": granule,
            "CollectionReference": {"ShortName": collection, "Version": "1"},
            "TemporalExtent": {"SingleDateTime": stamp} if static else {"RangeDateTime": times},
            "SpatialExtent": {"HorizontalSpatialDomain": {"Geometry": {"GPolygons": [{"Boundary": boundary}]}}},
            "Platforms": [{"ShortName": "SENTINEL-1A", "Instruments": [{"ShortName": "SENTINEL-1 C-SAR"}]}],
            "RelatedUrls": [
                *({"URL": f"{url}{TIFF_PATH}{file}", "Type": "GET DATA"} for file in files),
                {"URL": f"{url}{TIFF_PATH}{granule}.h5", "Type": "GET DATA"},
                {"URL": f"s3://asf-cumulus/{files[0]}", "Type": "GET DATA VIA DIRECT ACCESS"},
            ],
            "DataGranule": {
                "ProductionDateTime": stamp,
                "ArchiveAndDistributionInformation": [
                    {"Name": file, "SizeInBytes": size, "Format": "COG"}
                    for file, size in zip(files, layers.values(), strict=True)
                ],
            },
            "AdditionalAttributes": [{"Name": key, "Values": [value]} for key, value in attributes.items()],
        },
    }


def tiff(path: Path, value: float, looks: float = 10) -> bytes:
    """A burst of a few pixels on the place."""
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "width": 40, "height": 60, "crs": GRID.crs}
    transform = from_origin(500000.0 - 300, 3830400.0, 30, 30)
    rng = np.random.default_rng(int(value * 1e4))
    with rasterio.open(path, "w", **profile, nodata=np.nan, transform=transform) as file:
        file.write((value * rng.gamma(looks, 1 / looks, (60, 40))).astype(np.float32), 1)
    return path.read_bytes()


class ToLoopback(HTTPAdapter):
    """Answers for the catalogue's host."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__()
        self.items, self.asked = items, list[dict[str, list[str]]]()
        self.status = 200

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        assert urlsplit(str(request.url)).hostname == "cmr.earthdata.nasa.gov"
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        asked = parse_qs(body)
        self.asked.append(asked)
        found = [each for each in self.items if each["umm"]["CollectionReference"]["ShortName"] in asked["shortName"]]
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = self.status, request, str(request.url)
        answer.headers["CMR-Hits"] = str(len(found))
        answer._content = json.dumps({"hits": len(found), "took": 1, "items": found}).encode()
        return answer


@pytest.fixture
def place(tmp_path: Path) -> Request:
    days = dt.date(2022, 12, 31), dt.date(2023, 1, 12)
    return Request(Place(PLACE, (WEST, SOUTH, EAST, NORTH)), *days, GRID, tmp_path / "area", "backscatter")


@pytest.fixture
def catalogue(server: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToLoopback:
    """Two passes of a burst, one processed twice, a burst that does not meet the place, and the static layers."""
    passes = [(BURST, "20230101T015858", "20230102T000000"), (BURST, "20230101T015900", "20230401T000000")]
    passes += [(BURST, "20230113T015858", "20230114T000000"), (OTHER, "20230105T015858", "20230106T000000")]
    items = []
    for number, (burst, acquired, processed) in enumerate(passes):
        granule, layers = name(burst, acquired, processed), {}
        for layer, value in (("VV", 0.1 + 0.01 * number), ("VH", 0.02 + 0.002 * number), ("mask", 0.5)):
            content = tiff(tmp_path / "made.tif", value)
            server.files[f"{TIFF_PATH}{granule}_{layer}.tif"] = content
            layers[layer] = len(content)
        items.append(product(server.url, opera.IMAGES, granule, layers, 0.3 if burst == OTHER else 0.0))
    content = tiff(tmp_path / "made.tif", 38.0, looks=1e6)
    server.files[f"{TIFF_PATH}{static_name(BURST)}_incidence_angle.tif"] = content
    items.append(product(server.url, opera.STATIC, static_name(BURST), {"incidence_angle": len(content)}))
    adapter = ToLoopback(items)

    def session() -> ASFSession:
        found = ASFSession()
        found.mount("https://cmr.earthdata.nasa.gov", adapter)
        return found

    monkeypatch.setattr(opera, "catalogue_session", session)
    return adapter


def service(settings: DownloadConfig, **changes: Any) -> OperaFetcher:
    return OperaFetcher(OperaBackscatter(service="opera", **changes), settings)


def test_a_plan_has_each_pass_once_with_its_bytes(
    catalogue: ToLoopback, settings: DownloadConfig, place: Request, server: Faulty
) -> None:
    plan = service(settings).plan(place)
    names = [each.name for each in plan.wanted]
    first, second = name(BURST, "20230101T015900", "20230401T000000"), name(BURST, "20230113T015858", "20230114T000000")
    assert names == [
        *(f"backscatter/{granule}_{layer}.tif" for granule in (first, second) for layer in ("VV", "VH")),
        f"incidence/{static_name(BURST)}_incidence_angle.tif",
    ]
    assert all(each.size == len(server.files[TIFF_PATH + Path(each.name).name]) for each in plan.wanted)
    assert plan.notes == ("2 images of 1 bursts on 2 days (UTC)",)
    assert server.count() == 0  # a plan fetches nothing
    # what was asked: the place and the days with a margin, then the bursts that were found
    first_query, second_query = catalogue.asked
    assert opera.IMAGES in str(first_query)
    assert "2022-12-30" in str(first_query)
    assert "-117" in str(first_query)
    assert BURST.replace("-", "_") in str(second_query)


def test_masks_and_orbits_are_chosen(catalogue: ToLoopback, settings: DownloadConfig, place: Request) -> None:
    names = [each.name for each in service(settings, masks=True, polarisations=("VV",)).plan(place).wanted]
    assert sum(each.startswith("mask/") for each in names) == 2
    assert not any(each.endswith("_VH.tif") for each in names)
    with pytest.raises(DataError, match=r"no OPERA RTC-S1 burst .*relative orbits: 64\)"):
        service(settings, orbits=(64,)).plan(place)


def test_what_the_place_lacks_is_said(catalogue: ToLoopback, settings: DownloadConfig, place: Request) -> None:
    catalogue.items[:] = [each for each in catalogue.items if "STATIC" not in each["umm"]["GranuleUR"]]
    plan = service(settings, polarisations=("VV", "HV")).plan(place)
    assert "2 of them have no HV" in plan.notes
    assert f"no incidence angle of 1 bursts (first: {BURST})" in plan.notes


def test_files_are_fetched_once_and_tell_where_they_come_from(
    catalogue: ToLoopback, settings: DownloadConfig, place: Request, server: Faulty
) -> None:
    fetcher = service(settings)
    plan = fetcher.plan(place)
    path = TIFF_PATH + Path(plan.wanted[0].name).name
    server.faults[path] = ["cut", 503]
    fetched = fetcher.fetch(place, plan)
    assert {each.name for each in fetched.files} == {each.name for each in plan.wanted}
    assert (place.root / plan.wanted[0].name).read_bytes() == server.files[path]
    assert fetched.files[0].address == server.url + path
    assert "NASA/JPL" in fetched.files[0].licence
    assert fetched.section.model_dump(exclude_none=True) == {
        "folder": "backscatter",
        "units": "linear",
        "incidence_layer": "incidence",
    }
    sent = server.sent
    fetcher.fetch(place, plan)
    assert server.sent == sent


def test_a_file_of_another_size_is_not_taken(
    catalogue: ToLoopback, settings: DownloadConfig, place: Request, server: Faulty
) -> None:
    fetcher = service(settings)
    plan = fetcher.plan(place)
    path = TIFF_PATH + Path(plan.wanted[0].name).name
    server.files[path] = server.files[path][:-7]
    with pytest.raises(DataError, match="bytes"):
        fetcher.fetch(place, plan)
    assert not (place.root / plan.wanted[0].name).exists()


@pytest.mark.parametrize(("status", "told"), [(401, "register at https://urs"), (403, "accept ASF's terms")])
def test_a_login_that_lacks_is_told_with_the_cure(
    catalogue: ToLoopback, settings: DownloadConfig, place: Request, server: Faulty, status: int, told: str
) -> None:
    fetcher = service(settings)
    plan = fetcher.plan(place)
    server.faults["*"] = [status] * 20
    with pytest.raises(DataError, match=told):
        fetcher.fetch(place, plan)


def test_a_catalogue_that_fails_is_told(
    catalogue: ToLoopback, settings: DownloadConfig, place: Request, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue.status = 400
    with caplog.at_level(logging.CRITICAL, "asf_search"), pytest.raises(DataError, match="ASF's catalogue does not"):
        service(settings).plan(place)


def granule(acquired: str, processed: str = "20230102T000000", burst: str = BURST) -> Granule:
    return Granule(burst, dt.datetime.fromisoformat(acquired).replace(tzinfo=dt.UTC), processed, (), {})


def test_the_newest_processing_counts_and_other_passes_stay() -> None:
    old, new = granule("2023-01-01T01:58:58"), granule("2023-01-01T01:59:00", "20230401T000000")
    later, beside = granule("2023-01-13T01:58:58"), granule("2023-01-01T01:58:58", burst=OTHER)
    assert newest([later, new, old, beside]) == [beside, new, later]


def test_days_are_those_of_the_place(place: Request) -> None:
    # 01:58 UTC is the evening before in California
    inside = granule("2023-01-01T01:58:00"), granule("2023-01-13T01:58:00")
    outside = granule("2022-12-31T01:58:00"), granule("2023-01-14T01:58:00")
    assert within_days([*inside, *outside], place) == list(inside)


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for key in (earthdata.TOKEN, earthdata.NAME, earthdata.PASSWORD):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return monkeypatch


def sent_to(url: str, came_from: str | None = None) -> str | None:
    """The credential that a request to an address carries, at first or after a redirect."""
    session = earthdata_session()
    if came_from is None:
        return session.prepare_request(requests.Request("GET", url)).headers.get("Authorization")
    before = session.prepare_request(requests.Request("GET", came_from))
    answer = requests.Response()
    answer.request = before
    after = before.copy()
    after.url = url
    session.rebuild_auth(after, answer)
    return after.headers.get("Authorization")


DATA, LOGIN = "https://cumulus.asf.alaska.edu/a.tif", "https://urs.earthdata.nasa.gov/oauth"
STORE = "https://bucket.s3.amazonaws.com/a.tif?X-Amz-Signature=1"


def test_a_token_goes_to_data_hosts_alone(login: pytest.MonkeyPatch) -> None:
    login.setenv(earthdata.TOKEN, "secret")
    assert sent_to(DATA) == "Bearer secret"
    assert sent_to(STORE, DATA) is None
    assert sent_to("https://evil.org/asf.alaska.edu") is None
    assert sent_to("https://asf.alaska.edu.evil.org/", DATA) is None


def test_name_and_password_go_to_the_login_alone(login: pytest.MonkeyPatch) -> None:
    login.setenv(earthdata.NAME, "me")
    login.setenv(earthdata.PASSWORD, "word")
    assert sent_to(DATA) is None
    assert str(sent_to(LOGIN, DATA)).startswith("Basic ")
    assert sent_to(DATA, LOGIN) is None
    assert sent_to(STORE, DATA) is None


def test_netrc_is_asked(login: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine urs.earthdata.nasa.gov login me password word\n")
    assert sent_to(DATA) is None
    assert str(sent_to(LOGIN, DATA)).startswith("Basic ")
    assert sent_to(STORE, LOGIN) is None


@pytest.mark.parametrize(
    ("url", "below"),
    [(DATA, True), ("https://asf.alaska.edu/", True), ("https://notasf.alaska.edu/", False), (STORE, False)],
)
def test_hosts_are_compared_whole(url: str, below: bool) -> None:
    assert is_below(url, ("asf.alaska.edu",)) is below


def test_an_area_is_filled_and_prepared(
    catalogue: ToLoopback, settings: DownloadConfig, place: Request, server: Faulty, tmp_path: Path
) -> None:
    weather = place.root / "weather"
    weather.mkdir(parents=True)
    days = [dt.date(2022, 12, 1) + dt.timedelta(days=number) for number in range(50)]
    rows = [f"USW00000001,{day},{NORTH},{WEST},300,NAME,{number % 7 * 10},150,50" for number, day in enumerate(days)]
    weather.joinpath("USW00000001.csv").write_text(
        "\n".join(["STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,NAME,PRCP,TMAX,TMIN", *rows]) + "\n"
    )
    aoi = tmp_path / "aoi.geojson"
    aoi.write_text(json.dumps(PLACE))
    config = DatamoduleConfig(
        name="opera",
        root=place.root,
        cubes=tmp_path / "cubes",
        area=str(aoi),
        dates="2022-12-31/2023-01-12",
        grid=GridConfig(crs=None, resolution_m=30),
        backscatter=BackscatterConfig(folder="backscatter"),
        weather="weather",
        dem=None,
        soil=None,
        ndvi=None,
        ndvi_pattern=None,
        time_zone="America/Los_Angeles",
        simulation=None,
        origin=OriginConfig(download=settings, backscatter=OperaBackscatter(service="opera")),
    )
    cube = open_area(config, "error")
    assert [str(day) for day in cube.local_days] == ["2022-12-31", "2023-01-12"]
    assert set(cube.orbits) == {137}
    assert cube.manifest.polarisations == ("VV", "VH")
    assert cube.manifest.orbits == (137,)
    requests_before, sent = len(catalogue.asked), server.sent
    assert open_area(config, "error").path == cube.path
    assert (len(catalogue.asked), server.sent) == (requests_before, sent)  # all is there: no network
