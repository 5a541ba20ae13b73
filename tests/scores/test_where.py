import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from mlssm.scores.cells import LabelledPixels, Layout
from mlssm.scores.sums import pixel_sums
from mlssm.scores.temporal import LABELS, TemporalSums
from mlssm.scores.where import error_shares, variance_parts

LAYOUT = Layout(((3, 4), (2, 5)), 2)
DATES = 7
BLOCKS = LAYOUT.blocks.tolist()
KEYS = {"date": ["date"], "extent": ["extent"], "cell": ["date", "extent"], "pixel": ["pixel"]}


def _table(share: float = 1.0) -> pd.DataFrame:
    """Labels and predictions with an effect of each kind; a share of them is there."""
    rng = np.random.default_rng(0)
    date, pixel = (grid.ravel() for grid in np.indices((DATES, LAYOUT.pixels)))
    extent = LAYOUT.extents(slice(0, LAYOUT.pixels))[pixel]
    effects = (
        rng.normal(0, 0.1, DATES)[date],
        rng.normal(0, 0.1, (DATES, 2))[date, extent],
        rng.normal(0, 0.1, 22)[pixel],
    )
    y = np.clip(0.5 + sum(effects) + rng.normal(0, 0.1, date.size), 0, 1)
    p = np.clip(0.6 + 0.5 * effects[0] + rng.normal(0, 0.05, date.size), 0, 1)
    frame = pd.DataFrame({"date": date, "extent": extent, "pixel": pixel, "y": y, "p": p, "e": p - y})
    return frame[rng.random(len(frame)) < share]


def _summed(frame: pd.DataFrame) -> tuple[Tensor, dict[str, float]]:
    """By date and block, the first one of each extent; and what is between pixels."""
    y, p = (torch.from_numpy(frame[name].to_numpy()) for name in "yp")
    date, extent, pixel = (torch.from_numpy(frame[name].to_numpy()) for name in ("date", "extent", "pixel"))
    first = torch.tensor([BLOCKS.index(0), BLOCKS.index(1)])
    cell, there = date * len(BLOCKS) + first[extent], torch.ones(1, len(y), dtype=torch.bool)
    sums = pixel_sums(p[None], y[None], there, 0 * y[None], y[None], cell[None], groups=DATES * len(BLOCKS), bins=3)
    temporal = TemporalSums(LAYOUT.pixels, ("net",))
    pixels = LabelledPixels(pixel, y, y, y, date, pixel, pixel)
    temporal.add_labels(pixels)
    temporal.add("net", pixels, p)
    return sums.reshape(DATES, len(BLOCKS), 3, -1), temporal.between_pixels(LAYOUT)


@pytest.mark.parametrize(("of", "name", "value"), [("labels", LABELS, "y"), ("error", "net", "e")])
def test_the_parts_are_those_of_an_analysis_of_variance(of, name: str, value: str) -> None:
    """Every pixel has a label on every date: by pandas, the rest as the mean square of what all effects leave."""
    frame = _table()
    sums, between = _summed(frame)
    found = variance_parts(sums, BLOCKS, between[name], of)
    means = {key: frame.groupby(keys)[value].transform("mean") for key, keys in KEYS.items()}
    mean = frame[value].mean()
    assert found.offset == pytest.approx(0 if of == "labels" else mean**2)
    assert found.date == pytest.approx(np.square(means["date"] - mean).mean())
    assert found.date_extent == pytest.approx(np.square(means["cell"] - means["date"]).mean())
    assert found.pixel == pytest.approx(np.square(means["pixel"] - means["extent"]).mean())
    assert found.rest == pytest.approx(
        np.square(frame[value] - means["cell"] - means["pixel"] + means["extent"]).mean()
    )
    assert found.total == pytest.approx(frame["y"].var(ddof=0) if of == "labels" else np.square(frame["e"]).mean())
    assert found.reason == ""


def test_the_parts_add_up_where_labels_are_missing() -> None:
    sums, between = _summed(_table(0.6))
    found = variance_parts(sums, BLOCKS, between["net"], "error")
    parts = found.offset, found.date, found.date_extent, found.pixel, found.rest
    assert sum(parts) == pytest.approx(found.total)
    assert min(parts) > 0


def test_shares_of_the_error_are_those_of_pandas() -> None:
    frame = _table(0.6)
    squared = np.square(frame["e"]).groupby(frame["date"]).sum()
    np.testing.assert_allclose(error_shares(_summed(frame)[0]), squared / squared.sum())


def test_without_labels_nothing_is_defined() -> None:
    sums, between = _summed(_table(0.0))
    found = variance_parts(sums, BLOCKS, between["net"], "error")
    assert math.isnan(found.total)
    assert found.reason == "no labelled pixels, or predictions are not finite"
