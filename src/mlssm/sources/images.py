"""Dated rasters by their day: one image a day, of one file or of several tiles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mlssm.errors import DataError
from mlssm.sources import ndvi_names
from mlssm.sources.dated import NameReader, by_pattern, compile_pattern, index_dated
from mlssm.sources.faults import BadFiles

DATE_FORMATS = ("%Y%m%d", "%Y-%m-%d", "%Y%j")


@dataclass(frozen=True)
class DatedImage:
    """The image of one day: one raster, or several tiles.

    Attributes:
        paths: The day's files, in the order of their names.
        day: The day in their names.
    """

    paths: tuple[Path, ...]
    day: dt.date


def index_images(
    files: Sequence[Path], pattern: str | None, key: str, bad: BadFiles, latest: dt.datetime | None = None
) -> list[DatedImage]:
    """Rasters by the day in their names, in the order of the days.

    Args:
        files: The rasters.
        pattern: Regular expression of whole names with the group `date`; None: names as producers write them.
        key: The configuration key that the pattern comes from.
        bad: Whether a file that cannot be read or dated stops the run or is left out.
        latest: As in `index_dated`.

    Raises:
        ConfigError: The pattern is not a regular expression with the group `date`.
        DataError: No name matches, or a file is bad.
    """
    read_name: NameReader = ndvi_names.read_name
    if pattern is not None:
        read_name = by_pattern(compile_pattern(pattern, key, ("date",)))
    wanted = (
        f"datamodule.{key} ({repr(pattern) if pattern else 'null: a date such as 20230101, 2023-01-01 or 2023001'})"
    )
    dated = index_dated(_named(files, wanted, read_name, bad), read_name, DATE_FORMATS, bad, latest)
    for raster in (raster for raster in dated if "composite" in raster.groups):
        bad.correct(
            raster.info.path, "composites that are named by their first day or middle were dated by their last day"
        )
    by_day = groupby(dated, key=lambda raster: raster.time.date())
    return [DatedImage(tuple(raster.info.path for raster in rasters), day) for day, rasters in by_day]


def _named(files: Sequence[Path], wanted: str, read_name: NameReader, bad: BadFiles) -> list[Path]:
    """The files whose names carry a date; the others are said, or refused where there is no other."""
    named: list[Path] = []
    others: list[Path] = []
    for path in files:
        with bad.handled(path):
            (others if read_name(path) is None else named).append(path)
    if not others:
        return named
    folder = others[0].parent
    if not named:
        raise DataError(f"no file in {folder} matches {wanted}; first file: {others[0].name}")
    bad.say(f"{len(others)} GeoTIFFs in {folder} (first: {others[0].name}) do not match {wanted}: not used")
    return named
