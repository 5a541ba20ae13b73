"""How a map is drawn: colours, masked pixels, scale bar. Shared by the figures of a run and the previews of maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize

from mlssm.scores import AnyFloats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MASKED: Final = "#d3d3d3"
INK: Final = "#22303c"
SSM_LABEL: Final = "relative soil moisture (0 = driest seen, 1 = wettest seen)"
SSM_RANGE: Final = Normalize(0.0, 1.0)
DIFFERENCE_RANGE: Final = Normalize(-0.5, 0.5)


# Dry earth to deep water, lightness falling from the sand on both sides of dry and wet but never grey like a mask.
SSM_COLOURS: Final = LinearSegmentedColormap.from_list(
    "soil_moisture", ["#7c4a1a", "#b98345", "#e3c88f", "#f1eab6", "#c0dfae", "#82c8bd", "#46a0bc", "#2069a3", "#123166"]
).with_extremes(bad=MASKED)
# Brown where the prediction is too dry, teal where it is too wet.
DIFFERENCE_COLOURS: Final = colormaps["BrBG"].with_extremes(bad=MASKED)


def draw_map(
    axes: Axes, values: AnyFloats, pixel_m: float, colours: Colormap, scale: Normalize, *, scale_bar: bool = False
) -> AxesImage:
    """Draw a map on axes whose unit is the kilometre: no ticks, a thin frame, masked pixels light grey.

    Args:
        axes: Axes to draw on.
        values: Map [h, w], first row north; NaN = masked.
        pixel_m: Pixel size, metres.
        colours: Colour map, with its colour for masked pixels.
        scale: Range of values that the colours span.
        scale_bar: Whether to draw a bar of a round length.

    Returns:
        The image, for a colour bar.
    """
    height, width = (side * pixel_m / 1000 for side in values.shape)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, norm=scale, extent=(0, width, 0, height))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.6)
    if scale_bar:
        _add_scale_bar(axes, width, height)
    return image


def bar_length(width_km: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten that is at most 0.35 of a map's width, km."""
    room = 0.35 * width_km
    power = 10.0 ** math.floor(math.log10(room))
    return max(step * power for step in (1, 2, 5) if step * power <= room)


def left_out(available: int, most: int) -> str:
    """How many extents a figure that shows `most` leaves out, to follow its title; empty where it shows all."""
    missing = available - most
    return f" ({missing} more extent{'s' if missing > 1 else ''} not shown)" if missing > 0 else ""


def _add_scale_bar(axes: Axes, width: float, height: float) -> None:
    from matplotlib.font_manager import FontProperties
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    length = bar_length(width)
    label = f"{length:g} km" if length >= 1 else f"{1000 * length:g} m"
    bar = AnchoredSizeBar(
        axes.transData,
        length,
        label,
        "lower left",
        pad=0.3,
        borderpad=0.4,
        sep=2,
        color=INK,
        size_vertical=min(width, height) / 130,
        fontproperties=FontProperties(size=8),
    )
    bar.patch.set(facecolor="white", alpha=0.85, edgecolor="none")
    axes.add_artist(bar)
