"""One study a search: found by what is searched, and refused where it is another search's."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from hydra_plugins.mlssm_optuna._settings import Settings
from hydra_plugins.mlssm_optuna._space import Space
from mlssm.errors import ConfigError
from mlssm.tracking.record import flatten

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)

SEARCH = "search"  # the study's attribute that says what is searched
NOT_SEARCHED = ("hydra", "tracking", "seeds", "trial", "sweep", "resume")  # keys that change nothing about a trial
CREATION_SECONDS = 10
SHOWN = 3


@dataclass(frozen=True)
class Search:
    """What makes two searches the same one.

    Attributes:
        space: A line for each key.
        objectives: What is minimised.
        base: The rest of the configuration, flat.
    """

    space: Mapping[str, str]
    objectives: tuple[str, ...]
    base: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Eight characters."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]

    def differences(self, kept: Mapping[str, Any]) -> list[str]:
        """What another search was told otherwise, as: key theirs, not ours."""
        if kept["objectives"] != list(self.objectives):
            return [f"objectives {kept['objectives']}, not {list(self.objectives)}"]
        return [*_changes(kept["space"], self.space), *_changes(kept["base"], self.base)]


def describe_search(space: Space, settings: Settings, base: DictConfig) -> Search:
    """What is searched, over which configuration; searched keys that the base has too are the space's."""
    rest = {str(key): base[key] for key in base if key not in NOT_SEARCHED}
    plain = OmegaConf.to_container(OmegaConf.create(rest), resolve=True)
    assert isinstance(plain, dict)
    flat = flatten({str(key): value for key, value in plain.items()})
    searched = {key.lstrip("+") for key in space.dimensions}
    return Search(space.describe(), settings.objectives, {key: flat[key] for key in flat if key not in searched})


def open_study(storage: BaseStorage, name: str, search: Search) -> Study:
    """Make the study, or go on with it.

    Raises:
        ConfigError: A study of that name is another search's.
    """
    import optuna

    try:
        study = optuna.create_study(study_name=name, storage=storage, directions=["minimize"] * len(search.objectives))
        study.set_user_attr(SEARCH, asdict(search))
        log.info("study %s: new", name)
        return study
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage)
    _check(study, search)
    log.info("study %s: goes on, with %d trials", name, len(study.trials))
    return study


def _check(study: Study, search: Search) -> None:
    end = time.monotonic() + CREATION_SECONDS
    while SEARCH not in study.user_attrs and time.monotonic() < end and not study.trials:
        time.sleep(0.1)  # another worker is making it
    kept = study.user_attrs.get(SEARCH)
    if kept is None and not study.trials and len(study.directions) == len(search.objectives):
        study.set_user_attr(SEARCH, asdict(search))  # its maker was killed in between
        return
    found = ["it was not made by train.py"] if kept is None else search.differences(kept)
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ConfigError(
            f"study {study.study_name!r} is another search: {'; '.join(found[:SHOWN])}{more}; "
            "give another hydra.sweeper.study_name, or null"
        )


def _changes(theirs: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[str]:
    for key in sorted({*theirs, *ours}):
        if theirs.get(key) != ours.get(key):
            yield f"{key} {theirs.get(key, 'absent')}, not {ours.get(key, 'absent')}"
