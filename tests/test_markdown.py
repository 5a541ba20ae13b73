import math
import re

import pandas as pd

from mlssm.markdown import markdown


def cells(line: str) -> list[str]:
    first, *inner, last = re.split(r"(?<!\\)\|", line)
    assert first == last == ""
    return [cell.strip() for cell in inner]


def test_numbers_stand_to_the_right_and_text_stays_as_it_is() -> None:
    frame = pd.DataFrame(
        {
            "a|b": ["x|y", None, "1e5"],
            "r2": [0.123456, math.nan, -12.0],
            "n": [1, 22222222, 3],
            "p": ["0.10", "", "?"],
        }
    )
    header, rule, *rows = markdown(frame, right=["p"]).splitlines()
    assert cells(header) == ["a\\|b", "r2", "n", "p"]
    assert [dashes.endswith(":") for dashes in cells(rule)] == [False, True, True, True]
    assert all(re.fullmatch("-+:?", dashes) for dashes in cells(rule))
    assert [cells(row) for row in rows] == [
        ["x\\|y", "0.1235", "1", "0.10"],
        ["", "", "22222222", ""],
        ["1e5", "-12", "3", "?"],
    ]


def test_a_cell_of_several_lines_stays_one_cell_and_pads_no_other() -> None:
    text = markdown(pd.DataFrame({"error": ["first\nsecond | " + "x" * 500, "short"], "mixed": [None, 2.50004]}))
    _, _, long, short = text.splitlines()
    assert cells(long)[0] == "first second \\| " + "x" * 500
    assert cells(short) == ["short", "2.5"]
    assert len(short) < 20


def test_a_table_without_rows_is_its_heading() -> None:
    header, rule = markdown(pd.DataFrame(columns=["run", "status"])).splitlines()
    assert cells(header) == ["run", "status"]
    assert rule.count("|") == 3
