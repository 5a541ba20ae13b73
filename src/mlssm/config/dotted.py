"""What a configuration names in Python: a class or function of the user's own, by its dotted name."""

from __future__ import annotations

import importlib
from typing import Any


def imported(key: str, name: str, example: str) -> Any:
    """Import what a key names.

    Args:
        key: For the message.
        name: Module and attribute, e.g. `my_package.losses.pinball`.
        example: What such a name looks like, for the message.

    Raises:
        ValueError: There is no such module, or it has nothing of that name.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{key}={name} cannot be imported ({error}); give module and name, as {example}, "
            "and install the package or put its folder on PYTHONPATH"
        ) from None
