"""Splitting dates: whole local days, or whole seasons."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import SplitConfig
from mlssm.errors import ConfigError, SplitError

log = logging.getLogger(__name__)

Days = npt.NDArray[np.datetime64]
Names = npt.NDArray[np.str_]
# seasons for test and validation are chosen among those that can carry a score
MIN_TEST_DATES = 5
MIN_VALIDATION_DATES = 5
LEAST_INNER = 2  # training seasons: one held out, one to train on
MOST_TOLD = 8


def split_dates(days: Days, config: SplitConfig) -> Names:
    """The split of each acquisition by its date: "train", "val" or "test"; "any" where dates do not decide.

    Args:
        days: Local day of each acquisition, [time].
        config: The split.

    Raises:
        ConfigError: A season or date that is held out is not there, or is held out twice; the split is of many folds.
        SplitError: Nothing is left for one of the three; under `inner=seasons`, which leaves none for validation, there
            are fewer than two training seasons.
    """
    if config.each_season:
        raise ConfigError(f"split={config.name} is trained a fold at a time, each of them split=by_season")
    if config.name in ("by_block", "random_patch"):
        return np.full(len(days), "any")
    groups = seasons(days, config.start_month) if config.name.startswith("by_season") else days
    known = np.unique(groups)
    test, val = (_chosen(part, known) for part in (config.test, config.val))
    if config.name == "by_date":
        test, val = _drawn(known, test, val, config)
    elif config.by_inner_seasons:
        test, val = test if test is not None else _test_season(groups), known[:0]
        check_inner(known[~np.isin(known, test)], f" beside test {_listed(test)}")
    else:
        test = test if test is not None else _test_season(groups)
        val = val if val is not None else _validation_season(groups, test)
    return _assign(groups, test, val, ("train", "test") if config.by_inner_seasons else ("train", "val", "test"))


def seasons(days: Days, start_month: int) -> npt.NDArray[np.int64]:
    """The season of each day: the year in which it begins.

    Args:
        days: datetime64[D].
        start_month: Month that a season begins with, 1..12.
    """
    months = days.astype("datetime64[M]").astype(np.int64)  # since January 1970
    return np.asarray((months - (start_month - 1)) // 12 + 1970, np.int64)


def test_seasons(days: Days, config: SplitConfig) -> list[int]:
    """The seasons that `leave_one_season_out` tests on in turn: all that there are.

    Args:
        days: Local day of each acquisition that can be used, [time].
        config: The split.

    Raises:
        SplitError: There are too few for what the others are needed for.
    """
    known = np.unique(seasons(days, config.start_month))
    if len(known) <= LEAST_INNER:
        rest = "two to choose by in turn" if config.by_inner_seasons else "one for validation, one for training"
        raise SplitError(
            f"split=leave_one_season_out needs {LEAST_INNER + 1} seasons, one for test and {rest}, and there "
            f"{_are(known)}; set split=by_date, or begin seasons in another month (split.start_month)"
        )
    return [int(season) for season in known]


def check_inner(training: npt.NDArray[Any], told: str = "") -> None:
    """Refuse training seasons that are too few to be held out in turn.

    Args:
        training: The seasons.
        told: More of them, for the message.

    Raises:
        SplitError: There are fewer than two.
    """
    if len(training) < LEAST_INNER:
        raise SplitError(
            f"split.inner=seasons holds out training seasons in turn and needs {LEAST_INNER} of them, and there "
            f"{_are(training)}{told}; set split.inner=none, name fewer in split.test, or begin seasons in another "
            "month (split.start_month)"
        )


def _are(known: npt.NDArray[Any]) -> str:
    number = "is 1" if len(known) == 1 else f"are {len(known) or 'none'}"
    return f"{number} ({_listed(known)})" if len(known) else number


def _listed(known: npt.NDArray[Any]) -> str:
    return ", ".join(map(str, known))


def _chosen(wanted: Sequence[dt.date | int] | None, known: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    if wanted is None:
        return None
    kind = "dates such as 2023-01-01" if known.dtype.kind == "M" else "seasons such as 2022"
    if any(isinstance(item, dt.date) != (known.dtype.kind == "M") for item in wanted):
        raise ConfigError(f"split.test and split.val hold {kind} here, not {', '.join(map(str, wanted))}")
    chosen = np.array(wanted, known.dtype)
    missing = chosen[~np.isin(chosen, known)]
    if missing.size:
        raise ConfigError(f"split: {missing[0]} has no image that can be used; {_told(known, missing[0])}")
    return chosen


def _told(known: npt.NDArray[Any], wanted: Any) -> str:
    """What there is: all if they are few, else those nearest to the wanted one."""
    if len(known) <= MOST_TOLD:
        return f"there are {_listed(known)}"
    nearest = np.sort(known[np.argsort(np.abs(known - wanted), kind="stable")[:MOST_TOLD]])
    return f"the nearest of {len(known)} are {', '.join(map(str, nearest))}"


def _drawn(
    known: npt.NDArray[Any], test: npt.NDArray[Any] | None, val: npt.NDArray[Any] | None, config: SplitConfig
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    generator = np.random.default_rng(config.seed)
    free = np.setdiff1d(known, np.concatenate([part for part in (test, val) if part is not None] or [known[:0]]))
    order = generator.permutation(free)
    count = [max(1, round(fraction * len(known))) for fraction in (config.test_fraction, config.val_fraction)]
    if test is None:
        test, order = order[: count[0]], order[count[0] :]
    if val is None:
        val = order[: count[1]]
    return test, val


def _test_season(groups: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The latest season that has enough dates; a later one without is for training, which is told."""
    known, count = np.unique(groups, return_counts=True)
    enough = known[count >= MIN_TEST_DATES]
    if not enough.size:
        raise SplitError(
            f"no season has the {MIN_TEST_DATES} dates that a test needs ({_counted(known, count)}); set split.test to "
            "one of them, or use split=by_date"
        )
    later = known > enough[-1]
    if later.any():
        log.warning(
            "the test season is %d: %s, fewer than %d, and later seasons are trained on; "
            "split.test=[%d] tests on the last",
            *(enough[-1], _counted(known[later], count[later]), MIN_TEST_DATES, known[-1]),
        )
    return np.asarray(enough[-1:])


def _counted(seasons: npt.NDArray[Any], count: npt.NDArray[np.int64]) -> str:
    return ", ".join(f"{season} has {number}" for season, number in zip(seasons, count, strict=True))


def _validation_season(groups: npt.NDArray[Any], test: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Of the seasons that are not for testing, the one with fewest dates but enough: most is left for training."""
    known, count = np.unique(groups[~np.isin(groups, test)], return_counts=True)
    enough = count >= MIN_VALIDATION_DATES
    if not enough.any() or len(known) < 2:
        raise SplitError(
            f"no season is left for validation beside test {_listed(test)}: one with at least "
            f"{MIN_VALIDATION_DATES} dates, and one for training, are needed; set split.val or use split=by_date"
        )
    return np.asarray(known[enough][[np.argmin(count[enough])]])


def _assign(groups: npt.NDArray[Any], test: npt.NDArray[Any], val: npt.NDArray[Any], wanted: Sequence[str]) -> Names:
    both = np.intersect1d(test, val)
    if both.size:
        raise ConfigError(f"split: {both[0]} is in both split.test and split.val")
    names = np.where(np.isin(groups, test), "test", np.where(np.isin(groups, val), "val", "train"))
    for name in wanted:
        if not (names == name).any():
            raise SplitError(f"the split leaves no date for {name}; hold out fewer dates or seasons")
    return names
