import numpy as np
import pytest

from mlssm.errors import ConfigError
from mlssm.mapping.days import parse_days


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ("2023-01-01", ["2023-01-01"]),
        (["2023-01-02", "2023-01-01", "2023-01-02"], ["2023-01-01", "2023-01-02"]),
        ("2022-12-30/2023-01-02", ["2022-12-30", "2022-12-31", "2023-01-01", "2023-01-02"]),
        ("2024-02-28/2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("2023-01-01/2023-01-01", ["2023-01-01"]),
        (["2023-01-03", "2023-01-01 / 2023-01-02"], ["2023-01-01", "2023-01-02", "2023-01-03"]),
        (("2023-01-01/2023-01-03", "2023-01-02/2023-01-04"), [f"2023-01-0{day}" for day in range(1, 5)]),
    ],
)
def test_days_are_sorted_and_each_once(dates: str | list[str], expected: list[str]) -> None:
    found = parse_days(dates)
    assert found.dtype == np.dtype("datetime64[D]")
    assert found.astype(str).tolist() == expected


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ([], "dates is empty"),
        ("", "dates= is not a date"),
        ("20230101", "dates=20230101 is not a date"),
        ("2023-W01", "dates=2023-W01 is not a date"),
        ("2023-02-29", "dates=2023-02-29 is not a date"),
        ("2023-1-1", "dates=2023-1-1 is not a date"),
        ("2023-01-01/", "dates=2023-01-01/ is not a date"),
        ("2023-01-01/2023-01-02/2023-01-03", "is not a date"),
        (["2023-01-01", "01.01.2023"], "dates=01.01.2023 is not a date"),
        ("2023-01-02/2023-01-01", "dates=2023-01-02/2023-01-01 ends before it begins"),
    ],
)
def test_what_is_no_day_is_named(dates: str | list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_days(dates)
    assert "\n" not in str(caught.value)
