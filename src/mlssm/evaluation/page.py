"""A report as one self-contained HTML file: text, tables and figures, no script, nothing from the network."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlssm.evaluation.html_table import TableLayout, lay_out

if TYPE_CHECKING:
    import pandas as pd

TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class Text:
    """Paragraphs, apart by an empty line."""

    kind: ClassVar = "text"
    text: str

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs without surrounding white space."""
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


@dataclass(frozen=True)
class TableBlock:
    """A table.

    Attributes:
        title: Title.
        frame: The table as `lay_out` takes it: its index is left out, its column `reason` says why a row lacks values.
        how_to_read: A sentence on how to read it.
        decimals: Of all floats; None = as many as a column's typical value needs.
    """

    kind: ClassVar = "table"
    title: str
    frame: pd.DataFrame
    how_to_read: str
    decimals: int | None = None

    @property
    def layout(self) -> TableLayout:
        """The table as it is shown."""
        return lay_out(self.frame, self.decimals)


@dataclass(frozen=True)
class FigureBlock:
    """A figure.

    Attributes:
        title: Title, and the text for those who cannot see it.
        png: The figure; see `mlssm.evaluation.picture`.
        how_to_read: A sentence on how to read it.
    """

    kind: ClassVar = "figure"
    title: str
    png: bytes
    how_to_read: str

    @property
    def base64(self) -> str:
        """The PNG in base64."""
        return base64.b64encode(self.png).decode("ascii")


Block: TypeAlias = Text | TableBlock | FigureBlock


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: Title.
        subtitle: Below it.
        sections: Its parts.
        lead: What it comes to, above all else: a sentence, and then what to beware of, a sentence each.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    lead: tuple[str, ...] = ()


def render(page: Page) -> str:
    """The report as one HTML file, everything in it: readable on a phone, on a wide screen, and on paper.

    All text is escaped. The page follows the reader's choice of a light or dark screen; figures stay on white.

    Args:
        page: The report.

    Returns:
        HTML 5, to be written as UTF-8.
    """
    folder = FileSystemLoader(Path(__file__).parent, encoding="utf-8")
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(TEMPLATE).render(page=page)
