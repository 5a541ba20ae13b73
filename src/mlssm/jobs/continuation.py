"""Three verbs for a training that does not begin from nothing: resume, fork and warm start.

resume: the same run goes on where it was killed or stopped. fork: a new run goes on from another one's checkpoint.
warm start: a new run begins with another one's weights, and nothing else of it.
"""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from mlssm.checkpoint import BEST, CHECKPOINTS, LAST
from mlssm.config import TrainConfig, parse
from mlssm.errors import ConfigError
from mlssm.jobs.recorded import as_of_today
from mlssm.jobs.weights import origin_weights
from mlssm.tracking.origin import Origin, find_origin, require_checkpoint
from mlssm.tracking.store import Store
from mlssm.training.start import Start

log = logging.getLogger(__name__)

# of the command at hand, not of the run that goes on
OWN = ("resume", "fork", "warm_start", "sweep", "tracking", "trial")
WARM_START = "mlssm.warm_start_from"
FOLDS = f"{CHECKPOINTS}/inner"  # folders of the trainings with a training season held out
WHOLE = ("experiment", "protocol", "search")  # groups that set keys all over the configuration


@dataclass(frozen=True)
class TrainingJob:
    """A training that is to be done.

    Attributes:
        config: The typed configuration: of the run that goes on, with what the command line changes in it.
        values: The same as plain containers.
        folder: Of checkpoints and the model.
        start: What the network and its optimiser start from.
        resumed: The run that goes on; None for a new one.
        tags: Name the origin of a new run.
        watched: Whether a search is told its epochs; of several trainings in one trial, it is those of the first.
        pooled: Whether its scores are kept whole, for the run above to pool.
    """

    config: TrainConfig
    values: Mapping[str, Any]
    folder: Path
    start: Start = field(default_factory=Start)
    resumed: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    watched: bool = True
    pooled: bool = False


def find_job(
    store: Store, config: TrainConfig, values: Mapping[str, Any], folder: Path, overrides: Sequence[str]
) -> TrainingJob:
    """Find what a training is to begin from, and with which configuration.

    Args:
        store: Where the origin is looked for.
        config: As composed for this command.
        values: The same as plain containers.
        folder: Where a new run's files go.
        overrides: What the command line says.

    Raises:
        RunError: The origin does not exist, or has no checkpoint.
        ConfigError: The command line changes what cannot be changed.
    """
    if config.resume is not None:
        return resume(store, config, values, folder, overrides)
    if config.fork is not None:
        return _fork(store, config, values, folder, overrides)
    if config.warm_start is not None:
        origin = find_origin(store, config.warm_start)
        tags = {WARM_START: origin.run.run_id}
        return TrainingJob(config, values, folder, Start(weights=origin_weights(store, origin)), tags=tags)
    return TrainingJob(config, values, folder)


def resume(
    store: Store, config: TrainConfig, values: Mapping[str, Any], folder: Path, overrides: Sequence[str]
) -> TrainingJob:
    """Go on in the run that `config.resume` names; one that was killed before its first step begins anew.

    Raises:
        RunError: There is no such run, or its checkpoint is missing.
        ConfigError: The command line changes what cannot be changed.
    """
    assert config.resume is not None
    origin = find_origin(store, config.resume)
    typed, whole = changed(origin.config, values, overrides)
    several = typed.seeds > 1 or typed.split.each_season  # its checkpoints are those of the runs under it
    # each fold, and the refit, finds its own
    folded = typed.split.by_inner_seasons and origin.folder is not None
    begins = origin.checkpoint is None and not _has_begun(origin)
    if several or folded or begins:
        if not several and not _has_folds(origin) and begins:
            log.info("run %s was ended before its first step: it begins", origin.run.run_id)
        start = _as_it_began(store, origin)
        return TrainingJob(typed, whole, origin.folder or folder, start, resumed=origin.run.run_id)
    checkpoint = require_checkpoint(origin)
    if origin.folder is None:
        _copy(checkpoint, folder)
        return TrainingJob(typed, whole, folder, Start(folder / CHECKPOINTS / LAST), origin.run.run_id)
    return TrainingJob(typed, whole, origin.folder, Start(checkpoint), origin.run.run_id)


def changed(
    recorded: Mapping[str, Any], composed: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[TrainConfig, dict[str, Any]]:
    """The configuration of a run with what the command line says put in its place.

    Args:
        recorded: The run's own configuration.
        composed: That of this command, from which changed values and whole groups are taken.
        overrides: What the command line says.

    Raises:
        ConfigError: An override sets keys all over the configuration, or takes a key away.
    """
    own = {key: composed[key] for key in OWN} | {"resume": None}  # the run's own tag says that it was resumed
    whole = as_of_today({**recorded, **own}, composed)
    for item in OverridesParser.create().parse_overrides(list(overrides)):
        path = item.key_or_group.split(".")
        if path[0] not in OWN and not path[0].startswith("hydra"):
            _check_change(item)
            _put(whole, composed, path)
    typed = parse(TrainConfig, whole)
    if typed.split.inner != recorded["split"].get("inner", "none"):
        raise ConfigError(
            f"split.inner={typed.split.inner}: a run that goes on keeps what it chooses by; use warm_start=<run id>"
        )
    return typed, whole


def _fork(
    store: Store, config: TrainConfig, values: Mapping[str, Any], folder: Path, overrides: Sequence[str]
) -> TrainingJob:
    assert config.fork is not None
    origin = find_origin(store, config.fork)
    typed, whole = changed(origin.config, values, overrides)
    if typed.seeds > 1:
        raise ConfigError(f"seeds={typed.seeds}: a fork is one training; fork a run of one seed, and set seeds=1")
    if typed.split.each_season:
        raise ConfigError(f"split={typed.split.name}: a fork is one training; fork the run of one of its seasons")
    _copy(require_checkpoint(origin), folder)
    start = Start(folder / CHECKPOINTS / LAST)
    return TrainingJob(typed, whole, folder, start, tags={"mlssm.fork_of": origin.run.run_id})


def _has_begun(origin: Origin) -> bool:
    return "val/natural/rmse" in origin.run.metrics


def _has_folds(origin: Origin) -> bool:
    return origin.folder is not None and (origin.folder / FOLDS).is_dir()


def _as_it_began(store: Store, origin: Origin) -> Start:
    """What the run's trainings that have no checkpoint yet begin with: the weights that it was told to start from."""
    told = origin.run.tags.get(WARM_START)
    return Start() if told is None else Start(weights=origin_weights(store, find_origin(store, told)))


def _copy(last: Path, folder: Path) -> None:
    target = folder / CHECKPOINTS
    target.mkdir(parents=True, exist_ok=True)
    for name in (BEST, LAST):
        if (last.parent / name).is_file():
            shutil.copy(last.parent / name, target / name)
    folds = last.parent / Path(FOLDS).name
    if folds.is_dir():
        shutil.copytree(folds, folder / FOLDS, dirs_exist_ok=True)


def _check_change(item: Override) -> None:
    if item.key_or_group in WHOLE:
        raise ConfigError(
            f"{item.input_line}: a run that goes on keeps its own configuration, and {item.key_or_group} sets keys all "
            "over it; give the single keys that should change, or use warm_start=<run id>, which begins anew"
        )
    if item.is_delete():
        raise ConfigError(f"{item.input_line}: a key of a run that goes on cannot be taken away")


def _put(whole: dict[str, Any], composed: Mapping[str, Any], path: Sequence[str]) -> None:
    source: Any = composed
    target = whole
    for key in path[:-1]:
        source, target = source[key], target.setdefault(key, {})
    target[path[-1]] = copy.deepcopy(source[path[-1]])
