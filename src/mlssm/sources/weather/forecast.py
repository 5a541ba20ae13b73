"""Forecast weather behind the record: the record counts where both have a day."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from mlssm.sources.weather.record import StationRecord

log = logging.getLogger(__name__)


def last_observed(records: Sequence[StationRecord]) -> pd.Timestamp:
    """The last day on which any station has a value; its last line's, where none has one."""
    known = [record.observations.dropna(how="all") for record in records]
    ends = [table.index[-1] for table in known if len(table)]
    return pd.Timestamp(max(ends or [record.observations.index[-1] for record in records]))


def with_forecast(
    records: Sequence[StationRecord], future: Sequence[StationRecord], last: pd.Timestamp
) -> tuple[list[StationRecord], str]:
    """Records with the forecast's days that follow them, and a line on these.

    Args:
        records: What was observed.
        future: What is forecast, for the same stations or for others.
        last: The last observed day.

    Returns:
        Stations of both; one that is in both has the days of both, at the place of the record.
    """
    ahead = {record.id: record for record in (_after(record, last) for record in future) if record is not None}
    joined = [record if record.id not in ahead else _joined(record, ahead.pop(record.id), last) for record in records]
    together = [*joined, *ahead.values()]
    end = max(record.observations.index[-1] for record in together)
    if end <= last:
        line = f"the forecast has no day after {last:%Y-%m-%d}, the record's last: it is not used"
    else:
        line = f"the days from {last + pd.Timedelta(days=1):%Y-%m-%d} to {end:%Y-%m-%d} are forecast"
    log.warning(line)
    return together, line


def _after(record: StationRecord, last: pd.Timestamp) -> StationRecord | None:
    """The forecast's part behind the record; None where it has none."""
    ahead = record.observations[record.observations.index > last]
    return None if ahead.dropna(how="all").empty else replace(record, observations=ahead, flagged=0)


def _joined(record: StationRecord, ahead: StationRecord, last: pd.Timestamp) -> StationRecord:
    observed = record.observations[record.observations.index <= last]
    both = pd.concat([observed, ahead.observations])
    axis = pd.date_range(both.index[0], both.index[-1], freq="D")
    notes = tuple(dict.fromkeys([*record.notes, *(f"forecast: {note}" for note in ahead.notes)]))
    return replace(record, observations=both.reindex(axis), notes=notes)
