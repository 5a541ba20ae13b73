import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from mlssm.evaluation.rows import best_baseline, score_rows
from mlssm.evaluation.table import Kind, ScoreRow
from mlssm.scores.bootstrap import Resampling, intervals, resample
from mlssm.scores.sums import DISTRIBUTIONS, SUMS, pixel_sums, scores

RESAMPLING = Resampling(200, 0.95, 0)
KINDS: dict[str, Kind] = {"net": "network", "net, blind": "control", "mean": "baseline", "rain": "baseline"}
NOISE = {"net": 0.05, "net, blind": 0.01, "mean": 0.3, "rain": 0.1}


def _sums(noise: float, dates: int = 8) -> Tensor:
    """Dates x 4 blocks x 30 pixels, of the same labels for all models."""
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(1, 8 * 4 * 30, dtype=torch.float64, generator=generator)
    p = y + noise * torch.randn(y.shape, dtype=torch.float64, generator=generator.manual_seed(round(100 * noise)))
    cell = torch.arange(8 * 4).repeat_interleave(30)[None]
    sums = pixel_sums(p, y, torch.ones_like(y, dtype=torch.bool), 0.1 * y, 0.9 * y, cell, groups=32, bins=5)
    return sums.reshape(8, 4, 5, len(SUMS))[:dates]


def _all(**changed: Tensor) -> dict[str, Tensor]:
    return {name: _sums(noise) for name, noise in NOISE.items()} | changed


def _rows(sums: dict[str, Tensor], split: str = "test") -> list[ScoreRow]:
    return score_rows(split, sums, DISTRIBUTIONS, KINDS, RESAMPLING)


def test_each_row_has_the_scores_and_intervals_of_its_sums() -> None:
    sums = _all()
    rows = _rows(sums)
    assert [row.labels for row in rows] == [(name, "test", kind) for name in NOISE for kind in DISTRIBUTIONS]
    for row in rows:
        assert row.scores == scores(sums[row.model], row.distribution)
        alone = asdict(intervals(resample(sums[row.model], RESAMPLING), row.distribution))
        # drawn together, the sums are added up in another order
        for name, found in asdict(row.intervals).items():
            assert found == (alone[name] if isinstance(found, str) else pytest.approx(alone[name], rel=1e-12))
        assert row.kind == KINDS[row.model]


def test_two_pass_weighs_the_pixels_of_its_sums_alike() -> None:
    sums = _all()
    (row, *_) = score_rows("val", sums, ("two_pass",), KINDS, RESAMPLING)
    assert row.labels == ("net", "val", "two_pass")
    assert row.scores == scores(sums["net"])


def test_skill_is_over_the_best_baseline_and_a_control_is_none() -> None:
    rows = _rows(_all())
    for row in rows:
        best = next(other for other in rows if other.labels == ("rain", "test", row.distribution))
        assert row.best == "rain"
        assert row.skill == pytest.approx(1 - row.scores.rmse**2 / best.scores.rmse**2)
    skills = {row.model: row.skill for row in rows if row.distribution == "natural"}
    assert skills["rain"] == 0
    assert skills["mean"] < 0 < skills["net"] < skills["net, blind"] < 1


def test_the_best_baseline_may_differ_between_distributions() -> None:
    dry, wet = _sums(0.0), _sums(0.3)
    only_dry = torch.cat((dry[:, :, :2], wet[:, :, 2:]), dim=2)
    rows = _rows({"net": dry, "rain": only_dry, "mean": _sums(0.2)})
    for name in DISTRIBUTIONS:
        there = [row for row in rows if row.distribution == name and row.kind == "baseline"]
        best = best_baseline(rows, "test", name)
        assert best is not None
        assert best.scores.rmse == min(row.scores.rmse for row in there)


def test_without_a_baseline_there_is_no_skill() -> None:
    rows = _rows({"net": _sums(0.1)})
    assert all(math.isnan(row.skill) and row.best == "" for row in rows)
