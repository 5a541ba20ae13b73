"""Rasters whose file names carry a date."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlssm.errors import ConfigError, DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.raster import RasterInfo, inspect


@dataclass(frozen=True)
class DatedRaster:
    """A raster, what its name says, and its time.

    Attributes:
        info: The file's header.
        time: As the name has it, UTC.
        groups: The named groups of the pattern that the name has.
    """

    info: RasterInfo
    time: dt.datetime
    groups: dict[str, str]


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


def index_dated(
    paths: Sequence[Path], pattern: re.Pattern[str], date_formats: Sequence[str], bad: BadFiles
) -> list[DatedRaster]:
    """Header and time of each raster whose whole name matches.

    Args:
        paths: Rasters; those of other names are left out.
        pattern: Pattern of the file name, with the group `date`.
        date_formats: How `date` may be written (strptime), taken as UTC.
        bad: Whether a file that cannot be read or dated stops the run or is left out.

    Returns:
        The rasters in the order of time, then name.

    Raises:
        DataError: A file is bad and the policy is "error".
    """
    found = []
    for path in paths:
        match = pattern.fullmatch(path.name)
        if match is None:
            continue
        with bad.handled(path):
            groups = {name: value for name, value in match.groupdict().items() if value is not None}
            found.append(DatedRaster(inspect(path), _time(path, groups.get("date", ""), date_formats), groups))
    return sorted(found, key=lambda raster: (raster.time, raster.info.path.name))


def _time(path: Path, date: str, date_formats: Sequence[str]) -> dt.datetime:
    for date_format in date_formats:
        try:
            return dt.datetime.strptime(date, date_format).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
    raise DataError(f"{path}: {date!r} in its name is not a date written {' or '.join(date_formats)}; rename it")
