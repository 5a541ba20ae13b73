"""The page on an area's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from mlssm.evaluation.labels.figures import agreement_figure, mask_figure, reference_figure
from mlssm.evaluation.labels.survey import ExtentSurvey
from mlssm.evaluation.page import Block, FigureBlock, Page, Section, TableBlock, Text
from mlssm.evaluation.picture import NamedFigure
from mlssm.retrieval.platforms import PlatformOffset
from mlssm.scores import AnyFloats

ERROR = (
    "Standard errors are by a bootstrap of training dates as independent samples; they add to a label's error for all "
    "dates alike. Light grey is masked."
)
REASONS = (
    "percent: of all pixels and images, how many the reason holds for; percent_alone: how many have no other. What the "
    "product itself leaves out counts as not measured."
)
AGREEMENT = (
    "Correlation over time of the labels of two tracks, means over pixels by the smaller distance between their "
    "references. ratio: r over what speckle alone leaves of it. Below 1, a cap from speckle alone is too high by as "
    "much: a model that sees no backscatter cannot know what one track alone sees."
)
OFFSETS = (
    "By how much a satellite reads higher than the one with most images, on orbits that both fly. What is surely not 0 "
    "is corrected by retrieval.platform_offsets_db={S1B: 0.2}."
)


def labels_figures(surveys: Sequence[ExtentSurvey]) -> tuple[NamedFigure, ...]:
    """All maps, an extent after the other."""
    found = []
    for number, extent in enumerate(surveys, 1):
        found += [NamedFigure(f"labels_references_{number}", reference_figure(extent))] if extent.references else []
        found.append(NamedFigure(f"labels_masks_{number}", mask_figure(extent)))
        if extent.correlation:
            found.append(NamedFigure(f"labels_tracks_{number}", agreement_figure(extent)))
    return tuple(found)


def labels_page(
    place: str,
    surveys: Sequence[ExtentSurvey],
    figures: Sequence[NamedFigure],
    offsets: Sequence[PlatformOffset] = (),
) -> Page:
    """A section an extent, and of several one of what they have in common.

    Args:
        place: What the page is about.
        surveys: Of each extent.
        figures: Of `labels_figures`.
        offsets: Of platforms, over all extents together.
    """
    sections = []
    if len(surveys) > 1 and offsets:
        sections.append(Section("all extents together", (_offsets(offsets),)))
    for number, extent in enumerate(surveys, 1):
        pictures = {each.stem.split("_")[1]: each for each in figures if each.stem.endswith(f"_{number}")}
        sections.append(Section(extent.title, tuple(_blocks(extent, pictures))))
    return Page("Labels", place, tuple(sections))


def summary_table(extent: ExtentSurvey) -> pd.DataFrame:
    """A row a key of references: medians over the pixels that have them."""
    rows = [
        {
            "references": each.title,
            "training_dates": each.dates,
            "span_db": _median(each.sensitivity),
            "dry_error_db": _median(each.dry_error),
            "wet_error_db": _median(each.wet_error),
        }
        for each in extent.references
    ]
    return pd.DataFrame(rows)


def _blocks(extent: ExtentSurvey, pictures: dict[str, NamedFigure]) -> list[Block]:
    found: list[Block] = [TableBlock("References, medians over pixels", summary_table(extent), ERROR)]
    found += [_figure(pictures, "references", "Sensitivity and references", ERROR)] if extent.references else []
    found.append(TableBlock("Why pixels have no label", extent.counts, REASONS, 2))
    found.append(_figure(pictures, "masks", "Looks and masks", REASONS))
    if len(extent.agreement):
        found.append(TableBlock("What two tracks agree on", extent.agreement, AGREEMENT))
        found.append(_figure(pictures, "tracks", "Where two tracks agree", AGREEMENT))
    else:
        found.append(Text("No two tracks have images near enough in time to be compared."))
    found.append(Text(f"On training dates {extent.cap}."))
    if extent.slope is not None:
        found.append(Text(f"On training dates {extent.slope}."))
    if extent.offsets:
        found.append(_offsets(extent.offsets))
    else:
        found.append(Text("One satellite alone is known: no offset between satellites can be told."))
    return found


def _offsets(offsets: Sequence[PlatformOffset]) -> TableBlock:
    return TableBlock("Satellites", pd.DataFrame([asdict(each) for each in offsets]), OFFSETS)


def _figure(pictures: dict[str, NamedFigure], kind: str, title: str, read: str) -> FigureBlock:
    return FigureBlock(title, pictures[kind].png, read)


def _median(values: AnyFloats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
