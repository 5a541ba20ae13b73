"""A run's recorded configuration, of whatever version, as one that this version can go on with."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from mlssm.bundle.upgrades import FIRST_FAMILY
from mlssm.config import TrainConfig

log = logging.getLogger(__name__)
MENDED = ("missing", "extra_forbidden")  # pydantic's names of what another version's configuration has wrong


def as_of_today(recorded: Mapping[str, Any], composed: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration with the keys of today: a log line says what was added and left out.

    A key that the configuration has to have and the record lacks takes the value of the command; one that is no more is
    left out. What else may be wrong is left to the typing.

    Args:
        recorded: The run's own configuration.
        composed: That of this command.
    """
    whole = copy.deepcopy(dict(recorded))
    if isinstance(whole.get("model"), dict):
        whole["model"].setdefault("family", FIRST_FAMILY)
    told: list[str] = []
    while mended := [text for kind, path in _faults(whole) if (text := _mend(whole, composed, kind, path))]:
        told += mended
    if told:
        log.info("the run's configuration is of another version: %s", ", ".join(told))
    return whole


def _faults(values: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """What is missing or not known, each with its key's path."""
    try:
        TrainConfig.model_validate(values)
    except ValidationError as error:
        return [(item["type"], tuple(map(str, item["loc"]))) for item in error.errors() if item["type"] in MENDED]
    return []


def _mend(whole: dict[str, Any], composed: Mapping[str, Any], kind: str, path: Sequence[str]) -> str:
    """Mend a key; empty where that cannot be done."""
    target, source, name = _section(whole, path), _section(composed, path), ".".join(path)
    key = path[-1]
    if not isinstance(target, dict) or (kind == "missing") == (key in target):
        return ""
    if kind == "extra_forbidden":
        del target[key]
        return f"{name} is no more"
    if not isinstance(source, Mapping) or key not in source:
        return ""
    target[key] = copy.deepcopy(source[key])
    return f"{name} is taken as {target[key]}"


def _section(values: Any, path: Sequence[str]) -> Any:
    for key in path[:-1]:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
