"""Waits and trials, without waiting."""

import datetime as dt
import threading

import pytest

from mlssm.config.origins import DownloadConfig
from mlssm.errors import DataError
from mlssm.origins.patience import FaultForNow, Stopped, patiently, retry_after

NOW = dt.datetime(2026, 1, 1, 12, 0, 0, tzinfo=dt.UTC)


class Clock(threading.Event):
    """Notes the waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def failing(times: int, wait_s: float | None = None, went_on: bool = False) -> object:
    left = [times]

    def attempt() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise FaultForNow("busy", wait_s, went_on)
        return "done"

    return attempt


def test_waits_double_with_jitter_up_to_the_longest() -> None:
    clock, config = Clock(), DownloadConfig(retries=8, backoff_s=1, longest_wait_s=20)
    assert patiently(failing(8), "x", config, clock) == "done"  # type: ignore[arg-type]
    for wait, most in zip(clock.waits, [1, 2, 4, 8, 16, 20, 20, 20], strict=True):
        assert most / 2 <= wait <= most
    assert (
        len({round(wait / most, 6) for wait, most in zip(clock.waits, [1, 2, 4, 8, 16, 20, 20, 20], strict=True)}) > 4
    )


def test_a_service_is_not_asked_before_the_time_that_it_says() -> None:
    clock = Clock()
    patiently(failing(3, wait_s=30.0), "x", DownloadConfig(backoff_s=1), clock)  # type: ignore[arg-type]
    assert all(30 <= wait <= 32 for wait in clock.waits)


def test_trials_that_get_on_do_not_count() -> None:
    assert patiently(failing(50, went_on=True), "x", DownloadConfig(retries=1), Clock()) == "done"  # type: ignore[arg-type]
    with pytest.raises(DataError, match="given up after 2 trials"):
        patiently(failing(50), "x", DownloadConfig(retries=1), Clock())  # type: ignore[arg-type]


def test_a_stop_ends_the_waiting() -> None:
    clock = Clock()
    clock.set()
    with pytest.raises(Stopped):
        patiently(failing(2), "x", DownloadConfig(), clock)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("soon", None),
        (None, None),
    ],
)
def test_retry_after_has_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
