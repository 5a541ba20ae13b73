import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mlssm.evaluation import picture
from mlssm.evaluation.html_table import ABSENT, Cell, Heading, lay_out
from mlssm.evaluation.page import (
    FigureBlock,
    Page,
    Section,
    TableBlock,
    Text,
    render,
)
from mlssm.evaluation.picture import MOST_BYTES, _fewer_colours, as_png

NAN = float("nan")
EVIL = """<script>alert("x")</script> & 'quotes'"""


class Reader(HTMLParser):
    """Reads a page back: cells of each table row, and every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self._cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        self._cell = tag in ("td", "th")
        if self._cell:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._cell = False

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(*blocks: Text | TableBlock | FigureBlock) -> Page:
    return Page("A run", "simulated", (Section("Scores", blocks),))


@pytest.fixture
def figure() -> Figure:
    drawn = Figure(figsize=(2, 1))
    drawn.subplots().plot([0, 1], [0, 1])
    return drawn


def test_the_numbers_of_a_table_are_in_their_cells() -> None:
    frame = pd.DataFrame(
        {"model": ["ConvLSTM", "mean"], "n": [123456, 7], "R2": [0.4126, -2.5], "mse": [0.0123, 0.0456]}
    )
    reader = Reader(render(page_of(TableBlock("All", frame, "Higher is better."))))
    assert reader.rows == [
        ["model", "n", "R2", "mse"],
        ["ConvLSTM", "123,456", "0.413", "0.0123"],
        ["mean", "7", "-2.500", "0.0456"],
    ]
    cells = reader.named("td")
    assert [cell.get("class") for cell in cells] == [None, "number", "number", "number"] * 2


def test_two_levels_of_columns_are_read_back_by_pandas() -> None:
    columns = pd.MultiIndex.from_tuples(
        [("lag", ""), ("R2", "train"), ("R2", "test"), ("RMSE", "train"), ("reason", "")]
    )
    frame = pd.DataFrame([[1, 0.2135, 0.2076, 0.1492, ""], [2, 0.1936, 0.1917, 0.1511, ""]], columns=columns)
    reader = Reader(render(page_of(TableBlock("Paper", frame, "Read it.", decimals=4))))
    assert reader.rows == [
        ["lag", "R2", "RMSE"],
        ["train", "test", "train"],
        ["1", "0.2135", "0.2076", "0.1492"],
        ["2", "0.1936", "0.1917", "0.1511"],
    ]
    spans = [(cell.get("colspan"), cell.get("rowspan")) for cell in reader.named("th")[:3]]
    assert spans == [(None, "2"), ("2", None), (None, None)]


def test_a_missing_value_is_a_dash_with_its_reason_below_the_table() -> None:
    frame = pd.DataFrame(
        {
            "model": ["a", "b", "c", "d"],
            "R2": [0.5, NAN, NAN, NAN],
            "reason": ["not asked", "no pixel", "one date", "no pixel"],
        }
    )
    reader = Reader(render(page_of(TableBlock("All", frame, "Read it."))))
    # the dash's note is in an element of its own
    assert [row[:2] for row in reader.rows[1:]] == [["a", "0.500"], ["b", ABSENT], ["c", ABSENT], ["d", ABSENT]]
    assert [cell.get("title") for cell in reader.named("td")[1::2]] == [None, "no pixel", "one date", "no pixel"]
    notes = [word.strip() for word in reader.words if word.strip() in ("no pixel", "one date", "not asked")]
    assert notes == ["no pixel", "one date"]


def test_notes_count_reasons_once() -> None:
    layout = lay_out(pd.DataFrame({"x": [NAN, NAN, 1.5, NAN], "reason": ["p", "q", "r", "p"]}))
    assert layout.notes == ("p", "q")
    assert [row[0] for row in layout.rows] == [
        Cell(ABSENT, True, "p", 1),
        Cell(ABSENT, True, "q", 2),
        Cell("1.500", True),
        Cell(ABSENT, True, "p", 1),
    ]


def test_a_missing_value_without_a_reason_is_a_plain_dash() -> None:
    layout = lay_out(pd.DataFrame({"x": [NAN, 1.5], "who": [None, ""], "reason": [NAN, None]}))
    assert layout.rows[0] == (Cell(ABSENT, True), Cell(ABSENT, False))
    assert layout.rows[1][1] == Cell("", False)
    assert layout.notes == ()


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.21349, 0.9], ["0.213", "0.900"]),
        ([1.23456, 0.5], ["1.235", "0.500"]),
        ([12.345, 15.0], ["12.3", "15.0"]),
        ([-12.0, 0.67, 0.6], ["-12.000", "0.670", "0.600"]),
        ([12345.6, 1.0], ["12,346", "1"]),
        ([0.000123, 0.0], ["0.000123", "0.000000"]),
        ([-0.0001, 0.5], ["0.000", "0.500"]),
        ([3.0, NAN], ["3", ABSENT]),
        ([float("inf"), 0.25], ["inf", "0.250"]),
    ],
)
def test_decimals_suit_a_column(values: list[float], shown: list[str]) -> None:
    assert [row[0].text for row in lay_out(pd.DataFrame({"x": values})).rows] == shown


def test_truth_values_are_words_and_pandas_own_missing_numbers_are_dashes() -> None:
    frame = pd.DataFrame({"ok": [True, False], "n": pd.array([1, None], dtype="Int64")})
    assert [[cell.text for cell in row] for row in lay_out(frame).rows] == [["True", "1"], ["False", ABSENT]]


def test_neighbours_of_the_same_first_level_share_a_heading() -> None:
    columns = pd.MultiIndex.from_tuples([("a", ""), ("b", "x"), ("c", "x"), ("c", "y")])
    layout = lay_out(pd.DataFrame([["k", 1, 2, 3]], columns=columns))
    assert layout.header[0] == (Heading("a", False, 1, 2), Heading("b", True), Heading("c", True, columns=2))
    assert [heading.text for heading in layout.header[1]] == ["x", "x", "y"]


def test_everything_is_escaped(figure: Figure) -> None:
    frame = pd.DataFrame({EVIL: [EVIL, None], "reason": ["", EVIL]})
    blocks = (Text(EVIL), TableBlock(EVIL, frame, EVIL), FigureBlock(EVIL, as_png(figure), EVIL))
    html = render(Page(EVIL, EVIL, (Section(EVIL, blocks),)))
    reader = Reader(html)
    assert not reader.named("script")
    assert reader.rows[0] == [EVIL]
    assert reader.named("img")[0]["alt"] == EVIL
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)


def test_a_page_needs_nothing_from_elsewhere(figure: Figure) -> None:
    html = render(page_of(Text("t"), FigureBlock("Line", as_png(figure), "Up is better.")))
    reader = Reader(html)
    assert not [tag for tag, _ in reader.tags if tag in ("script", "link", "iframe", "object")]
    sources = [value for _, attributes in reader.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(value is not None and value.startswith(("data:image/png;base64,", "#")) for value in sources)
    assert not re.search(r"url\(|@import|https?:", html)


def test_contents_lead_to_what_is_there(figure: Figure) -> None:
    table = TableBlock("Table", pd.DataFrame({"x": [1]}), "h")
    first = Section("One", (Text("a\n\nb"), table, Text("c"), FigureBlock("Figure", as_png(figure), "h")))
    reader = Reader(render(Page("t", "s", (first, Section("Two", (table,))))))
    targets = {f"#{attributes['id']}" for _, attributes in reader.tags if "id" in attributes}
    links = [attributes["href"] for attributes in reader.named("a")]
    assert links == ["#s1", "#s1-1", "#s1-2", "#s2", "#s2-1"]
    assert set(links) <= targets


def test_a_figure_is_the_png_it_was(figure: Figure) -> None:
    given = as_png(figure)
    (image,) = Reader(render(page_of(FigureBlock("a", given, "h")))).named("img")
    assert base64.b64decode(str(image["src"]).partition(",")[2]) == given


def test_a_named_figure_is_drawn_once(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(picture, "as_png", lambda figure: drawn.append(figure) or b"png")
    named = picture.NamedFigure("loss", figure)
    assert (named.png, named.png, drawn) == (b"png", b"png", [figure])


def test_a_table_without_rows_says_so() -> None:
    assert "The table has no row." in render(page_of(TableBlock("All", pd.DataFrame({"x": []}), "h")))


def test_paragraphs_are_apart_by_an_empty_line() -> None:
    assert Text("a\nb\n\n\n\n c ").paragraphs == ["a\nb", "c"]


def test_a_figure_that_hardly_compresses_stays_small() -> None:
    noisy = Figure(figsize=(9, 9))
    noisy.subplots().imshow(np.random.default_rng(0).random((900, 900)), interpolation="nearest")
    png = as_png(noisy)
    assert 0.5 * MOST_BYTES < len(png) < 1.2 * MOST_BYTES
    with Image.open(io.BytesIO(png)) as shown:
        assert shown.mode == "P"
        assert shown.width == pytest.approx(shown.height)


def test_fewer_colours_are_the_colours_of_before() -> None:
    smooth = Figure(figsize=(3, 3), dpi=100)
    smooth.subplots().imshow(np.linspace(0, 1, 90_000).reshape(300, 300), cmap="viridis")
    before = as_png(smooth)
    with Image.open(io.BytesIO(before)) as one, Image.open(io.BytesIO(_fewer_colours(before))) as other:
        first, second = (np.asarray(shown.convert("RGB"), dtype=int) for shown in (one, other))
    assert np.abs(first - second).mean() < 1
    assert np.quantile(np.abs(first - second), 0.99) < 8  # a few pixels at the edges of letters may be off
