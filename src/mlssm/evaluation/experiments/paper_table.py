"""The experiment `paper_table`: the paper's table beside ours, and under it the 2 x 2 that the paper lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlssm.evaluation.experiments.artifacts import Artifacts, NamedTable, flat
from mlssm.evaluation.experiments.comparison import (
    PAPERS_OWN,
    RANDOM,
    Protocol,
    before_and_after,
    compare,
    held_out,
    paper_layout,
)
from mlssm.evaluation.experiments.paper import SOURCE
from mlssm.evaluation.experiments.runs import Children
from mlssm.evaluation.experiments.square import square, square_layout, square_sentence
from mlssm.evaluation.figures import paper_figure, two_by_two
from mlssm.evaluation.page import Block, FigureBlock, Page, Section, TableBlock, Text
from mlssm.evaluation.picture import NamedFigure

if TYPE_CHECKING:
    import pandas as pd

PAPER_DECIMALS = 4  # as the paper prints its scores
READ_PAPER = (
    "Each row of the paper stands above the same row of ours. 'before' is plain training, 'after' training with the "
    "second pass of wet patches added. R2 depends on the spread of the labels that are scored, RMSE does not. "
)
READ_OWN = "Under this protocol 'after' is also scored on both passes: training and test set change together."
READ_HELD_OUT = "Under this protocol both rows are scored on the same pixels of held-out dates or places."
READ_SQUARE = (
    "Along a row the model is the same and the test set changes; down a column the test set is the same and the "
    "training changes. The implied variance of the labels is RMSE² / (1 - R2)."
)
READ_PAPER_FIGURE = "Test split. Hollow marks are the paper's, filled ones ours; a pair that lies close is reproduced."
READ_SQUARE_FIGURE = (
    "A line's slope is what the test set changes, the gap between the lines what the training changes. "
    "Bars are intervals where there are any."
)


def paper_table(children: Children, held_out_split: str) -> Artifacts:
    """The paper's table under the paper's own protocol and under a held-out one, and the 2 x 2 under both splits.

    What is missing, as a child run failed, is NaN with the reason; the tables are always whole.

    Args:
        children: At least one training. Those with the samplers `natural` and `two_pass` and the splits `random_patch`
            and `held_out_split` are shown, all their lags; those of `random_patch` are to be scored on `two_pass` too.
        held_out_split: The split that is to be trusted, e.g. `by_season`.

    Returns:
        The tables `paper_table` and `two_by_two` with a row a number or cell, and as they are shown
        `paper_table_own_protocol`, `paper_table_held_out` and `two_by_two_shown`; the figures `paper_table` and
        `two_by_two_<split>`.

    Raises:
        ValueError: There is no training.
    """
    if not children.settings:
        raise ValueError("the paper's table needs at least one training")
    protocols = (PAPERS_OWN, held_out(held_out_split))
    comparison, squares = compare(children, protocols), square(children, tuple(dict.fromkeys((held_out_split, RANDOM))))
    beside = NamedFigure("paper_table", paper_figure(comparison))
    by_split = [(str(split), table) for split, table in squares.groupby("split", sort=False)]
    drawn = [NamedFigure(f"two_by_two_{split}", two_by_two(table, f"split {split}")) for split, table in by_split]
    moves = [before_and_after(comparison, protocol) for protocol in protocols]
    shares = [square_sentence(table) for _, table in by_split]
    page = Page(
        "The paper's table, and the 2 x 2 under it",
        f"Paper: {SOURCE}",
        (_paper_section(comparison, protocols, moves, beside), _square_section(squares, shares, drawn)),
    )
    figures = (beside, *drawn)
    return Artifacts(_tables(comparison, protocols, squares), figures, page, "\n\n".join([*moves, *shares]))


def _paper_section(
    comparison: pd.DataFrame, protocols: tuple[Protocol, Protocol], moves: list[str], beside: NamedFigure
) -> Section:
    blocks: list[Block] = []
    for protocol, reading, move in zip(protocols, (READ_OWN, READ_HELD_OUT), moves, strict=True):
        title, table = protocol.name[0].upper() + protocol.name[1:], paper_layout(comparison, protocol)
        blocks += [TableBlock(title, table, READ_PAPER + reading, PAPER_DECIMALS), Text(move)]
    blocks.append(FigureBlock("The paper's scores and ours", beside.png, READ_PAPER_FIGURE))
    return Section("The paper's table", tuple(blocks))


def _square_section(squares: pd.DataFrame, shares: list[str], drawn: list[NamedFigure]) -> Section:
    table = TableBlock("Training set and test set", square_layout(squares), READ_SQUARE)
    splits = squares["split"].unique().tolist()
    figures = [
        FigureBlock(f"Split {split}", named.png, READ_SQUARE_FIGURE) for split, named in zip(splits, drawn, strict=True)
    ]
    return Section("The 2 x 2: training set or test set", (*map(Text, shares), table, *figures))


def _tables(
    comparison: pd.DataFrame, protocols: tuple[Protocol, Protocol], squares: pd.DataFrame
) -> tuple[NamedTable, ...]:
    own, honest = (flat(paper_layout(comparison, protocol)) for protocol in protocols)
    return (
        NamedTable("paper_table", comparison),
        NamedTable("paper_table_own_protocol", own),
        NamedTable("paper_table_held_out", honest),
        NamedTable("two_by_two", squares),
        NamedTable("two_by_two_shown", flat(square_layout(squares))),
    )
