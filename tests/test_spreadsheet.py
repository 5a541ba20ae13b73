import csv
import io

import pandas as pd
import pytest

from mlssm.spreadsheet import as_csv, plain


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_a_formula_becomes_text(text: str) -> None:
    assert plain(text) == f"'{text}"


@pytest.mark.parametrize("value", ["lag=3", "-5", "+1e3", "-inf", "", "a=b", -1.5, 3, None, True])
def test_all_else_stays(value: object) -> None:
    assert plain(value) is value


def test_cells_and_headings_of_a_table_are_plain_and_numbers_keep_their_digits() -> None:
    frame = pd.DataFrame({"run": ["=1+1", "ok"], "@r2": [-0.1234567890123, float("nan")], "n": [1, 2]})
    assert list(csv.reader(io.StringIO(as_csv(frame)))) == [
        ["run", "'@r2", "n"],
        ["'=1+1", "-0.1234567890123", "1"],
        ["ok", "", "2"],
    ]
