"""A table as Markdown."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def markdown(frame: pd.DataFrame, right: Collection[str] = ()) -> str:
    """The rows of a table as Markdown, floats to four digits, missing values empty; the index is left out.

    Args:
        frame: The table.
        right: Columns that stand to the right, beside those of numbers.
    """
    texts = frame.map(_cell).rename(columns=_cell)
    # a text column is not padded: one long cell would make all rows long
    aligned = ["right" if name in right or kind.kind in "fiu" else None for name, kind in frame.dtypes.items()]
    text = texts.to_markdown(index=False, tablefmt="pipe", disable_numparse=True, colalign=aligned, stralign=None)
    return f"{text}\n"


def cell_text(value: Any) -> str:
    """A value in one line, floats to four digits, empty where it is missing."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else " ".join(str(value).splitlines())


def _cell(value: Any) -> str:
    return cell_text(value).replace("|", "\\|")
