"""A table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from mlssm.markdown import cell_text

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 1000  # no cell is folded or cut, where nobody looks at a terminal as on a narrow one


def plain_table(title: str = "") -> Table:
    """An empty table whose columns stand close, with a line below their names."""
    left = {"title_justify": "left", "title_style": "bold"}
    return Table(title=title or None, box=box.SIMPLE_HEAD, padding=0, show_edge=False, **left)  # type: ignore[arg-type]


def print_table(frame: pd.DataFrame, title: str = "") -> None:
    """Print the rows of a table with its columns aligned, numbers to the right; the index is left out."""
    table = plain_table(title)
    for name, kind in frame.dtypes.items():
        table.add_column(str(name), justify="right" if kind.kind in "fiu" else "left", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(cell_text(value) for value in row))
    console = Console(width=WIDTH, markup=False, highlight=False)
    console.print()
    console.print(table)
