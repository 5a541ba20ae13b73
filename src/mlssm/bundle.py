"""The model bundle: weights and all that is needed to use them on other days of an area. Knows nothing of tracking."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from torch import Tensor

from mlssm import __version__
from mlssm.data.spec import FeatureSpec
from mlssm.errors import RunError

FORMAT = 1
DESCRIPTION = "bundle.json"
WEIGHTS = "weights.pt"
STRICT = ConfigDict(extra="forbid")


class Channels(Protocol):
    """The model's input channels by name, in order."""

    @property
    def dynamic(self) -> tuple[str, ...]:
        """The channels of each day."""

    @property
    def static(self) -> tuple[str, ...]:
        """The channels that hold for the whole window."""


@with_config(STRICT)
@dataclass(frozen=True)
class Bundle:
    """What a model was trained on and how.

    Attributes:
        config: The resolved training configuration as plain containers that JSON can hold (lists, not tuples).
        features: Input channels and scaling.
        label_digest: Digest of the label parameters (dry and wet references, angle slope).
        cube_digest: Digest of the training cube's inputs.
        crs: CRS of the model's grid.
        pixel_m: Size of the model's pixels, metres.
        pass_is_evening: Whether the usual pass is in the afternoon or evening, so that a window ends with its day.
        mlssm_version: The version that trained.
    """

    config: dict[str, Any]
    features: FeatureSpec
    label_digest: str
    cube_digest: str
    crs: str
    pixel_m: float
    pass_is_evening: bool
    mlssm_version: str = __version__


@with_config(STRICT)
@dataclass(frozen=True)
class _Description:
    format: int
    weights_sha256: str
    bundle: Bundle


def save(bundle: Bundle, state_dict: Mapping[str, Tensor], folder: Path) -> None:
    """Write `weights.pt` and then `bundle.json`, each whole or not at all; the second names the first one's digest.

    Raises:
        TypeError: The state holds something that is not a tensor, or the configuration something that JSON cannot hold.
    """
    weights = _pack(state_dict)
    description = _Description(FORMAT, hashlib.sha256(weights).hexdigest(), bundle)
    text = json.dumps(dataclasses.asdict(description), indent=2, sort_keys=True, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / WEIGHTS, weights)
    _replace(folder / DESCRIPTION, f"{text}\n".encode())


def load(folder: Path) -> tuple[Bundle, dict[str, Tensor]]:
    """Read a bundle and its weights, on the CPU.

    Raises:
        RunError: A file is missing, truncated or not this bundle's, or the bundle is of a newer format.
    """
    description = _description(folder / DESCRIPTION)
    weights = _read(folder / WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != description.weights_sha256:
        raise RunError(
            f"{folder / WEIGHTS} is damaged or not the file that {DESCRIPTION} describes; copy the bundle again"
        )
    state: dict[str, Tensor] = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    return description.bundle, state


def check_fit(expected: Channels, available: Channels) -> None:
    """Refuse data whose channels are not those the model was trained on, in the same order.

    Raises:
        RunError: Channels are missing, extra or in another order; the message names them.
    """
    for kind, wanted, found in (
        ("dynamic", expected.dynamic, available.dynamic),
        ("static", expected.static, available.static),
    ):
        if wanted != found:
            raise RunError(f"the data do not fit the model: {kind} channels {_difference(wanted, found)}")


def _difference(wanted: Sequence[str], found: Sequence[str]) -> str:
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"not known to the model: {', '.join(extra)}"] if extra else []
    return "; ".join(parts) or f"are in the order {', '.join(found)}, the model's is {', '.join(wanted)}"


def _pack(state_dict: Mapping[str, Tensor]) -> bytes:
    for name, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"state '{name}' is a {type(value).__name__}, not a tensor")
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu().clone() for name, value in state_dict.items()}, buffer)
    return buffer.getvalue()


def _description(path: Path) -> _Description:
    try:
        values = json.loads(_read(path))
    except ValueError as error:
        raise RunError(f"{path} is not readable JSON ({error}); copy the bundle again") from None
    found = values.get("format") if isinstance(values, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise RunError(f"{path} has bundle format {found}, this version reads up to {FORMAT}; update mlssm")
    try:
        return TypeAdapter(_Description).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RunError(f"{path} is not a model bundle: {key}: {first['msg']}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"model bundle: {path} cannot be read: {error.strerror}") from None


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
