import io
import math

import pandas as pd
import pytest
from rich.console import Console

from mlssm.evaluation.table import ScoreRow, as_csv, as_markdown, as_rich
from mlssm.training.metrics import Scores

NAN = float("nan")
GOOD = Scores(n=1_234_567, r2=0.5432, rmse=0.21, mae=0.1666, corr=0.74, bias=-0.0123, r2_ceiling=0.81)
ROWS = [
    ScoreRow("ConvLSTM", "val", "natural", GOOD),
    ScoreRow("ConvLSTM", "test", "natural", GOOD),
    ScoreRow("antecedent precipitation", "val", "natural", GOOD),
    ScoreRow("antecedent precipitation", "test", "balanced", Scores(0, NAN, NAN, NAN, NAN, NAN, NAN)),
]


def _printed(rows: list[ScoreRow]) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(as_rich(rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_terminal_table_fits_and_nothing_is_wrapped_or_cut() -> None:
    lines = _printed(ROWS)
    assert max(len(line.rstrip()) for line in lines) <= 100
    words = lines[2].split()
    assert words == ["ConvLSTM", "val", "natural", "1,234,567", *"0.543 0.810 0.210 0.167 0.740 -0.012".split()]
    assert len([line for line in lines if "antecedent precipitation" in line]) == 2


def test_baselines_stand_beside_the_model() -> None:
    names = [line.split()[0] for line in _printed(ROWS) if line.startswith(("ConvLSTM", "antecedent"))]
    assert names == ["ConvLSTM", "antecedent", "ConvLSTM", "antecedent"]


def test_what_is_not_defined_is_a_dash() -> None:
    empty = next(line for line in _printed(ROWS) if "balanced" in line)
    assert empty.split()[-7:] == ["0", *"------"]


def test_markdown_has_as_many_cells_in_every_line() -> None:
    lines = as_markdown([ScoreRow("a|b", "val", "natural", GOOD), *ROWS]).splitlines()
    assert lines[2].startswith("| a\\|b | val | natural | 1,234,567 | 0.543 | 0.810 |")
    assert {line.replace("\\|", "").count("|") for line in lines} == {11}
    assert len(lines) == 2 + 5


def test_csv_keeps_full_precision_and_reads_back() -> None:
    frame = pd.read_csv(io.StringIO(as_csv(ROWS)))
    assert frame.loc[0, "mae"] == pytest.approx(GOOD.mae, abs=0)
    assert frame.loc[0, "n"] == GOOD.n
    assert math.isnan(frame["r2_ceiling"].iloc[-1])
    assert frame["split"].tolist() == ["val", "val", "test", "test"]
