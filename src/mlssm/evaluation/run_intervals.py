"""How sure a run's predictions are, as a section of its report."""

from __future__ import annotations

from mlssm.evaluation.figures import calibration
from mlssm.evaluation.interval_tables import IntervalTables
from mlssm.evaluation.page import FigureBlock, Section, TableBlock, Text
from mlssm.evaluation.picture import NamedFigure

READ_RANKS = (
    "Left: where labels lie in their forecast distributions; flat is calibrated, a hill says that intervals are too "
    "wide, a valley too narrow. A label of exactly 0 or 1 draws its rank from all that was clipped. Right: how often "
    "SSM was above a threshold where the forecast gave it a probability; the diagonal is calibrated."
)
READ_GROUPS = (
    "Coverage is the share of labels inside, low and high its own interval by a bootstrap over dates; width and score "
    "(Gneiting and Raftery's interval score, less is better) are in SSM units. Conservative intervals are for "
    "warnings. Labels are noisy: this is coverage of them, and not of the true moisture."
)
READ_RELIABILITY = "n, mean forecast probability, and how often it came true, with its interval by dates."


def calibration_figure(tables: IntervalTables) -> NamedFigure:
    """Ranks and reliability of the test split."""
    return NamedFigure("calibration", calibration(tables.pit, tables.reliability, "test"))


def intervals_section(tables: IntervalTables, figure: NamedFigure) -> Section:
    """The section, with `calibration_figure`."""
    sentence = f"{tables.sentence[:1].upper()}{tables.sentence[1:]}."
    blocks = (
        Text(sentence),
        FigureBlock("Calibration", figure.png, READ_RANKS),
        TableBlock("Coverage and width", tables.groups, READ_GROUPS),
        TableBlock("Reliability of probabilities", tables.reliability, READ_RELIABILITY),
    )
    return Section("How sure", blocks)
