"""How a store is asked without long waits."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = threading.RLock()  # environment variables belong to the process, and threads write runs too


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
