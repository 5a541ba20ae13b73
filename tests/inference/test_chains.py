"""Which days a carried state runs through."""

from __future__ import annotations

import numpy as np
import pytest

from mlssm.inference.chains import DAY, first_day, plan_chains, steps, together

START = np.datetime64("2023-01-01")


def _always(_: np.datetime64) -> bool:
    return True


def _days(count: int, start: np.datetime64 = START) -> list[np.datetime64]:
    return list(start + np.arange(count))


@pytest.mark.parametrize("lag", [2, 7, 10, 30])
def test_every_map_has_seen_a_window_and_less_than_two_and_a_day_is_a_step_of_two_chains(lag: int) -> None:
    ends = _days(12 * lag)
    chains = plan_chains(ends, lag, _always)
    assert [end for chain in chains for end in chain.ends] == ends
    seen = [int((end - chain.first) / DAY) + 1 for chain in chains for end in chain.ends]
    assert (min(seen), max(seen)) == (lag, 2 * lag - 1)
    assert all(int(chain.first.astype(np.int64)) % lag == 0 for chain in chains)
    inside = ends[3 * lag : -3 * lag]
    assert {sum(chain.has(day) for chain in chains) for day in inside} <= {1, 2}
    assert sum(chain.days for chain in chains) < 2 * (len(ends) + 2 * lag)
    assert set(ends) <= set(steps(chains))


def test_a_days_chain_does_not_depend_on_the_days_that_are_asked_for() -> None:
    whole = {end: chain.first for chain in plan_chains(_days(60), 10, _always) for end in chain.ends}
    for end, first in whole.items():
        (alone,) = plan_chains([end], 10, _always)
        assert (alone.first, list(alone.ends)) == (first, [end])


def test_a_chain_begins_after_a_day_that_lacks_what_a_step_needs() -> None:
    lag, broken = 10, START + 3

    def passes(day: np.datetime64) -> bool:
        return bool(day != broken)

    for end in _days(40, broken + lag * DAY):  # of those before, the window itself is broken
        first = first_day(end, lag, passes)
        assert first <= end - (lag - 1) * DAY
        assert not first <= broken <= end
        assert first in {broken + DAY, first_day(end, lag, _always)}
    assert first_day(broken + lag * DAY, lag, passes) == broken + DAY


def test_blocks_are_of_whole_chains_as_far_as_they_fit() -> None:
    ends = _days(75)
    blocks = together(plan_chains(ends, 10, _always), 32)
    assert [end for block in blocks for end in block] == ends
    assert all(len(block) <= 32 for block in blocks)
    assert all(len(plan_chains(block, 10, _always)) <= 4 for block in blocks)
    assert sum(len(plan_chains(block, 10, _always)) for block in blocks) == len(plan_chains(ends, 10, _always))
    parts = together(plan_chains(_days(300), 100, _always), 32)
    assert [end for block in parts for end in block] == _days(300)
    assert max(map(len, parts)) == 32
