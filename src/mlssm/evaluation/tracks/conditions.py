"""Agreement by how two tracks see a place: hours apart, time of day, and subswath, which stands for the angle."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlssm.evaluation.tracks.designs import PLAIN, Maker
from mlssm.evaluation.tracks.pairs import Agreement, Pair
from mlssm.sources.points import PointSeries

SUBSWATH = re.compile(r"IW([123])$", re.IGNORECASE)
Interval = Callable[[Sequence[Pair], Sequence[float]], tuple[float, float, float]]


def conditions_table(
    pairs: Sequence[Pair], found: Sequence[Agreement], maker: Maker, interval: Interval
) -> pd.DataFrame:
    """A row a condition: agreement of the pairs that meet it, and the difference of evening and morning labels.

    Args:
        pairs: All of them.
        found: Their agreement.
        maker: Makes labels.
        interval: Mean over sites of some pairs' values, with its interval.
    """
    groups: list[tuple[str, list[bool]]] = []
    hours = [pair.hours_apart for pair in pairs]
    groups += [(f"{low} to {high} hours apart", [low < each <= high for each in hours]) for low, high in HOURS]
    mixed = [is_morning(pair.a) != is_morning(pair.b) for pair in pairs]
    groups += [("morning and evening", mixed), ("the same time of day", [not each for each in mixed])]
    steps = [_subswaths_apart(pair) for pair in pairs]
    groups += [(f"{step} subswaths apart", [each == step for each in steps]) for step in (0, 1, 2)]
    rows = [_row(title, mask, pairs, found, interval) for title, mask in groups]
    of_both = [pair for pair, both in zip(pairs, mixed, strict=True) if both]
    mean, low, high = interval(of_both, [evening_less_morning(pair, maker) for pair in of_both])
    rows.append({"condition": "SSM of the evening less that of the morning", "pairs": len(of_both)})
    rows[-1] |= {"value": mean, "low": low, "high": high}
    return pd.DataFrame(rows)


HOURS = ((0, 13), (13, 25), (25, 240))


def _row(
    title: str, mask: Sequence[bool], pairs: Sequence[Pair], found: Sequence[Agreement], interval: Interval
) -> dict[str, Any]:
    kept = [pair for pair, there in zip(pairs, mask, strict=True) if there]
    mean, low, high = interval(kept, [each.r for each, there in zip(found, mask, strict=True) if there])
    return {"condition": f"r, {title}", "pairs": len(kept), "value": mean, "low": low, "high": high}


def is_morning(series: PointSeries) -> bool:
    """Whether a track passes before noon, by the sun: an hour for 15 degrees of longitude."""
    days = (series.times - series.times.astype("datetime64[D]")) / np.timedelta64(1, "D")
    middle = np.angle(np.exp(2j * np.pi * days).mean()) / (2 * np.pi)  # midnight parts no times that lie about it
    hour = (24 * middle + series.longitude / 15) % 24
    return bool(hour < 12)


def evening_less_morning(pair: Pair, maker: Maker) -> float:
    """Mean difference of the labels of a pair's evening and morning track, SSM units."""
    one, two = (maker.of(series, PLAIN).ssm[:, 0] for series in (pair.a, pair.b))
    difference = one[pair.of_a] - two[pair.of_b]
    known = difference[np.isfinite(difference)]
    mean = float(known.mean()) if known.size else float("nan")
    return -mean if is_morning(pair.a) else mean


def _subswaths_apart(pair: Pair) -> int | None:
    names = [SUBSWATH.search(series.burst) for series in (pair.a, pair.b)]
    numbers = [int(match[1]) for match in names if match]
    return abs(numbers[0] - numbers[1]) if len(numbers) == 2 else None
