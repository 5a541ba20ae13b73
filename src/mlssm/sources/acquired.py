"""When an image was acquired: by its name, its tags, or what is said of its folder."""

from __future__ import annotations

import datetime as dt
import re

from mlssm.config import BackscatterConfig
from mlssm.errors import DataError
from mlssm.orbits import direction
from mlssm.sources.area_hint import hint, pattern_of
from mlssm.sources.conventions import Named
from mlssm.sources.dated import SAME_TIME, stated_times
from mlssm.sources.faults import BadFiles
from mlssm.sources.opening import RasterInfo

SEPARATORS = re.compile(r"[-_:. ]|Z$")
LONGEST_PASS = dt.timedelta(minutes=30)
# by the number of digits of the time, which may be without seconds
FORMATS = {4: "%H%M", 6: "%H%M%S"}


def acquired(info: RasterInfo, named: Named, config: BackscatterConfig) -> dt.datetime:
    """The time of acquisition, UTC.

    A date alone is not enough: on which local day an image was taken, and whether it saw that day's rain, decides which
    weather it is held against.

    Raises:
        DataError: The name has no date, or a date without a time, which nothing else tells.
    """
    text = SEPARATORS.sub("", named.groups["date"]).upper()
    day, _, time = text.partition("T") if "T" in text else (text[:8], "", text[8:])
    try:
        date = dt.datetime.strptime(day, "%Y%m%d").replace(tzinfo=dt.UTC)
        # midnight to the second is what programs write that know no time; a pass is there every 86400th time
        if time.strip("0"):
            return dt.datetime.combine(date, dt.datetime.strptime(time, FORMATS[len(time)]).time(), dt.UTC)
    except (ValueError, KeyError):
        raise DataError(
            f"{info.path}: {named.groups['date']!r} in its name is not a date written %Y%m%dT%H%M%S; rename it"
        ) from None
    told = next(
        (stated for _, stated in stated_times(info) if abs(stated - date) <= SAME_TIME and _has_time(stated)), None
    )
    return told or dt.datetime.combine(date, _time_of_day(info, named, config), dt.UTC)


def tell_other_time(info: RasterInfo, time: dt.datetime, bad: BadFiles) -> None:
    """Say where name and tag are of one day and yet hours apart: one of them is no UTC."""
    for tag, stated in stated_times(info):
        if _has_time(stated) and LONGEST_PASS < abs(stated - time) <= SAME_TIME:
            hours = (time - stated).total_seconds() / 3600
            bad.correct(info.path, f"the name's time, {hours:+.1f} h from that of the tag {tag}, was taken for UTC")


def _has_time(stated: dt.datetime) -> bool:
    return stated.time() != dt.time()


def _time_of_day(info: RasterInfo, named: Named, config: BackscatterConfig) -> dt.time:
    known = config.time_of_day
    if isinstance(known, dict):
        orbit = named.groups.get("orbit", "")
        keys = {key.lstrip("0"): text for key, text in known.items()}
        known = keys.get(orbit.lstrip("0")) if orbit else None
        known = known or keys.get(direction(named.groups.get("pass")))
    if known is None and config.time_of_day is not None:
        raise DataError(
            f"{info.path} has a date alone, and datamodule.backscatter.time_of_day nothing for its orbit or pass"
        )
    if known is None:
        raise DataError(
            f"{info.path} has a date in its name and no time (UTC), without which its local day is not known"
            + hint(config, pattern=config.pattern or pattern_of(info.path), time_of_day="HH:MM")
        )
    return dt.time.fromisoformat(known)
