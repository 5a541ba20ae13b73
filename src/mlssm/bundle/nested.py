"""Nested values with arrays in them, as JSON that names tensors, and the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlssm.scratch import LARGE, scratch

PREFIX = "fitted."  # of the tensors' names, apart from a network's weights
MARK = "tensor"


def pack(values: Any) -> tuple[Any, dict[str, Tensor]]:
    """Split dictionaries, lists and tuples of arrays and primitives.

    Returns:
        The same with lists for tuples and `{"tensor": name}` for arrays, and the arrays by name.

    Raises:
        TypeError: A value is of another type.
    """
    tensors: dict[str, Tensor] = {}
    return _pack(values, tensors), tensors


def unpack(values: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `pack`; tuples come back as lists.

    Raises:
        KeyError: A tensor is missing.
    """
    if isinstance(values, Mapping):
        if set(values) == {MARK}:
            return tensors[values[MARK]].numpy()
        return {key: unpack(value, tensors) for key, value in values.items()}
    return [unpack(value, tensors) for value in values] if isinstance(values, list) else values


def _own(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array in one piece that may be written to, as tensors must; a large one is copied to a file at most."""
    if values.nbytes >= LARGE and values.flags.c_contiguous and values.flags.writeable:
        return values
    kept = scratch(values.shape, values.dtype)
    kept[...] = values
    return kept


def _pack(values: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(values, np.ndarray):
        name = f"{PREFIX}{len(tensors)}"
        tensors[name] = torch.from_numpy(_own(values))
        return {MARK: name}
    if isinstance(values, Mapping):
        return {str(key): _pack(value, tensors) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_pack(value, tensors) for value in values]
    if values is None or isinstance(values, str | bool | int | float):
        return values
    raise TypeError(f"a {type(values).__name__} cannot be kept in a bundle")
