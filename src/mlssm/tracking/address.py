"""How a store's address is shown, and how it is asked without long waits."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

LOGIN = re.compile(r"(\w[\w+.-]*://[^\s:/@]*):[^\s/]+@")  # to the last @ before the host's end
ARGUMENT = re.compile(r"([?&](?:password|passwd|token|secret)=)[^&\s'\"]+", re.IGNORECASE)
ENVIRONMENT = threading.RLock()  # environment variables belong to the process, and threads write runs too


def without_password(text: str) -> str:
    """An address, or a text that holds some, as it may be shown, logged and kept: *** in the place of a password."""
    return ARGUMENT.sub(r"\1***", LOGIN.sub(r"\1:***@", text)) if "://" in text else text


def masked(value: Any) -> Any:
    """Plain containers with every address in them as it may be kept."""
    if isinstance(value, str):
        return without_password(value)
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list | tuple) else value


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
