"""Any name with one time in it; its words may tell the rest."""

from __future__ import annotations

import datetime as dt
import re

from mlssm.errors import DataError
from mlssm.sources.conventions.convention import Named
from mlssm.sources.conventions.words import ANGLE, NO_IMAGE, ORBIT, words

NAME = "any name with a date"
# 20230101T015902, 2023-01-01_01-59-02, 20230101T0159, 2023-01-01: six digits behind a date are a time
TIME = re.compile(
    r"(?<!\d)(?P<day>(?:19|20)\d\d(?P<sep>[-_.]?)(?:0[1-9]|1[0-2])(?P=sep)(?:0[1-9]|[12]\d|3[01]))"
    r"(?:(?:[T_\- ]|(?=\d{6}(?!\d)))(?P<time>(?:[01]\d|2[0-3])[-_:.]?[0-5]\d(?:[-_:.]?[0-5]\d)?)Z?)?(?![\d:])",
    re.IGNORECASE,
)
TIME_ONLY = re.compile(r"[-_:.]")
# a product's start and stop
ONE_PRODUCT = dt.timedelta(minutes=10)
# the angle to the terrain's normal, which terrain correction took out of the backscatter; HyP3 calls it inc_map
LOCAL_ANGLE = re.compile(r"local|inc_map(?!_ell)", re.IGNORECASE)
TRAILING_ORBIT = re.compile(r"[-_](\d{1,3})$")


def read(name: str) -> Named | None:
    """What a name without suffix says; None where it has no date, or is of something beside an image.

    Raises:
        DataError: It has several dates.
    """
    if NO_IMAGE.search(name) or ANGLE.search(name):
        return None
    found = [digits for match in TIME.finditer(name) if _is_day(digits := _digits(match))]
    if not found:
        return None
    if len({_moment(digits) for digits in found}) > 1 and not _is_one_product(found):
        raise DataError(f"{name} has several dates ({', '.join(found)}): which one is that of acquisition?")
    said = words(TIME.sub("_", name))
    return Named({"date": min(found, key=_moment)} | said.groups, NAME, said.units, said.quantity)


def read_incidence(name: str) -> dict[str, str] | None:
    """The groups of a file of incidence angles: `orbit`, or `date`; None where it is none."""
    if not ANGLE.search(name) or LOCAL_ANGLE.search(name):
        return None
    if match := TIME.search(name):
        return {"date": _digits(match)}
    orbit = ORBIT.search(name) or TRAILING_ORBIT.search(name)
    return {"orbit": orbit[1]} if orbit else {}


def _digits(match: re.Match[str]) -> str:
    day, time = (TIME_ONLY.sub("", match[group] or "") for group in ("day", "time"))
    return f"{day}T{time}" if time else day


def _is_day(digits: str) -> bool:
    try:
        return bool(_moment(digits))
    except ValueError:
        return False


def _moment(digits: str) -> dt.datetime:
    day, _, time = digits.partition("T")
    return dt.datetime.strptime(day + time.ljust(6, "0"), "%Y%m%d%H%M%S")


def _is_one_product(found: list[str]) -> bool:
    if not all("T" in digits for digits in found):
        return False
    moments = sorted(map(_moment, found))
    return moments[-1] - moments[0] <= ONE_PRODUCT
