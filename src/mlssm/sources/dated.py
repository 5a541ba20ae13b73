"""Rasters whose file names carry a date."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlssm.errors import ConfigError, DataError
from mlssm.sources.checks.header import Stored
from mlssm.sources.faults import BadFiles
from mlssm.sources.opening import RasterInfo, inspect

# what a file's name says, by named group; None where it is not one of ours
NameReader = Callable[[Path], "dict[str, str] | None"]
DATE_IN_NAME = re.compile(r"(?<!\d)(?:19|20)\d{6}(?!\d)")
# tags in which producers state when a sensor looked; the tag DateTime of TIFF is when the file was written
SENSING_TAGS = (
    *("ZERO_DOPPLER_START_TIME", "SENSING_TIME", "SENSING_START", "ACQUISITION_TIME", "ACQUISITION_DATETIME"),
    *("ACQUISITION_DATE", "DATE_ACQUIRED"),
)
# a name and a tag may differ by the length of a pass, and by a time zone
SAME_TIME = dt.timedelta(days=1)


@dataclass(frozen=True)
class DatedRaster:
    """A raster, what its name says, and its time.

    Attributes:
        info: The file's header.
        time: As the name has it, UTC.
        groups: The named groups of the pattern that the name has.
        stored: How it holds what is read from it.
    """

    info: RasterInfo
    time: dt.datetime
    groups: dict[str, str]
    stored: Stored = field(default_factory=Stored)


def compile_pattern(pattern: str, key: str, groups: Iterable[str]) -> re.Pattern[str]:
    """Compile a pattern of file names.

    Args:
        pattern: Regular expression of the whole name.
        key: The configuration key that it comes from.
        groups: Named groups that it must have.

    Raises:
        ConfigError: It is not a regular expression, or lacks a group.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"datamodule.{key}={pattern!r} is not a regular expression: {error}") from error
    for group in groups:
        if group not in compiled.groupindex:
            raise ConfigError(f"datamodule.{key}={pattern!r} lacks the group (?P<{group}>...)")
    return compiled


def name_match(pattern: re.Pattern[str], path: Path) -> re.Match[str] | None:
    """The match of a whole file name; `.TIF` and `.tiff` are as good as `.tif`."""
    return pattern.fullmatch(path.name) or pattern.fullmatch(f"{path.stem}.tif")


def by_pattern(pattern: re.Pattern[str]) -> NameReader:
    """Reads names by a pattern with the group `date`."""

    def read(path: Path) -> dict[str, str] | None:
        match = name_match(pattern, path)
        if match is None:
            return None
        _refuse_later_date(path, match)
        return {name: value for name, value in match.groupdict().items() if value is not None}

    return read


def _refuse_later_date(path: Path, match: re.Match[str]) -> None:
    """Refuse a date that another one in the name precedes: sensing comes before processing."""
    taken = match["date"].replace("-", "")[:8]
    spans = [match.span(name) for name in match.re.groupindex]
    for other in DATE_IN_NAME.finditer(match.string):
        if other[0] < taken and _is_day(other[0]) and not any(a <= other.start() < b for a, b in spans):
            raise DataError(
                f"{path}: its pattern takes {match['date']} for the date, but {other[0]} stands in the name, too, and "
                "an image is processed after it is taken; give the other date a group of its own, (?P<other>\\d{8})"
            )


def _is_day(digits: str) -> bool:
    try:
        return bool(dt.datetime.strptime(digits, "%Y%m%d"))
    except ValueError:
        return False


def index_dated(
    paths: Sequence[Path],
    read_name: NameReader,
    date_formats: Sequence[str],
    bad: BadFiles,
    latest: dt.datetime | None = None,
) -> list[DatedRaster]:
    """Header and time of each raster whose name is understood.

    Args:
        paths: Rasters; those of other names are left out.
        read_name: What a name says; it has `date`.
        date_formats: How `date` may be written (strptime), taken as UTC.
        bad: Whether a file that cannot be read or dated stops the run or is left out.
        latest: No image can be of a later time; None: of none later than tomorrow.

    Returns:
        The rasters in the order of time, then name.

    Raises:
        DataError: A file is bad and the policy is "error".
    """
    latest = latest or tomorrow()
    found = []
    for path in paths:
        with bad.handled(path):
            groups = read_name(path)
            if groups is not None:
                time = _time(path, groups.get("date", ""), date_formats)
                info = inspect(path)
                check_time(info, time, latest)
                found.append(DatedRaster(info, time, groups))
    return sorted(found, key=lambda raster: (raster.time, raster.info.path.name))


def tomorrow() -> dt.datetime:
    """Later than any image that was taken, wherever."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


def _time(path: Path, date: str, date_formats: Sequence[str]) -> dt.datetime:
    for date_format in date_formats:
        # strptime takes 2021101 for %Y%m%d, too
        if len(date) != len(dt.datetime(2000, 12, 31).strftime(date_format)):
            continue
        try:
            return dt.datetime.strptime(date, date_format).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
    raise DataError(f"{path}: {date!r} in its name is not a date written {' or '.join(date_formats)}; rename it")


def check_time(info: RasterInfo, time: dt.datetime, latest: dt.datetime) -> None:
    """Refuse a time that is still to come, or that the file contradicts.

    Raises:
        DataError: It is one.
    """
    if time > latest:
        raise DataError(f"{info.path}: its name gives the date {time:%Y-%m-%d}, which is still to come; rename it")
    for tag, stated in stated_times(info):
        if abs(stated - time) > SAME_TIME:
            raise DataError(
                f"{info.path}: its name gives the date {time:%Y-%m-%d}, its tag {tag} {stated:%Y-%m-%d}; rename it, "
                "or let the pattern's group 'date' take the time of sensing"
            )


def stated_times(info: RasterInfo) -> list[tuple[str, dt.datetime]]:
    """The tags in which a file states when it was sensed, and the times, UTC."""
    found = []
    for tag in SENSING_TAGS:
        try:
            stated = dt.datetime.fromisoformat(info.tags.get(tag, "").strip()[:19])
        except ValueError:
            continue
        found.append((tag, stated.replace(tzinfo=dt.UTC)))
    return found
