"""What an HTTP answer means: the content, a fault for now, or one for good that is told plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError as BrokenRead

from mlssm.errors import DataError
from mlssm.origins.addresses import bare_address
from mlssm.origins.patience import FaultForNow, retry_after
from mlssm.secrets import without_password

FOR_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSED = frozenset({401, 403})
GONE = frozenset({404, 410})


class Refused(DataError):
    """The service knows the caller not, or does not let it in."""


class Missing(DataError):
    """The service has nothing at an address."""


@contextmanager
def broken_reads() -> Iterator[None]:
    """Make of a connection that fails, breaks or says nothing a fault for now.

    Raises:
        FaultForNow: That.
        DataError: The address is none, or the other side's certificate is not trusted.
    """
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise DataError(
            f"the certificate of {_host(error)} is not trusted ({_said(error)}); set REQUESTS_CA_BUNDLE to your "
            "network's certificates"
        ) from error
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
    ) as error:
        raise DataError(f"no address: {_said(error)}") from error
    except requests.exceptions.Timeout as error:
        raise FaultForNow("no answer in time") from error
    except (requests.exceptions.RequestException, BrokenRead, ConnectionError) as error:
        raise FaultForNow(f"no connection ({_cause(error)})") from error


def check_answer(answer: requests.Response, credential: str) -> None:
    """Let an answer pass that has what was asked for.

    Args:
        answer: The answer.
        credential: What the service wants of a user, for the message.

    Raises:
        FaultForNow: 408, 425, 429 and faults of the server.
        Refused: 401, 403.
        Missing: 404, 410.
        DataError: Another status of 400 and above.
    """
    status, address = answer.status_code, bare_address(answer.url)
    if status < 400:
        return
    if status in FOR_NOW:
        raise FaultForNow(f"status {status}", retry_after(answer.headers.get("Retry-After")))
    if status in REFUSED:
        raise Refused(f"{address} refuses (status {status}); {credential}")
    if status in GONE:
        raise Missing(f"{address} is not there (status {status}); is the address right?")
    raise DataError(f"{address} answers with status {status}: {_body(answer)}")


def _body(answer: requests.Response) -> str:
    return without_password(" ".join(answer.text.split()))[:300] or "nothing more"


def _cause(error: BaseException) -> str:
    """What is at the bottom of a broken connection, without the object that it came through."""
    inner = getattr(error.args[0] if error.args else None, "reason", None) or error
    return without_password(" ".join(str(inner).split()).rpartition("): ")[2])[:120]


def _said(error: BaseException) -> str:
    """The error's text without what signs an address in it."""
    return without_password(" ".join(str(error).split()))[:200]


def _host(error: requests.exceptions.RequestException) -> str:
    url = error.request.url if error.request is not None else None
    return urlsplit(str(url)).netloc.rpartition("@")[2] if url else "the service"
