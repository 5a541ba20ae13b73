from pathlib import Path

import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.weather.dates import read_days

FILE = Path("s.csv")


def lines(*text: str) -> "pd.Series[str]":
    return pd.Series(text, index=range(2, 2 + len(text)), dtype=str)


@pytest.mark.parametrize(
    ("written", "how"),
    [
        (("2022-01-13", "2022-02-01"), None),
        (("20220113", "20220201"), "YYYYMMDD"),
        (("2022013", "2022032"), "YYYYDDD"),
        (("2022/01/13", "2022/2/1"), "YYYY/MM/DD"),
        (("2022-01-13T00:00:00", "2022-02-01T00:00:00"), "YYYY-MM-DD 00:00:00"),
        (("2022-01-13 00:00", "2022-02-01 00:00"), "YYYY-MM-DD 00:00:00"),
        (("13/01/2022", "01/02/2022"), "DD/MM/YYYY"),
        (("13.01.2022", "1.2.2022"), "DD/MM/YYYY"),
        (("01/13/2022", "02/01/2022"), "MM/DD/YYYY"),
    ],
)
def test_dates_that_are_certain_are_read_and_told(written: tuple[str, ...], how: str | None) -> None:
    days, note = read_days(FILE, lines(*written))
    assert list(days.strftime("%Y-%m-%d")) == ["2022-01-13", "2022-02-01"]
    assert note == (how and f"DATE is written {how}")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (("01/02/2022", "02/02/2022"), "DATE 01/02/2022 can be DD/MM/YYYY or MM/DD/YYYY"),
        (("13/01/2022", "01/13/2022"), "line 2: DATE '13/01/2022' is not a date"),
        (("2022-01-13", "20220114"), "line 3: DATE '20220114' is not a date; write YYYY-MM-DD"),
        (("2022-01-13T08:00:00", "2022-01-14T08:00:00"), "line 2: DATE '2022-01-13T08:00:00' is not a date"),
        (("2022-01-13T00:00:00Z",), "line 2: DATE '2022-01-13T00:00:00Z' is not"),
        (("2022-01-13T00:00:00-08:00",), "line 2: DATE .* is not a date; write YYYY-MM-DD, local calendar days"),
        (("22-01-13",), "line 2: DATE '22-01-13' is not a date"),
        (("0022-01-13",), "line 2: DATE"),
        (("2202-01-13",), "DATE 2202-01-13 is not in 1750..2100"),
        (("2021366",), "line 2: DATE '2021366' is not a date"),
        (("1642032000",), "line 2: DATE '1642032000' is not a date"),
        (("",), "line 2: DATE '' is not a date"),
    ],
)
def test_dates_that_are_not_certain_are_refused(written: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=rf"s\.csv.*{message}"):
        read_days(FILE, lines(*written))
