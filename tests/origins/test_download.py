"""Files and JSON from a server that fails, breaks off, moves on and asks to wait."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest

from mlssm.config.origins import DownloadConfig
from mlssm.errors import DataError
from mlssm.origins.answers import Missing, Refused
from mlssm.origins.download import Downloads, Remote

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path: Path, server: Any) -> Path:
    server.files["/file.tif"] = CONTENT
    return tmp_path / "area" / "file.tif"


def leftovers(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir() if path != target]


def test_a_file_comes_whole_with_its_digest(server: Any, downloads: Downloads, target: Path) -> None:
    received = downloads.file(Remote(f"{server.url}/file.tif", target))
    assert target.read_bytes() == CONTENT
    assert (received.sha256, received.size) == (SHA256, len(CONTENT))
    assert leftovers(target) == []


@pytest.mark.parametrize("fault", [429, 500, 502, 503, "hang"])
def test_a_fault_for_now_is_tried_again(server: Any, downloads: Downloads, target: Path, fault: int | str) -> None:
    server.faults["/file.tif"] = [fault, fault]
    downloads.file(Remote(f"{server.url}/file.tif", target))
    assert target.read_bytes() == CONTENT
    assert server.count() == 3


def test_what_fails_too_often_is_given_up_with_the_cure(server: Any, downloads: Downloads, target: Path) -> None:
    server.faults["/file.tif"] = [503] * 9
    with pytest.raises(DataError, match=r"status 503; given up after 4 trials\. Run the same command again"):
        downloads.file(Remote(f"{server.url}/file.tif", target))
    assert server.count() == 4
    assert not target.exists()


def test_a_file_that_breaks_off_goes_on_where_it_was(server: Any, downloads: Downloads, target: Path) -> None:
    server.faults["/file.tif"] = ["cut", "cut", "cut", "cut", "cut"]  # more often than it is tried without getting on
    downloads.file(Remote(f"{server.url}/file.tif", target))
    assert target.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)  # no byte twice
    assert leftovers(target) == []


def test_a_killed_download_goes_on_in_the_next_run(
    server: Any, downloads: Downloads, settings: DownloadConfig, target: Path
) -> None:
    server.faults["/file.tif"] = ["cut", *[500] * 4]
    with pytest.raises(DataError):
        downloads.file(Remote(f"{server.url}/file.tif", target))
    assert leftovers(target)
    Downloads(settings).file(Remote(f"{server.url}/file.tif", target))
    assert target.read_bytes() == CONTENT
    assert server.sent - 4 * len(b"said no") == len(CONTENT)


def test_a_file_that_has_changed_meanwhile_begins_anew(server: Any, downloads: Downloads, target: Path) -> None:
    server.faults["/file.tif"] = ["cut", *[500] * 4]
    with pytest.raises(DataError):
        downloads.file(Remote(f"{server.url}/file.tif", target))
    server.files["/file.tif"] = CONTENT[::-1]
    downloads.file(Remote(f"{server.url}/file.tif", target))
    assert target.read_bytes() == CONTENT[::-1]


def test_without_a_validator_a_start_is_not_trusted(server: Any, downloads: Downloads, target: Path) -> None:
    server.headers = {"ETag": 'W/"weak"'}
    server.faults["/file.tif"] = ["cut"] * 9
    with pytest.raises(DataError, match="given up after 4 trials"):  # and it does not go on for ever
        downloads.file(Remote(f"{server.url}/file.tif", target))
    server.faults["/file.tif"] = []
    downloads.file(Remote(f"{server.url}/file.tif", target))
    assert {seen[2] for seen in server.seen} == {None}
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("size", "checksum", "match"),
    [(5, None, "bytes, not 5"), (None, f"sha256:{'0' * 64}", "sha256"), (None, f"md5:{'0' * 32}", "md5")],
)
def test_what_is_not_what_was_promised_is_refused(
    server: Any, downloads: Downloads, target: Path, size: int | None, checksum: str | None, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        downloads.file(Remote(f"{server.url}/file.tif", target, size, checksum))
    assert server.count() == 2
    assert not target.exists()
    assert leftovers(target) == []


def test_a_login_form_is_no_file(server: Any, downloads: Downloads, target: Path) -> None:
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(Refused, match=r"answers with a web page, not with the file; put a login into ~/\.netrc"):
        downloads.file(Remote(f"{server.url}/file.tif", target, credential="put a login into ~/.netrc"))


@pytest.mark.parametrize(("status", "kind"), [(401, Refused), (403, Refused), (404, Missing), (400, DataError)])
def test_a_fault_for_good_is_told_at_once(
    server: Any, downloads: Downloads, target: Path, status: int, kind: type[DataError]
) -> None:
    server.faults["/file.tif"] = [status]
    with pytest.raises(kind, match=f"status {status}"):
        downloads.file(Remote(f"{server.url}/file.tif", target))
    assert server.count() == 1


def test_an_expired_link_is_signed_anew(server: Any, downloads: Downloads, target: Path) -> None:
    server.token = "second"
    asked = []

    def sign(url: str, refused: bool) -> str:
        asked.append(refused)
        return f"{url}?sig={'second' if refused else 'first'}"

    received = downloads.file(Remote(f"{server.url}/file.tif", target, sign=sign))
    assert asked == [False, True]
    assert received.address == f"{server.url}/file.tif"


def test_a_link_that_stays_refused_is_told(server: Any, downloads: Downloads, target: Path) -> None:
    server.token = "never"
    with pytest.raises(Refused, match="status 403"):
        downloads.file(Remote(f"{server.url}/file.tif", target, sign=lambda url, refused: f"{url}?sig=wrong"))
    assert server.count() == 2


def test_another_area_takes_the_file_from_the_cache(
    server: Any, downloads: Downloads, target: Path, tmp_path: Path
) -> None:
    for place in ("one", "two"):
        downloads.file(Remote(f"{server.url}/file.tif", tmp_path / place / "file.tif"))
    assert (tmp_path / "two" / "file.tif").read_bytes() == CONTENT
    assert server.sent == len(CONTENT)
    # by its checksum not even a question is needed
    asked = len(server.seen)
    downloads.file(Remote(f"{server.url}/file.tif", tmp_path / "three" / "file.tif", checksum=f"sha256:{SHA256}"))
    assert len(server.seen) == asked


def test_a_damaged_or_older_file_of_the_cache_is_fetched_anew(
    server: Any, downloads: Downloads, target: Path, tmp_path: Path
) -> None:
    downloads.file(Remote(f"{server.url}/file.tif", target))
    with target.open("r+b") as file:  # the cache has the same file under another name
        file.write(b"scribble")
    downloads.file(Remote(f"{server.url}/file.tif", tmp_path / "second.tif"))
    assert (tmp_path / "second.tif").read_bytes() == CONTENT
    server.files["/file.tif"] = b"newer"
    downloads.file(Remote(f"{server.url}/file.tif", tmp_path / "third.tif"))
    assert (tmp_path / "third.tif").read_bytes() == b"newer"


def test_several_files_come_in_their_order_and_a_fault_stops_them(
    server: Any, downloads: Downloads, tmp_path: Path
) -> None:
    server.files |= {f"/{number}": bytes([number]) * 1000 for number in range(9)}
    remotes = [Remote(f"{server.url}/{number}", tmp_path / "many" / str(number)) for number in range(9)]
    assert [item.path.name for item in downloads.files(remotes, "files")] == [str(number) for number in range(9)]
    with pytest.raises(Missing):
        downloads.files([Remote(f"{server.url}/gone", tmp_path / "gone"), *remotes], "files")


def test_json_is_asked_for_again_and_posted(server: Any, downloads: Downloads) -> None:
    server.answers["/search"] = lambda query, body: {"got": body, "query": query}
    server.faults["/search"] = [500, 429]
    assert downloads.json(f"{server.url}/search", {"a": "b"}, {"limit": 1}) == {
        "got": {"limit": 1},
        "query": {"a": ["b"]},
    }
    server.files["/text"] = b"no json"
    with pytest.raises(DataError, match="answers with no JSON: 'no json'"):
        downloads.json(f"{server.url}/text")


def test_a_long_wait_that_a_service_asks_for_is_not_waited_for(server: Any, downloads: Downloads, target: Path) -> None:
    server.headers, server.faults["/file.tif"] = {"Retry-After": "7200"}, [429]
    with pytest.raises(DataError, match=r"the service asks to wait 120 minutes: run it again then"):
        downloads.file(Remote(f"{server.url}/file.tif", target))


def test_nothing_secret_is_logged(
    server: Any, downloads: Downloads, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mlssm")
    server.faults["/file.tif"] = [500, 403, 403]
    with pytest.raises(Refused) as told:
        downloads.file(Remote(f"{server.url}/file.tif", target, sign=lambda url, refused: f"{url}?sig=hush&se=2026"))
    assert "status 500" in caplog.text
    assert "hush" not in caplog.text + str(told.value)
