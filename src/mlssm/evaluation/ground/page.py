"""The page on maps against the ground, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlssm.evaluation.figures.ground import station_correlation, station_scatter, station_series
from mlssm.evaluation.figures.style import number
from mlssm.evaluation.ground.rescaling import fit_rescaling
from mlssm.evaluation.ground.scores import HowToScore
from mlssm.evaluation.ground.tables import ALL, MODEL, Scored, places_table, pooled_table, station_table
from mlssm.evaluation.page import Block, FigureBlock, Page, Section, TableBlock, Text
from mlssm.evaluation.picture import NamedFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SHOWN = 12  # stations with a figure of their own
READ = (
    "r: correlation over days; low, high: its interval, by a bootstrap of whole blocks of days. anomaly_r: of what is "
    "left of a running mean, which takes the season away. ubrmsd, m3/m3: standard deviation of the difference after "
    "the series was brought to the station's units. r_gain: r less that of rain alone on the same days, paired."
)
POOLED = (
    "Medians over stations. share_r_above_0: at what share of the stations the interval lies above 0; "
    "share_better_than_rain: at what share the interval of r_gain does."
)
SERIES_READ = (
    "All in the station's units: model, interval and retrieved were rescaled with what brings the model's days to the "
    "station's, so that a lower end may lie below 0. The interval is that of labels of the pixel; it does not say how "
    "far a point lies off its pixel."
)


@dataclass(frozen=True)
class Told:
    """What the page says of where its numbers come from.

    Attributes:
        place: What was measured.
        run: The model's run.
        support_m: Side of what a map's value is a mean of, metres.
        rules: How days and sensors were matched, a sentence each.
        left_out: Stations that were left out, and why, a sentence each.
        level: Of the drawn intervals of the model.
    """

    place: str
    run: str
    support_m: float
    rules: tuple[str, ...]
    left_out: tuple[str, ...]
    level: float


def caveats(told: Told, how: HowToScore) -> str:
    """What the numbers mean, and what they do not, in paragraphs."""
    scaling = "mean and standard deviation" if how.scaling == "mean_std" else "distribution"
    return "\n\n".join(
        (
            "The model was trained on soil moisture that was retrieved from backscatter, and on nothing that any "
            "station measured: all days are independent of it in that sense. Days of seasons that it was not trained "
            "on are shown apart.",
            "Maps are relative, 0 the driest and 1 the wettest that the satellite saw: they carry no m3/m3, so that a "
            f"bias against a station means nothing, and none is given. ubRMSD is of series with the {scaling} of the "
            "station, fitted on the same days: it tells of timing, not of level, and with the mean and standard "
            "deviation it is the station's standard deviation times sqrt(2 (1 - r)).",
            f"A probe measures a few centimetres, a map's value {told.support_m:g} m: part of what parts them is no "
            "error of either. Against sparse stations r of 0.6 to 0.8 is usual for good products.",
            *told.rules,
            *told.left_out,
        )
    )


def ground_figures(many: Sequence[Scored], how: HowToScore) -> tuple[NamedFigure, ...]:
    """Correlation by station, scatter, and the series of the stations with most days."""
    shown = [each for each in many if np.isfinite(each.scores[MODEL].r.value)] if many else []
    shown = sorted(shown, key=lambda each: -each.scores[MODEL].n)[:MOST_SHOWN]
    if not shown:
        return ()
    table = station_table(many)
    places = places_table(many).assign(r=[each.scores[MODEL].r.value for each in many])
    by_station = station_correlation(table[table["days"] == ALL], places, "Correlation with stations")
    found = [NamedFigure("insitu_correlation", by_station), NamedFigure("insitu_scatter", _scatter(shown, how))]
    for place, each in enumerate(shown, 1):
        found.append(NamedFigure(f"insitu_series_{place}", station_series(_in_units(each, how), _caption(each))))
    return tuple(found)


def _scatter(shown: Sequence[Scored], how: HowToScore) -> Figure:
    parts = []
    for each in shown:
        days = _in_units(each, how)[["station", "model"]].dropna()
        parts.append((_caption(each), days["station"].to_numpy(float), days["model"].to_numpy(float)))
    return station_scatter(parts, "Maps against stations")


def _caption(each: Scored) -> str:
    found = each.scores[MODEL]
    return f"{each.matched.station.name}: r = {number(found.r.value)}, n = {found.n}"


def _in_units(each: Scored, how: HowToScore) -> pd.DataFrame:
    """A station's days with maps in m3/m3."""
    days = each.matched.days
    both = days[["model", "station", "rain"]].dropna()
    rescaled = fit_rescaling(how.scaling, both["model"].to_numpy(float), both["station"].to_numpy(float))
    columns = {name: rescaled(days[name].to_numpy(float)) for name in ("model", "lower", "upper", "retrieved")}
    first, last = days.index[days["station"].notna()][[0, -1]]
    return days.assign(**columns).loc[first:last].asfreq("D")


def ground_page(many: Sequence[Scored], figures: Sequence[NamedFigure], told: Told, how: HowToScore) -> Page:
    """The page.

    Args:
        many: The stations, scored.
        figures: Of `ground_figures`.
        told: Where the numbers come from.
        how: How they were made.
    """
    pictures = {each.stem: each for each in figures}
    found: list[Block] = [
        Text(caveats(told, how)),
        TableBlock("Pooled over stations", pooled_table(many), POOLED, decimals=3),
    ]
    if "insitu_correlation" in pictures:
        text = "Marks: correlation over all days, with its interval."
        found.append(FigureBlock("Correlation by station", pictures["insitu_correlation"].png, text))
    stations: list[Block] = [
        TableBlock("Scores", station_table(many), READ, decimals=3),
        TableBlock("Stations", places_table(many), "Days: those with a good value.", decimals=3),
    ]
    if "insitu_scatter" in pictures:
        text = "A point a day; the model in the station's units. Dashed: the same."
        stations.append(FigureBlock("Scatter", pictures["insitu_scatter"].png, text))
    series: list[Block] = [
        FigureBlock(each.figure.get_suptitle(), each.png, f"{SERIES_READ} Interval: {told.level:.0%}.")
        for each in figures
        if each.stem.startswith("insitu_series")
    ]
    sections = [Section("Maps against the ground", tuple(found)), Section("By station", tuple(stations))]
    sections += [Section("Series", tuple(series))] if series else []
    return Page("Maps against the ground", f"{told.place}; run {told.run}", tuple(sections))
