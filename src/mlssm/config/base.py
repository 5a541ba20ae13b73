"""What all sections of the configuration share: strictness, and errors that name key, value and cure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlssm.errors import ConfigError

Positive = Field(gt=0)
C = TypeVar("C", bound="Strict")


class Strict(BaseModel):
    """Base of every section: immutable; unknown keys, infinity and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def parse(schema: type[C], values: Mapping[str, Any]) -> C:
    """Check a resolved configuration and type it.

    Args:
        schema: The section to check against.
        values: The resolved configuration as plain containers.

    Returns:
        The typed configuration.

    Raises:
        ConfigError: A key is unknown or missing, or a value is not allowed; the message names key and value.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_descriptions(values, error)[:3])) from None


def located(values: Mapping[str, Any], error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with a section, for its own message: the place of each fault, and what it is."""
    return [(item["loc"], "".join(_describe(values, dict(item)))) for item in error.errors()]


def _descriptions(values: Mapping[str, Any], error: ValidationError) -> list[str]:
    """One sentence a key; a key that fits none of several types has all their messages."""
    messages: dict[str, list[str]] = {}
    for item in error.errors():
        start, message = _describe(values, dict(item))
        messages.setdefault(start, []).append(message)
    return [start + " or ".join(dict.fromkeys(found)) for start, found in messages.items()]


def _describe(values: Mapping[str, Any], item: dict[str, Any]) -> tuple[str, str]:
    if item["type"] == "extra_forbidden":
        return f"unknown configuration key '{_dotted(item['loc'])}'", ""
    if item["type"] == "missing":
        return f"configuration key '{_dotted(item['loc'])}' is missing", ""
    key, message = _dotted(_there(values, item["loc"])), item["msg"].removeprefix("Value error, ")
    if isinstance(item["input"], Mapping):
        return (f"{key}: " if key else ""), message
    return f"{key}={item['input']!r} is not allowed: ", message


def _dotted(location: Iterable[object]) -> str:
    return ".".join(map(str, location))


def _there(values: Any, location: Sequence[str | int]) -> list[str | int]:
    """The part of a location that the user's values have: of a key with several types, it also names the type."""
    found: list[str | int] = []
    for part in location:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            break
        found.append(part)
    return found
