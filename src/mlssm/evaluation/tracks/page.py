"""The page on what two tracks agree on."""

from __future__ import annotations

from mlssm.evaluation.page import Page, Section, TableBlock
from mlssm.evaluation.tracks.evidence import Evidence

READ = {
    "agreement": (
        "Agreement of plain VV",
        "r: correlation of the labels of two tracks, the mean over sites; low, high: its interval, by a bootstrap of "
        "whole sites. anomaly_r: of what is left of a running mean. ubrmsd: standard deviation of the difference of "
        "labels that are not clipped to 0..1, and of those that are.",
    ),
    "designs": (
        "Ways to make labels",
        "change: of r against plain VV, on the same pairs; a way is better where its interval lies above 0.",
    ),
    "masks": (
        "Masks by sensitivity",
        "A pixel is kept where both tracks have wet - dry of at least least_db, and of times_s standard deviations of "
        "what speckle leaves (s_db). coverage: share of the pixels; pooled_r: correlation of all their labels.",
    ),
    "dates": (
        "How long references take",
        "Agreement within windows of so many days, by references of the window's images alone.",
    ),
    "conditions": (
        "Time, time of day and angle",
        "Agreement of the pairs that meet a condition. The subswath stands for the incidence angle: IW1 looks "
        "steepest, about 34 degrees, IW3 about 44. The last row is a mean difference of labels, not an agreement.",
    ),
    "noise": (
        "Speckle, and what a track sees alone",
        "Shares are of the variance of labels that are not clipped. The last row says how much of the agreement that "
        "speckle leaves is found: below 1, a cap that knows speckle alone is too high by as much.",
    ),
    "pairs": ("Pairs of tracks", "Each pair, with the smaller distance between its references."),
}


def tracks_page(place: str, evidence: Evidence) -> Page:
    """All tables of the evidence, each with how to read it."""
    blocks = [(READ[name], table) for name, table in evidence.tables().items()]
    sections = tuple(Section(title, (TableBlock(title, table, read, 3),)) for (title, read), table in blocks)
    return Page("What two tracks agree on", place, sections)
