"""A table as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def markdown(frame: pd.DataFrame) -> str:
    """The rows of a table as Markdown, floats to four digits, missing values empty; the index is left out."""
    lines = [_line(frame.columns), _line("---" for _ in frame.columns)]
    lines += [_line(row) for row in frame.itertuples(index=False, name=None)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value).replace("|", "\\|")
