"""What two tracks of the same place agree on, as a run."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlssm.checksums import file_checksums, value_checksum
from mlssm.config import TrainConfig
from mlssm.errors import ConfigError, DataError
from mlssm.evaluation.page import render
from mlssm.evaluation.tracks.evidence import Evidence, Settings, gather
from mlssm.evaluation.tracks.page import tracks_page
from mlssm.jobs.outcome import Outcome
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.points import point_speckle
from mlssm.retrieval.track_variance import tell_far
from mlssm.sources.faults import BadFiles
from mlssm.sources.points import Units, read_points
from mlssm.terminal import print_table
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.names import job_name
from mlssm.tracking.store import Store

log = logging.getLogger(__name__)
PAGE = "report.html"


def compare_tracks(
    store: Store, config: TrainConfig, values: Mapping[str, Any], folder: Path, parent: str | None
) -> Outcome:
    """Read point tables, compare the labels of all pairs of tracks, and keep tables and page in a run.

    Raises:
        DataError: There is no table, one is wrong, none has VV or the channel, or no speckle shows.
    """
    settings = config.datamodule
    bad = BadFiles(config.on_bad_file)
    many = read_points(settings.root, _units(config), bad)
    for name in ("VV", config.retrieval.polarisation):
        if not any(name in series.power for series in many):
            raise DataError(f"no table in {settings.root} has a value in {name}, by which tracks are compared; add it")
    looks = settings.backscatter.looks
    speckle = Speckle(looks) if looks is not None else point_speckle(many, config.retrieval.polarisation)
    digest = {"points": value_checksum(file_checksums(settings.root))}
    with tracked_run(store, job_name(config), values, digest, parent, "tracks", folder=folder) as run:
        told = Settings(config.retrieval, config.tracks, config.evaluation, speckle, config.seed)
        tell_far(config.tracks.most_hours)
        pairs, evidence = gather(many, told)
        if not pairs:
            log.warning("no site has two tracks with images at most %g hours apart", config.tracks.most_hours)
        for name, table in evidence.tables().items():
            run.log_table(table, name)
            print_table(table, name)
        run.log_metrics(_metrics(evidence))
        run.log_text(render(tracks_page(settings.root.name, evidence)), PAGE)
        print(f"MLflow run {run.run_id}\nSee it with: {run.ui_command}")
        return Outcome(math.nan, math.nan, run.run_id)


def _units(config: TrainConfig) -> Units:
    found = config.datamodule.backscatter.units
    if found not in ("linear", "dB"):
        raise ConfigError(f"datamodule.backscatter.units={found} is not allowed for tables of points: linear or dB")
    return found


def _metrics(evidence: Evidence) -> dict[str, float]:
    """The agreement of plain VV, and of the channel that is configured."""
    plain, channel = evidence.agreement.iloc[0], evidence.designs.iloc[0]
    found = {"tracks/pairs": plain["pairs"], "tracks/r": plain["r"], "tracks/anomaly_r": plain["anomaly_r"]}
    found |= {"tracks/ubrmsd": plain["ubrmsd"], "tracks/channel_r": channel["r"]}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}
