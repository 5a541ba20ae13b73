"""Which errors say that a store cannot be reached now, and which that a request is wrong."""

from __future__ import annotations

TOO_MANY_REQUESTS = 429


def is_unreachable(error: Exception) -> bool:
    """Whether the same request may well succeed later: no connection, no answer in time, a fault of the server.

    Of MLflow's errors those of HTTP status 500 and above and 429 count, which is what it makes of a refused connection,
    a timeout, and a database that is locked or away; and a disk that cannot be written now. Not: what the server
    understood and refused, and files that do not exist or may not be written.
    """
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    if isinstance(error, requests.HTTPError):
        return error.response is None or _is_the_servers(error.response.status_code)
    if isinstance(error, MlflowException):
        caused = isinstance(error.__cause__, OperationalError | InterfaceError | PoolTimeout)
        return caused or _is_the_servers(int(error.get_http_status_code()))  # type: ignore[no-untyped-call]
    return isinstance(error, OSError) and not isinstance(error, PermissionError | FileNotFoundError)


def was_faster(error: Exception) -> bool:
    """Whether another process wrote the same row first, in the words of SQLite, PostgreSQL, MySQL and SQLAlchemy."""
    text = str(error)
    return any(word in text for word in ("IntegrityError", "UniqueViolation", "UNIQUE constraint failed"))


def _is_the_servers(status: int) -> bool:
    return status >= 500 or status == TOO_MANY_REQUESTS
