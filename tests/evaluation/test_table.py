import io
import math
import re

import pandas as pd
import pytest
from rich.console import Console

from mlssm.evaluation.table import ScoreRow, as_csv, as_markdown, as_rich
from mlssm.scores.bootstrap import Interval, Intervals
from mlssm.scores.sums import Scores

NAN = math.nan
GOOD = Scores(n=12_345_678, r2=0.5432, rmse=0.21, mae=0.1666, corr=0.74, bias=-0.0123, r2_cap=0.81)
NOTHING = Scores(0, NAN, NAN, NAN, NAN, NAN, NAN)
ENDS = Interval(0.5123, 0.6)
SURE = Intervals(0.95, ENDS, Interval(0.2, 0.22), ENDS, ENDS, Interval(-0.02, 0.01), "")
UNSURE = Intervals(0.95, *[Interval(NAN, NAN)] * 5, "one date")
LONG = "antecedent precipitation"
TESTED = ScoreRow(LONG, "baseline", "test", "natural", NOTHING, UNSURE)
ROWS = [
    ScoreRow("ConvLSTM", "network", "val", "natural", GOOD, SURE, -1.2, LONG),
    ScoreRow("ConvLSTM", "network", "test", "natural", GOOD, SURE, 0.1234, LONG),
    ScoreRow(LONG, "baseline", "val", "natural", GOOD, UNSURE, 0.0, LONG),
    ScoreRow(LONG, "baseline", "test", "balanced", NOTHING, UNSURE),
    ScoreRow("ConvLSTM", "network", "val", "balanced", GOOD, SURE),
    ScoreRow("ConvLSTM", "network", "train", "natural", GOOD, SURE),
]


def _printed(rows: list[ScoreRow]) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(as_rich(rows))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_terminal_table_fits_and_nothing_is_wrapped_or_cut() -> None:
    lines = _printed([*ROWS, TESTED])
    assert max(len(line) for line in lines) <= 100
    assert lines[0].split() == "model n R2 95 % cap skill RMSE MAE corr bias".split()
    found = "ConvLSTM 12,345,678 0.543 0.51 to 0.60 0.810 0.123 0.210 0.167 0.740 -0.012"
    assert lines[3].split() == found.split()
    assert len([line for line in lines if LONG in line]) == 1


def test_the_terminal_shows_the_natural_test_under_its_name() -> None:
    groups = [line for line in _printed(ROWS) if line.startswith(("test", "val", "train"))]
    assert groups == ["test, natural"]


def test_baselines_stand_beside_the_model() -> None:
    rows = [line for line in as_markdown(ROWS).splitlines()[2:] if "val" in line or "balanced" in line]
    names = [line.split("|")[1].split()[0] for line in rows]
    assert names == ["ConvLSTM", "antecedent", "antecedent", "ConvLSTM"]


def test_what_is_not_defined_is_a_dash() -> None:
    *_, empty = (line for line in _printed([*ROWS, TESTED]) if LONG in line)
    assert empty.split()[-9:] == ["0", *"--------"]


def test_markdown_has_as_many_cells_in_every_line() -> None:
    lines = as_markdown([ScoreRow("a|b", "network", "val", "natural", GOOD, SURE), *ROWS]).splitlines()
    words = [re.sub(" +", " ", line) for line in lines]
    assert words[0].startswith("| model | split | distribution | n | R2 | 95 % | cap | skill |")
    assert words[2].startswith("| a\\|b | val | natural | 12,345,678 | 0.543 | 0.51 to 0.60 | 0.810 | - |")
    assert {line.replace("\\|", "").count("|") for line in lines} == {13}
    assert len(lines) == 2 + 7


def test_csv_keeps_full_precision_and_reads_back() -> None:
    frame = pd.read_csv(io.StringIO(as_csv(ROWS)))
    assert frame.loc[0, "mae"] == pytest.approx(GOOD.mae, abs=0)
    assert frame.loc[0, "n"] == GOOD.n
    assert (frame.loc[0, "r2_low"], frame.loc[0, "rmse_high"], frame.loc[0, "bias_low"]) == (0.5123, 0.22, -0.02)
    assert (frame.loc[0, "skill"], frame.loc[0, "best_baseline"], frame.loc[0, "kind"]) == (-1.2, LONG, "network")
    assert frame["split"].tolist() == ["val", "val", "test", "test", "val", "train"]


def test_csv_says_why_something_is_missing() -> None:
    frame = pd.read_csv(io.StringIO(as_csv(ROWS)), keep_default_na=False)
    assert frame["reason"].tolist() == ["", "one date", "", "no labelled pixels", "", ""]
    assert frame.loc[3, "r2_cap"] == frame.loc[3, "skill"] == frame.loc[1, "r2_low"] == ""


def test_another_level_stands_in_the_heading() -> None:
    ninety = Intervals(0.9, *[ENDS] * 5, "")
    assert "90 %" in as_markdown([ScoreRow("a", "network", "val", "natural", GOOD, ninety)]).splitlines()[0]
