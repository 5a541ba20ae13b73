import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.config import SplitConfig, parse
from mlssm.errors import ConfigError, SplitError
from mlssm.patches.dates import MIN_TEST_DATES, MIN_VALIDATION_DATES, seasons, split_dates
from mlssm.patches.dates import test_seasons as each_season

FIRST = dt.date(2020, 1, 1)
DAYS = st.lists(st.integers(0, 2000), min_size=12, max_size=60).map(
    lambda offsets: np.array([FIRST + dt.timedelta(day) for day in sorted(offsets)], "datetime64[D]")
)


def days(*text: str) -> np.ndarray:
    return np.array(text, "datetime64[D]")


def by_season(counts: dict[int, int]) -> np.ndarray:
    """So many days from October on of each season."""
    return np.concatenate([np.datetime64(f"{year}-10-01") + 3 * np.arange(count) for year, count in counts.items()])


@pytest.mark.parametrize(
    ("day", "start", "season"),
    [
        ("2022-08-31", 9, 2021),
        ("2022-09-01", 9, 2022),
        ("2023-01-01", 9, 2022),
        ("2023-01-01", 1, 2023),
        ("2022-12-31", 1, 2022),
        ("2022-11-30", 12, 2021),
        ("1969-12-31", 9, 1969),
        ("1969-08-01", 9, 1968),
    ],
)
def test_season_is_named_by_its_first_year(day: str, start: int, season: int) -> None:
    assert seasons(days(day), start)[0] == season


@given(DAYS, st.integers(1, 12))
def test_season_is_the_year_shifted_by_its_start(some: np.ndarray, start: int) -> None:
    wanted = [day.year - (day.month < start) for day in some.astype(dt.date)]
    np.testing.assert_array_equal(seasons(some, start), wanted)


@given(DAYS, st.integers(0, 99))
def test_dates_are_split_whole_and_into_three(some: np.ndarray, seed: int) -> None:
    """Two passes of one local day go to the same split; the shares are those asked for; a seed decides."""
    known = np.unique(some)
    config = SplitConfig(name="by_date", test_fraction=0.25, val_fraction=0.2, seed=seed)
    if len(known) < 3:
        return
    names = split_dates(some, config)
    for day in known:
        assert len(set(names[some == day])) == 1
    of_day = np.array([names[some == day][0] for day in known])
    assert (of_day == "test").sum() == max(1, round(0.25 * len(known)))
    assert (of_day == "val").sum() == max(1, round(0.2 * len(known)))
    assert (of_day == "train").any()
    np.testing.assert_array_equal(names, split_dates(some, config))


@given(DAYS, st.integers(1, 12))
def test_seasons_are_split_whole(some: np.ndarray, start: int) -> None:
    config = SplitConfig(name="by_season", start_month=start)
    try:
        names = split_dates(some, config)
    except SplitError:
        return
    found = seasons(some, start)
    for season in np.unique(found):
        assert len(set(names[found == season])) == 1
    assert set(names) == {"train", "val", "test"}
    enough = [season for season in np.unique(found) if (found == season).sum() >= MIN_TEST_DATES]
    assert set(found[names == "test"]) == {max(enough)}


def test_dates_that_are_asked_for_are_held_out() -> None:
    some = np.datetime64("2022-01-01") + np.arange(12)
    config = SplitConfig(name="by_date", test=(dt.date(2022, 1, 3),), val=(dt.date(2022, 1, 5), dt.date(2022, 1, 6)))
    names = split_dates(some, config)
    np.testing.assert_array_equal(np.flatnonzero(names == "test"), [2])
    np.testing.assert_array_equal(np.flatnonzero(names == "val"), [4, 5])
    drawn = split_dates(some, SplitConfig(name="by_date", test=(dt.date(2022, 1, 3),), val_fraction=0.25))
    np.testing.assert_array_equal(np.flatnonzero(drawn == "test"), [2])
    assert (drawn == "val").sum() == 3


def test_validation_season_is_the_smallest_that_can_carry_a_score() -> None:
    """2019 has too few dates to be it, though fewest; 2021 has fewest of the others; 2023 is the test."""
    some = by_season({2019: MIN_VALIDATION_DATES - 1, 2020: 9, 2021: MIN_VALIDATION_DATES, 2022: 8, 2023: 6})
    names = split_dates(some, SplitConfig(name="by_season"))
    found = seasons(some, 9)
    assert set(found[names == "val"]) == {2021}
    assert set(found[names == "test"]) == {2023}
    assert set(found[names == "train"]) == {2019, 2020, 2022}
    chosen = split_dates(some, SplitConfig(name="by_season", test=(2020,), val=(2019,)))
    assert set(found[chosen == "val"]) == {2019}
    assert set(found[chosen == "train"]) == {2021, 2022, 2023}


def test_the_test_season_is_the_latest_that_can_carry_a_score(caplog: pytest.LogCaptureFixture) -> None:
    """A season of one image is for training, and a line says so; it is tested on where it is asked for."""
    some = by_season({2019: 9, 2020: 8, 2021: MIN_TEST_DATES, 2022: MIN_TEST_DATES - 1, 2023: 1})
    names, found = split_dates(some, SplitConfig(name="by_season")), seasons(some, 9)
    assert set(found[names == "test"]) == {2021}
    assert set(found[names == "train"]) == {2019, 2022, 2023}
    assert (
        "the test season is 2021: 2022 has 4, 2023 has 1, fewer than 5, and later seasons are trained on; "
        "split.test=[2023] tests on the last"
    ) in caplog.messages
    asked = split_dates(some, SplitConfig(name="by_season", test=(2023,)))
    assert set(found[asked == "test"]) == {2023}


def test_a_last_season_with_enough_dates_needs_no_words(caplog: pytest.LogCaptureFixture) -> None:
    some = by_season({2020: 9, 2021: 2, 2022: 9, 2023: MIN_TEST_DATES})
    found = seasons(some, 9)
    assert set(found[split_dates(some, SplitConfig(name="by_season")) == "test"]) == {2023}
    assert not caplog.records


def test_seasons_that_are_all_too_short_are_counted() -> None:
    some = by_season({2020: 4, 2021: 3})
    with pytest.raises(
        SplitError, match=r"no season has the 5 dates that a test needs \(2020 has 4, 2021 has 3\); set split.test"
    ):
        split_dates(some, SplitConfig(name="by_season"))


def test_space_alone_or_chance_leave_dates_alone() -> None:
    some = by_season({2020: 4})
    for name in ("by_block", "random_patch"):
        assert set(split_dates(some, SplitConfig(name=name))) == {"any"}


def test_what_is_not_there_cannot_be_held_out() -> None:
    some = by_season({2020: 9, 2021: 9, 2022: 9})
    with pytest.raises(ConfigError, match=r"split: 2024 has no image that can be used; there are 2020, 2021, 2022"):
        split_dates(some, SplitConfig(name="by_season", test=(2024,)))
    with pytest.raises(ConfigError) as error:
        split_dates(some, SplitConfig(name="by_date", test=(dt.date(2021, 10, 2),)))
    assert "split: 2021-10-02 has no image" in str(error.value)
    assert "nearest of 27 are 2021-10-01, 2021-10-04" in str(error.value)


def test_seasons_and_dates_are_not_mixed_up() -> None:
    some = by_season({2020: 9, 2021: 9, 2022: 9})
    with pytest.raises(ConfigError, match=r"hold seasons such as 2022 here, not 2021-10-01"):
        split_dates(some, SplitConfig(name="by_season", test=(dt.date(2021, 10, 1),)))
    with pytest.raises(ConfigError, match=r"hold dates such as 2023-01-01 here, not 2021"):
        split_dates(some, SplitConfig(name="by_date", val=(2021,)))


def test_a_season_is_held_out_once() -> None:
    some = by_season({2020: 9, 2021: 9, 2022: 9})
    with pytest.raises(ConfigError, match=r"split: 2021 is in both split.test and split.val"):
        split_dates(some, SplitConfig(name="by_season", test=(2021,), val=(2021,)))


def test_something_has_to_be_left() -> None:
    some = by_season({2020: 9, 2021: 9})
    with pytest.raises(SplitError, match=r"no season is left for validation beside test 2021.*set split.val or use"):
        split_dates(some, SplitConfig(name="by_season"))
    with pytest.raises(SplitError, match=r"leaves no date for train; hold out fewer"):
        split_dates(some, SplitConfig(name="by_season", test=(2020,), val=(2021,)))
    with pytest.raises(SplitError, match=r"leaves no date for test"):
        split_dates(some, SplitConfig(name="by_season", test=(), val=(2021,)))
    with pytest.raises(SplitError, match=r"leaves no date for"):
        split_dates(some[:2], SplitConfig(name="by_date"))


def test_inner_seasons_give_none_away_to_validation() -> None:
    some = by_season({2020: 6, 2021: 9, 2022: 8, 2023: 2})
    found = seasons(some, 9)
    names = split_dates(some, SplitConfig(name="by_season", inner="seasons"))
    assert set(found[names == "test"]) == {2022}  # as without inner seasons
    assert set(found[names == "train"]) == {2020, 2021, 2023}
    asked = split_dates(some, SplitConfig(name="by_season", inner="seasons", test=(2020,)))
    assert set(found[asked == "train"]) == {2021, 2022, 2023}
    assert set(asked) == {"train", "test"}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({2021: 9, 2022: 9}, r"needs 2 of them, and there is 1 \(2021\) beside test 2022; set split.inner=none"),
        ({2022: 9}, r"needs 2 of them, and there are none beside test 2022; set split.inner=none"),
    ],
)
def test_too_few_training_seasons_are_counted(counts: dict[int, int], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split_dates(by_season(counts), SplitConfig(name="by_season", inner="seasons"))


def test_every_season_is_tested_on_in_turn() -> None:
    some = by_season({2020: 1, 2021: 9, 2022: 3})
    assert each_season(some, SplitConfig(name="leave_one_season_out", inner="seasons")) == [2020, 2021, 2022]
    assert each_season(some, SplitConfig(name="leave_one_season_out", start_month=1)) == [2020, 2021, 2022]
    with pytest.raises(ConfigError, match=r"a fold at a time"):
        split_dates(some, SplitConfig(name="leave_one_season_out"))


@pytest.mark.parametrize("inner", ["none", "seasons"])
@pytest.mark.parametrize(
    ("counts", "told"), [({2021: 9, 2022: 9}, r"are 2 \(2021, 2022\)"), ({2022: 9}, r"is 1 \(2022\)")]
)
def test_too_few_seasons_to_test_on_each(counts: dict[int, int], told: str, inner: str) -> None:
    config = SplitConfig(name="leave_one_season_out", inner=inner)
    with pytest.raises(SplitError, match=rf"needs 3 seasons, one for test and .* and there {told}; set split=by_date"):
        each_season(by_season(counts), config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "by_date", "inner": "seasons"}, "split=by_date knows none; set split=by_season"),
        ({"name": "by_block", "inner": "seasons"}, "split=by_block knows none"),
        ({"name": "by_season", "inner": "seasons", "val": [2021]}, "remove split.val, or set split.inner=none"),
        ({"name": "leave_one_season_out", "test": [2021]}, "tests on each season in turn; remove split.test"),
    ],
)
def test_what_excludes_each_other_is_said(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(SplitConfig, values)
