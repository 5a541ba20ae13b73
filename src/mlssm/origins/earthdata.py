"""NASA's Earthdata login: a token, a name and password, or netrc; each goes to its own hosts, and to no other."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.models import PreparedRequest, Response

LOGIN_HOST = "urs.earthdata.nasa.gov"
# of data; a token is sent to these and the hosts below them
DATA_HOSTS = ("asf.alaska.edu", "earthdatacloud.nasa.gov", "earthdata.nasa.gov")
TOKEN, NAME, PASSWORD = "EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"
CREDENTIAL = (
    f"register at https://{LOGIN_HOST}, accept ASF's terms at https://asf.alaska.edu once, and write 'machine "
    f"{LOGIN_HOST} login NAME password WORD' into ~/.netrc, or set {TOKEN}, or both {NAME} and {PASSWORD}"
)


def earthdata_session() -> requests.Session:
    """A session that logs in as the environment or netrc says."""
    return _Session(os.environ.get(TOKEN), _login())


def _login() -> HTTPBasicAuth | None:
    name, password = os.environ.get(NAME), os.environ.get(PASSWORD)
    return HTTPBasicAuth(name, password) if name and password else None


def is_below(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether an address is of one of some hosts, or of one below them."""
    host = urlsplit(url).hostname or ""
    return any(host == known or host.endswith(f".{known}") for known in hosts)


class _Token(AuthBase):
    """A bearer's token, for the hosts of data alone."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if is_below(str(request.url), DATA_HOSTS):
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Session(requests.Session):
    """Follows a download from data to login and back; each hop is sent the credential of its own host alone."""

    def __init__(self, token: str | None, login: HTTPBasicAuth | None) -> None:
        super().__init__()
        self._token, self._login = _Token(token) if token else None, login
        self.auth = self._token

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Take away what the last hop was sent, and give what this one is to have; netrc is asked last."""
        prepared_request.headers.pop("Authorization", None)
        if self._token is not None:
            self._token(prepared_request)
        elif self._login is not None and is_below(str(prepared_request.url), (LOGIN_HOST,)):
            self._login(prepared_request)
        else:
            super().rebuild_auth(prepared_request, response)
