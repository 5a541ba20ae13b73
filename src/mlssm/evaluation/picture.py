"""Figures as PNG, each drawn once, for the run's artifacts and for its report."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 130
MOST_BYTES = 600_000  # of a figure, so that a report with three of maps stays below 3 MB


@dataclass(frozen=True)
class NamedFigure:
    """A figure, for `figures/<stem>.png`.

    Attributes:
        stem: Name of its file.
        figure: The figure; what changes in it after `png` was read is not drawn.
    """

    stem: str
    figure: Figure

    @cached_property
    def png(self) -> bytes:
        """The figure, drawn when it is first asked for."""
        return as_png(self.figure)


def as_png(figure: Figure) -> bytes:
    """A figure on white, as PNG of about `MOST_BYTES` at most.

    Maps of noise hardly compress: a larger picture is brought to 256 colours, and if that is not enough, drawn coarser.
    """
    drawn = _draw(figure, DOTS_PER_INCH)
    if len(drawn) <= MOST_BYTES:
        return drawn
    reduced = _fewer_colours(drawn)
    if len(reduced) <= MOST_BYTES:
        return reduced
    return _fewer_colours(_draw(figure, DOTS_PER_INCH * math.sqrt(MOST_BYTES / len(reduced))))


def _draw(figure: Figure, dots_per_inch: float) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor="white")
    return buffer.getvalue()


def _fewer_colours(png: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        # median cut keeps colour bars smooth; dither would draw a pattern into maps
        few = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
