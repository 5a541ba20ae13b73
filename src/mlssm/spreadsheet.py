"""Text that a spreadsheet would run as a formula: a run's name, a parameter, a file's name from somewhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# what OWASP's page on CSV injection names, and their full-width forms, which Excel takes alike
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def plain(value: Any) -> Any:
    """A cell as it may stand in a CSV file: a text that a formula begins with gets ' before it; numbers stay."""
    if not isinstance(value, str) or not value.startswith(FORMULA) or _is_number(value):
        return value
    return f"'{value}"


def as_csv(frame: pd.DataFrame) -> str:
    """A table's columns as CSV without its index, each cell and heading `plain`."""
    return frame.map(plain).rename(columns=plain).to_csv(index=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
