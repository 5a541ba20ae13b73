"""The picture of a real area: what is predicted on a day, what radar retrieved and the terrain, and a pixel's series.

Run it in the folder of a project whose latest run is of that area (docs/real_data.md says where its files come from):

    python train.py datamodule=geotiff datamodule.root=DIR split=by_season 'split.test=[2022]' split.inner=seasons \
        retrieval.multilook_m=150
    python docs/make_area_picture.py 2022-11-20 2023-01-01 2022-12-07 docs/images/santa_barbara.png --extent 3
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.colors import LightSource
from matplotlib.figure import Figure

import mlssm
from mlssm.evaluation.cartography import INK, SSM_COLOURS
from mlssm.evaluation.figures.style import BLUE, BROWN, TEAL, tidy

LEVEL = 90  # percent, of the intervals
SUN = {"azdeg": 315, "altdeg": 45}


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="first day of the series, 2022-11-01")
    parser.add_argument("last", help="its last day")
    parser.add_argument("day", help="day of the maps, one of an image")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--run", default="latest")
    parser.add_argument("--extent", type=int, default=1, help="which extent of the area, counted from 1")
    told = parser.parse_args()
    run = mlssm.load_run(told.run)
    area = run.open_area()
    days = np.arange(np.datetime64(told.first), np.datetime64(told.last) + 1)
    row, col, height, width = area.attrs["extents"][told.extent - 1]
    part = {"y": slice(row, row + height), "x": slice(col, col + width)}
    retrieved = run.retrieved_maps(told.first, told.last).isel(part).copy()
    # copies: a day's map is of the whole grid, of which this is a small part
    maps = xr.concat([run.predict_map(str(day)).isel(part).copy() for day in days], dim="day")
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    draw(figure, maps.assign_coords(day=days.astype("datetime64[ns]")), retrieved, area, part, told.day)
    mpl.rcParams["svg.hashsalt"] = "mlssm"
    figure.savefig(told.picture, dpi=110)


def draw(
    figure: Figure, maps: xr.DataArray, retrieved: xr.DataArray, area: xr.Dataset, part: dict[str, slice], day: str
) -> None:
    """Three maps above, the series of the pixel in their middle below."""
    above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    axes = above.subplots(1, 3)
    one = maps.sel(day=day, band="ssm")
    image = axes[0].imshow(one, cmap=SSM_COLOURS, vmin=0, vmax=1)
    axes[1].imshow(retrieved.sel(time=day), cmap=SSM_COLOURS, vmin=0, vmax=1)
    height = area["static"].sel(feature="elevation").isel(part)
    spacing = abs(float(height.x[1] - height.x[0]))
    axes[2].imshow(LightSource(**SUN).hillshade(height.values, vert_exag=2, dx=spacing, dy=spacing), cmap="gray")
    row, col = pixel(maps, retrieved)
    titles = (f"predicted for {day}", "retrieved from that day's image", "terrain")
    for each, title in zip(axes, titles, strict=True):
        each.set_title(title, fontsize=11, color=INK)
        each.set_axis_off()
        each.plot(col, row, "o", mfc="none", mec="#c2410c", mew=2, ms=11)
    above.colorbar(
        image, ax=axes[:2], location="left", shrink=0.8, label="relative soil moisture\n0 driest, 1 wettest seen"
    )
    series(below.subplots(), maps[:, :, row, col], retrieved[:, row, col], rain(area, maps.day.values))


def pixel(maps: xr.DataArray, retrieved: xr.DataArray) -> tuple[int, int]:
    """The row and column nearest the middle that is mapped and retrieved on each of its days."""
    known = np.isfinite(maps.sel(band="ssm")).all("day").values & np.isfinite(retrieved).all("time").values
    rows, cols = np.nonzero(known)
    if not rows.size:
        raise SystemExit("no pixel of this extent is mapped on all days and retrieved from all images")
    nearest = np.argmin((rows - known.shape[0] / 2) ** 2 + (cols - known.shape[1] / 2) ** 2)
    return int(rows[nearest]), int(cols[nearest])


def rain(area: xr.Dataset, days: np.ndarray[Any, Any]) -> xr.DataArray:
    """Daily rain, mm: the mean of the stations that have it."""
    values = area["weather"].sel(variable="precipitation").mean("station", skipna=True)
    return values.reindex(day=days)


def series(axes: Any, maps: xr.DataArray, retrieved: xr.DataArray, rained: xr.DataArray) -> None:
    """A pixel's moisture with its interval, what was retrieved, and the rain."""
    days = maps.day.values
    axes.fill_between(
        days, maps.sel(band="lower"), maps.sel(band="upper"), color=TEAL, alpha=0.4, label=f"{LEVEL} % interval"
    )
    axes.plot(days, maps.sel(band="ssm"), color=BLUE, label="predicted, every day")
    axes.plot(retrieved.time, retrieved, "o", color=BROWN, label="retrieved, days of images")
    axes.set(ylim=(0, 1.02), ylabel="relative soil moisture")
    tidy(axes)
    other = axes.twinx()
    other.bar(days, rained, color=INK, alpha=0.45, width=0.8, label="rain")
    other.set(ylim=(0, 3 * max(float(rained.max()), 1.0)), ylabel="rain, mm a day")
    handles = [*axes.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    axes.set_title("the circled pixel: a season that training has not seen", fontsize=11, color=INK)


if __name__ == "__main__":
    main()
