"""A resolved configuration as MLflow parameters: flat keys, readable values, cut only where MLflow must."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

CUT_MARK = " ... [cut, whole in config.yaml]"


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """Nested mappings to dotted keys; lists and empty mappings stay one value.

    Values are written as Hydra reads them: strings plain, all else as JSON (true, null, [64, 64]).
    """
    return {key: _as_text(value) for key, value in _leaves(config, "")}


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and a visible mark where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - len(CUT_MARK)] + CUT_MARK


def _leaves(config: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
