"""The two files of a bundle: `bundle.json`, which describes the model, and `weights.pt`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from mlssm.bundle.nested import PREFIX, unpack
from mlssm.bundle.record import Bundle
from mlssm.bundle.upgrades import FORMAT, upgraded
from mlssm.config import Strict
from mlssm.errors import RunError
from mlssm.files import naming, whole_file
from mlssm.scratch import LARGE, trim

DESCRIPTION = "bundle.json"
WEIGHTS = "weights.pt"


class _Description(Strict):
    format: int
    weights_sha256: str
    bundle: Bundle


def save(bundle: Bundle, state_dict: Mapping[str, Tensor], folder: Path) -> None:
    """Write `weights.pt` and then `bundle.json`, each whole or not at all; the second names the first one's digest.

    Raises:
        TypeError: The state holds something that is not a tensor.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _alone(name, value) for name, value in state_dict.items()}
    described = bundle.model_dump(mode="json", by_alias=True)
    # straight to the disk: maps of a large area do not fit into memory several times
    with whole_file(folder / WEIGHTS) as weights:
        with naming(weights), weights.open("wb") as file:
            torch.save(tensors, file)
        trim()
        description = {"format": FORMAT, "weights_sha256": _digest(weights), "bundle": described}
        text = json.dumps(description, indent=2, sort_keys=True, allow_nan=False)
    with whole_file(folder / DESCRIPTION) as made, naming(made):
        made.write_text(f"{text}\n", encoding="utf-8")


def load(folder: Path) -> tuple[Bundle, dict[str, Tensor]]:
    """Read a bundle and its network's weights, on the CPU.

    Raises:
        RunError: A file is missing, truncated or not this bundle's, the bundle is of a newer format, or its family of
            models cannot be imported.
    """
    bundle, state = _load(folder)
    return bundle, {name: value for name, value in state.items() if not name.startswith(PREFIX)}


def load_fitted(folder: Path) -> Any:
    """What was fitted beside a bundle's weights, as it was given to `pack`; None for a model of before there was any.

    Raises:
        RunError: As `load`.
    """
    bundle, state = _load(folder)
    try:
        return None if bundle.fitted is None else unpack(bundle.fitted, state)
    except KeyError as error:
        raise RunError(f"{folder / WEIGHTS} lacks {error}, which {DESCRIPTION} names; copy the bundle again") from None


def _load(folder: Path) -> tuple[Bundle, dict[str, Tensor]]:
    description = _description(folder / DESCRIPTION)
    if _digest(folder / WEIGHTS) != description.weights_sha256:
        raise RunError(
            f"{folder / WEIGHTS} is damaged or not the file that {DESCRIPTION} describes; copy the bundle again"
        )
    # mapped: of a large area's maps only the pixels are read that are asked for
    state: dict[str, Tensor] = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True, mmap=True)
    return description.bundle, state


def _alone(name: str, value: Tensor) -> Tensor:
    """A tensor that takes no more room in a file than its own values do; a large one is not copied for that."""
    if not isinstance(value, Tensor):
        raise TypeError(f"state '{name}' is a {type(value).__name__}, not a tensor")
    value = value.detach().cpu()
    return value if value.nbytes >= LARGE and value.untyped_storage().nbytes() == value.nbytes else value.clone()


def _description(path: Path) -> _Description:
    try:
        values = json.loads(_read(path))
    except ValueError as error:
        raise RunError(f"{path} is not readable JSON ({error}); copy the bundle again") from None
    found = values.get("format") if isinstance(values, dict) else None
    if not isinstance(found, int) or found < 1:
        raise RunError(f"{path} is not a model bundle: it has no format")
    if found > FORMAT:
        raise RunError(f"{path} has bundle format {found}, this version reads up to {FORMAT}; update mlssm")
    try:
        return _Description.model_validate(upgraded(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RunError(f"{path} is not a model bundle: {key}: {first['msg'].removeprefix('Value error, ')}") from None
    except (KeyError, TypeError) as error:
        raise RunError(f"{path} is not a model bundle of format {found}: {error} is missing or wrong") from None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"model bundle: {path} cannot be read: {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"model bundle: {path} cannot be read: {error.strerror}") from None
