"""Files and JSON over HTTP: tried again, gone on with, checked, cached; a file has its name only when it is whole."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from mlssm import __version__
from mlssm.config.origins import DownloadConfig
from mlssm.errors import DataError
from mlssm.origins.addresses import bare_address
from mlssm.origins.answers import Refused, broken_reads, check_answer
from mlssm.origins.cache import Cache, file_sha256
from mlssm.origins.partial_file import PartialFile
from mlssm.origins.patience import FaultForNow, patiently
from mlssm.progress import Transfer, transfer

log = logging.getLogger(__name__)

Sign = Callable[[str, bool], str]  # an address, and whether the last link was refused -> a link that is valid now
NO_CREDENTIAL = "it wants a login or a token, and none was given or it does not count there"
NOT_SIGNED_FOR_LONG = "its link had expired"


@dataclass(frozen=True)
class Remote:
    """A file to fetch.

    Attributes:
        url: Its address, without signature.
        path: Where it is put.
        size: Bytes, where known.
        checksum: `sha256:...` or `md5:...` of its bytes, where known.
        sign: Makes of the address a link that is valid now; called again, with True, when the service refuses it.
        credential: What the service wants of a user, for the message where it refuses.
        web_page: Whether a web page is what is wanted; else one is taken for a login form, and refused.
    """

    url: str
    path: Path
    size: int | None = None
    checksum: str | None = None
    sign: Sign | None = None
    credential: str = NO_CREDENTIAL
    web_page: bool = False


@dataclass(frozen=True)
class Received:
    """A file that is there.

    Attributes:
        path: Where.
        address: What it was read from, without anything secret.
        sha256: Of its bytes.
        size: Bytes.
    """

    path: Path
    address: str
    sha256: str
    size: int


class Downloads:
    """Fetches files and JSON, several at once."""

    def __init__(self, config: DownloadConfig, session: Callable[[], requests.Session] = requests.Session) -> None:
        """Take the settings, and what makes a session (with a login, say); a thread has one of its own."""
        self.config = config
        self.cache = None if config.cache is None else Cache(config.cache)
        self.stop = threading.Event()
        self._make_session = session
        self._local = threading.local()

    @property
    def session(self) -> requests.Session:
        """This thread's session."""
        if not hasattr(self._local, "session"):
            session = self._make_session()
            session.headers["User-Agent"] = f"mlssm/{__version__}"
            self._local.session = session
        found: requests.Session = self._local.session
        return found

    def json(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        sign: Sign | None = None,
        credential: str = NO_CREDENTIAL,
    ) -> Any:
        """The JSON at an address; with a body, what a POST of it answers.

        Raises:
            DataError: There is none, or it is no JSON.
        """
        answer = self.request(url, params=params, body=body, sign=sign, credential=credential)
        try:
            return answer.json()
        except ValueError as error:
            raise DataError(f"{bare_address(url)} answers with no JSON: {answer.text[:80]!r}") from error

    def text(self, url: str, params: Mapping[str, Any] | None = None, credential: str = NO_CREDENTIAL) -> str:
        """The text at an address.

        Raises:
            DataError: There is none.
        """
        return self.request(url, params=params, credential=credential).text

    def request(
        self,
        url: str,
        *,
        method: str | None = None,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        credential: str = NO_CREDENTIAL,
    ) -> requests.Response:
        """A whole answer below status 400; GET, or POST where there is a body.

        Raises:
            DataError: It fails for good, or too often.
        """
        verb = method or ("GET" if body is None else "POST")
        renewed = Renewal(sign)

        def attempt() -> requests.Response:
            with broken_reads(), renewed.once():
                answer = self.session.request(
                    verb, renewed.link(url), params=params, json=body, headers=headers, timeout=self.config.timeout_s
                )
                check_answer(answer, credential)
                return answer

        return patiently(attempt, bare_address(url), self.config, self.stop)

    def size(self, remote: Remote) -> int | None:
        """How many bytes a file has, as the service says; None where it does not."""
        if remote.size is not None:
            return remote.size
        headers = {"Accept-Encoding": "identity"}
        answer = self.request(
            remote.url, method="HEAD", headers=headers, sign=remote.sign, credential=remote.credential
        )
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None

    def file(self, remote: Remote, shown: Transfer | None = None) -> Received:
        """Fetch a file, or take it from the cache; one that is in its place stays.

        Raises:
            DataError: It fails for good, or is not what it should be.
        """
        address = bare_address(remote.url)
        if not remote.path.exists():
            remote.path.parent.mkdir(parents=True, exist_ok=True)
            etag = None
            if not self._from_cache(remote, address):
                etag = self._fetch(remote, shown)
                if self.cache is not None:
                    self.cache.keep(address, remote.path, file_sha256(remote.path), etag)
        return Received(remote.path, address, file_sha256(remote.path), remote.path.stat().st_size)

    def files(self, remotes: Sequence[Remote], description: str) -> list[Received]:
        """Fetch files, several at once, with a bar of bytes and files; in the order of the list."""
        sizes = [remote.size for remote in remotes]
        known = sum(size for size in sizes if size is not None) if all(size is not None for size in sizes) else None
        with transfer(description, len(remotes), known) as shown:
            return self.each(lambda remote: self.file(remote, shown), remotes, shown)

    def each(self, work: Callable[[Any], Any], items: Iterable[Any], shown: Transfer | None = None) -> list[Any]:
        """Do something for each of several items, a few at once; the first fault stops the others.

        Returns:
            What came of each, in their order.
        """
        listed = list(items)
        with ThreadPoolExecutor(self.config.threads) as pool:
            futures = [pool.submit(work, item) for item in listed]
            try:
                for future in as_completed(futures):
                    future.result()
                    if shown is not None:
                        shown.file_done()
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                self.stop.clear()
                raise
        return [future.result() for future in futures]

    def _from_cache(self, remote: Remote, address: str) -> bool:
        """Whether the cache had it: by its checksum, or by the validator that the service still gives."""
        if self.cache is None:
            return False
        kind, _, value = (remote.checksum or "").partition(":")
        if kind == "sha256" and self.cache.give(value.lower(), remote.path):
            return True
        known = self.cache.known(address)
        if known is None or known.etag is None:
            return False
        answer = self.request(
            remote.url,
            method="HEAD",
            headers={"If-None-Match": known.etag, "Accept-Encoding": "identity"},
            sign=remote.sign,
            credential=remote.credential,
        )
        same = answer.status_code == 304 or answer.headers.get("ETag") == known.etag
        return same and self.cache.give(known.sha256, remote.path)

    def _fetch(self, remote: Remote, shown: Transfer | None) -> str | None:
        part = PartialFile(remote.path, remote.size, remote.checksum)
        renewed = Renewal(remote.sign)

        def attempt() -> str | None:
            with broken_reads(), renewed.once():
                link, headers = renewed.link(remote.url), {"Accept-Encoding": "identity"} | part.resume()
                with self.session.get(link, headers=headers, stream=True, timeout=self.config.timeout_s) as answer:
                    if answer.status_code == 416:
                        part.discard()
                        raise FaultForNow("what was there does not fit the file")
                    check_answer(answer, remote.credential)
                    _refuse_login_form(answer, remote)
                    return part.receive(answer, self.stop, shown)

        return patiently(attempt, bare_address(remote.url), self.config, self.stop)


class Renewal:
    """A link that is signed, and once more where the service refuses it."""

    def __init__(self, sign: Sign | None) -> None:
        """Take what signs; None where links need no signature."""
        self._sign = sign
        self._refused = False

    def link(self, url: str) -> str:
        """The address, signed now."""
        return url if self._sign is None else self._sign(url, self._refused)

    def once(self) -> _Once:
        """A block whose first refusal in a row is a fault for now: the link is signed anew."""
        return _Once(self)


class _Once:
    def __init__(self, renewal: Renewal) -> None:
        self._renewal = renewal

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        renewal = self._renewal
        if isinstance(error, Refused) and renewal._sign is not None and not renewal._refused:
            renewal._refused = True
            raise FaultForNow(NOT_SIGNED_FOR_LONG, 0.0) from error
        if error is None or (isinstance(error, FaultForNow) and error.went_on):
            renewal._refused = False


def _refuse_login_form(answer: requests.Response, remote: Remote) -> None:
    """A service that wants a login may answer with its form and status 200."""
    if not remote.web_page and answer.headers.get("Content-Type", "").startswith("text/html"):
        raise Refused(f"{bare_address(remote.url)} answers with a web page, not with the file; {remote.credential}")
