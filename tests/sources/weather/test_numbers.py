from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.weather.numbers import are_codes, read_numbers

RAIN = (0.0, 18288.0, True)
TEMPERATURE = (-894.0, 577.0, True)
HUMIDITY = (0.0, 100.0, False)


def test_what_stands_for_nothing_is_missing() -> None:
    text = pd.Series(["", "NA", "nan", "NULL", "n/a", "-9999", "-", "12", "1e1", "-3.0"])
    np.testing.assert_array_equal(read_numbers(Path("s"), "PRCP", text), [*[np.nan] * 7, 12, 10, -3])


@pytest.mark.parametrize("text", ["T", "2O5", "0.5A", "1,5", "inf", "--5", "34-27-36", "34°27'36\""])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(DataError, match=r"line 7: PRCP .* is not a number"):
        read_numbers(Path("s"), "PRCP", pd.Series([text], index=[7]))


@pytest.mark.parametrize(
    ("values", "element", "expected"),
    [
        ([9999, 12], RAIN, [True, False]),
        ([99.99, 12], RAIN, [True, False]),
        ([-999, -9999.9, 0], RAIN, [True, True, False]),
        ([999, 12], RAIN, [False, False]),  # 99.9 mm: may be
        ([999, 999, 999, 998], RAIN, [True, True, True, False]),  # thrice: no longer
        ([999, -999, 99, -99], TEMPERATURE, [True, True, False, False]),
        ([999, 99.9, 99.9, 99.9], HUMIDITY, [True, False, False, False]),  # fog
        ([32767, -32768], TEMPERATURE, [True, True]),
        ([-99, -99, -99, 150, 180], TEMPERATURE, [True, True, True, False, False]),
        ([-99, -99, -99, -85, 180], TEMPERATURE, [False] * 5),  # a cold winter
        ([99, 99, 99, 100, 0], RAIN, [False] * 5),
        ([1234, -5], RAIN, [False, False]),  # wrong, but no code: for the checks that follow
    ],
)
def test_codes_of_other_archives(values: list[float], element: tuple[float, float, bool], expected: list[bool]) -> None:
    assert list(are_codes(pd.Series(values, dtype=float), *element)) == expected
