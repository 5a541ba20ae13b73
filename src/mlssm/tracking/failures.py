"""How a store that fails is met: asked without long waits, and told apart from a request that is wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mlssm.secrets import without_password

ENVIRONMENT = threading.RLock()  # environment variables belong to the process, and threads write runs too
TOO_MANY_REQUESTS = 429
NO_ACCESS = (401, 403, 407)


@contextmanager
def short_requests(seconds: float) -> Iterator[None]:
    """Let MLflow's requests fail after one attempt of `seconds`; by default they are tried again for minutes."""
    values = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(int(seconds))}
    with ENVIRONMENT:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def is_retryable(error: Exception) -> bool:
    """Whether what could not be written is to be kept: the store is away, or does not let this user in any more."""
    return is_unreachable(error) or refuses_access(error)


def is_unreachable(error: Exception) -> bool:
    """Whether the same request may well succeed later: no connection, no answer in time, a fault of the server.

    Of MLflow's errors those of HTTP status 500 and above and 429 count, which is what it makes of a refused connection,
    a timeout, and a database that is locked or away; and a disk that cannot be written now. Not: what the server
    understood and refused, and files that do not exist or may not be written.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    status = _status(error)
    if status is not None:
        caused = isinstance(error.__cause__, OperationalError | InterfaceError | PoolTimeout)
        return (isinstance(error, MlflowException) and caused) or status >= 500 or status == TOO_MANY_REQUESTS
    return isinstance(error, OSError) and not isinstance(error, PermissionError | FileNotFoundError)


def refuses_access(error: Exception) -> bool:
    """Whether the server, or a proxy before it, wants another login: a token ran out, a right was taken."""
    return _status(error) in NO_ACCESS


def reason_of(error: BaseException) -> str:
    """Why a store failed, without secrets: of a database the driver's own words, not SQLAlchemy's statement."""
    words = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
    line = next((line for line in str(words).splitlines() if line.strip()), type(error).__name__)
    return without_password(line)[:300]


def is_duplicate(error: Exception) -> bool:
    """Whether another process wrote the same row first, in the words of SQLite, PostgreSQL, MySQL and SQLAlchemy."""
    text = str(error)
    return any(word in text for word in ("IntegrityError", "UniqueViolation", "UNIQUE constraint failed"))


def _status(error: Exception) -> int | None:
    """The HTTP status that an error stands for; None for errors of other kinds. 500 where no answer came."""
    import requests
    from mlflow.exceptions import MlflowException

    if isinstance(error, requests.HTTPError):
        return 500 if error.response is None else error.response.status_code
    return int(error.get_http_status_code()) if isinstance(error, MlflowException) else None  # type: ignore[no-untyped-call]
