"""Trying again what failed for now: with waits that double, with jitter, and as long as the service asks for."""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from mlssm.config.origins import DownloadConfig
from mlssm.errors import DataError

T = TypeVar("T")
log = logging.getLogger(__name__)
_JITTER = random.SystemRandom()  # apart from all seeds: processes that fail together must not return together


class FaultForNow(Exception):
    """What may be gone when it is tried again.

    Attributes:
        wait_s: As long as the service asks for, seconds; None where it does not.
        went_on: Whether something new came before it, so that the count of trials begins anew.
    """

    def __init__(self, said: str, wait_s: float | None = None, went_on: bool = False) -> None:
        """Say what, how long to wait, and whether it got on."""
        super().__init__(said)
        self.wait_s, self.went_on = wait_s, went_on


class Stopped(DataError):
    """Work that ends because other work with it has failed or was interrupted."""


def patiently(attempt: Callable[[], T], what: str, config: DownloadConfig, stop: threading.Event | None = None) -> T:
    """Do something that may fail for now.

    Args:
        attempt: What is done; it raises `FaultForNow` where it may go better later.
        what: For the messages.
        config: How often and how long.
        stop: Ends the waiting.

    Raises:
        DataError: It failed too often, or the service asks for too long a wait.
        Stopped: `stop` was set.
    """
    stop = threading.Event() if stop is None else stop
    failed = 0
    while True:
        try:
            return attempt()
        except FaultForNow as fault:
            failed = 0 if fault.went_on else failed + 1
            if failed > config.retries:
                raise DataError(
                    f"{what}: {fault}; given up after {failed} trials. Run the same command again: what is there stays"
                ) from fault
            wait = _wait(fault, max(failed, 1), config, what)
            log.info("%s: %s; again in %.1f s", what, fault, wait)
            if stop.wait(wait):
                raise Stopped(f"{what}: stopped") from fault


def _wait(fault: FaultForNow, failed: int, config: DownloadConfig, what: str) -> float:
    if fault.wait_s is not None and fault.wait_s > config.longest_wait_s:
        raise DataError(f"{what}: {fault}; the service asks to wait {fault.wait_s / 60:.0f} minutes: run it again then")
    doubled = min(config.backoff_s * 2.0 ** (failed - 1), config.longest_wait_s)
    # never before the service said, never all at once
    return max(fault.wait_s or 0.0, doubled / 2) + _JITTER.uniform(0, doubled / 2)


def retry_after(value: str | None, now: dt.datetime | None = None) -> float | None:
    """Seconds of a `Retry-After` header, which has them or a date (RFC 9110, 10.2.3); None where it has neither."""
    if value is None:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
    return max((when - (now or dt.datetime.now(dt.UTC))).total_seconds(), 0.0)
