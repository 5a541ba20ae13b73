"""Tables on the terminal."""

import math

import pandas as pd
import pytest

from mlssm.terminal import print_table


def test_columns_are_aligned_and_no_cell_is_cut_or_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"station": ["a [red]", "b" * 200], "r": [0.123456, math.nan], "n": [1, 22222]})
    print_table(frame, "all | stations")
    empty, title, head, line, *rows = capsys.readouterr().out.splitlines()
    assert (empty, title.strip(), set(line)) == ("", "all | stations", {"─"})
    assert head.split() == ["station", "r", "n"]
    assert rows[0].split() == ["a", "[red]", "0.1235", "1"]
    assert rows[1].split() == ["b" * 200, "22222"]
    assert len({len(row) for row in (head, line, *rows)}) == 1


def test_a_table_without_rows_is_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(pd.DataFrame(columns=["run", "status"]))
    assert next(row.split() for row in capsys.readouterr().out.splitlines() if row) == ["run", "status"]
