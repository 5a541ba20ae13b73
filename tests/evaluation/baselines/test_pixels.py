import numpy as np
import pytest
import torch
from tests.training_patches import training_patches

from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.data.spec import FeatureSpec
from mlssm.errors import SplitError
from mlssm.evaluation.baselines import pixels
from mlssm.evaluation.baselines.pixels import PixelDraw, PixelRegression, PixelSample, own_static, pixel_inputs


def _batch() -> Batch:
    """Two patches of 2 x 3 pixels, 2 steps of 2 channels and one static input, each value its own."""
    dynamic = torch.arange(2 * 2 * 2 * 6, dtype=torch.float32).reshape(2, 2, 2, 2, 3)
    static = 1000 + torch.arange(12, dtype=torch.float32).reshape(2, 1, 2, 3)
    valid = torch.tensor([[[[1, 0, 0], [0, 0, 1]]], [[[0, 1, 0], [0, 0, 0]]]], dtype=torch.bool)
    target = torch.where(valid, torch.rand(valid.shape), torch.nan)
    none = torch.zeros_like(target)
    date, weight = torch.zeros(2, dtype=torch.int64), torch.ones(2)
    return Batch(dynamic, static, target, valid, none, date, weight, target, target)


def test_a_row_holds_the_weather_oldest_step_first_and_then_the_static_inputs() -> None:
    rows, batch = pixel_inputs(_batch(), (0,)), _batch()
    for row, (patch, i, j) in zip(rows, [(0, 0, 0), (0, 1, 2), (1, 0, 1)], strict=True):
        weather = [batch.dynamic[patch, step, channel, i, j] for step in range(2) for channel in range(2)]
        assert row.tolist() == [*map(float, weather), float(batch.static[patch, 0, i, j])]


class FirstInput:
    """Predicts the first input, divided by 40."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, 0] / 40 - 0.1


def test_a_regression_is_asked_at_labelled_pixels_and_clipped() -> None:
    batch = _batch()
    found = PixelRegression("first", FirstInput(), (0,)).predict([], batch)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found[batch.valid], [0.0, 0.025, 0.525])
    assert torch.isnan(found[~batch.valid]).all()


def test_a_batch_without_labels_asks_nothing() -> None:
    batch = _batch()._replace(valid=torch.zeros(2, 1, 2, 3, dtype=torch.bool))
    assert torch.isnan(PixelRegression("first", FirstInput(), (0,)).predict([], batch)).all()


def drawn(train: PatchDataset, days: np.ndarray, seed: int) -> PixelSample:
    draw = PixelDraw(train, days, seed)
    for patch in training_patches(train):
        draw.add(draw.of(patch))
    return draw.sample


def _all(experiment: Experiment) -> set[tuple[float, ...]]:
    """Every training pixel of the regular grid: inputs, label and day."""
    train, days = experiment.datasets["train"], experiment.cube.local_days
    found = set()
    for position in np.flatnonzero(train.patches["pass"] == 1):
        patch, day = train[int(position)], float(days[train.place(int(position)).time].astype(int))
        for i, j in np.argwhere(patch.valid[0].numpy()):
            inputs = [*patch.dynamic[:, :, i, j].flatten().tolist(), *patch.static[:, i, j].tolist()]
            found.add((*inputs, patch.target[0, i, j].item(), day))
    return found


def _rows(sample: PixelSample) -> list[tuple[float, ...]]:
    day = sample.day.astype(int)
    return [(*row, ssm, float(d)) for row, ssm, d in zip(sample.inputs.tolist(), sample.ssm, day, strict=True)]


def test_where_there_are_few_all_are_drawn(five_extents: Experiment) -> None:
    sample = drawn(five_extents.datasets["train"], five_extents.cube.local_days, 0)
    assert sample.dates == len(five_extents.datasets["train"].times)
    rows = _rows(sample)
    assert set(rows) == _all(five_extents)
    assert len(rows) == sum(
        int(five_extents.datasets["train"][i].valid.sum()) for i in range(len(five_extents.datasets["train"]))
    )


@pytest.fixture
def of_five_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "MOST_PIXELS", 500)


@pytest.mark.usefixtures("of_five_hundred")
def test_a_draw_is_of_training_pixels_and_comes_again(experiment: Experiment) -> None:
    train, days = experiment.datasets["train"], experiment.cube.local_days
    first, again, other = (_rows(drawn(train, days, seed)) for seed in (1, 1, 2))
    assert len(first) == len(set(first)) == 500
    assert first == again
    assert set(first) != set(other)
    assert set(first) | set(other) <= _all(experiment)


def test_each_pixel_is_drawn_as_often_as_any_other() -> None:
    counts = np.array([0, 3, 40, 0, 17])
    total = np.zeros((5, 40))
    most = 12
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "MOST_PIXELS", most)
        for seed in range(3000):
            for number, chosen in enumerate(pixels._chosen(counts, 10, seed)):
                assert len(set(chosen)) == len(chosen)
                total[number, chosen] += 1
    there = np.arange(40) < counts[:, None]
    assert (total[~there] == 0).all()
    share = total[there] / 3000
    assert share.sum() == pytest.approx(most)
    # 4.5 standard deviations of a binomial share
    p = most / 60
    np.testing.assert_allclose(share, p, atol=4.5 * np.sqrt(p * (1 - p) / 3000))


def test_long_windows_are_drawn_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "MOST_VALUES", 1000)
    assert sum(map(len, pixels._chosen(np.array([600, 600]), 10, 0))) == 100


def test_without_a_label_there_is_no_baseline(experiment: Experiment) -> None:
    train = experiment.datasets["train"]
    parts = train.size, train.retrieval, train.features, train.moments
    unlabelled = PatchDataset(train.patches.assign(pixels=0), *parts)
    with pytest.raises(SplitError, match="no training pixel has a label"):
        PixelDraw(unlabelled, experiment.cube.local_days, 0)


def test_a_patch_that_the_index_does_not_know_is_told(experiment: Experiment) -> None:
    train = experiment.datasets["train"]
    parts = train.size, train.retrieval, train.features, train.moments
    wrong = PatchDataset(train.patches.assign(pixels=train.patches["pixels"] + 1), *parts)
    with pytest.raises(ValueError, match=r"has \d+ labels, and \d+ in the patch index"):
        drawn(wrong, experiment.cube.local_days, 0)


def test_a_regression_sees_nothing_that_was_fitted_to_labels() -> None:
    static = ("slope", "terrain_available", "ndvi", "base", "mean_ssm", "previous_age", "previous_available")
    spec = FeatureSpec(("wind",), static, (0.0,) * 8, (1.0,) * 8)
    assert [static[position] for position in own_static(spec)] == ["slope", "terrain_available", "ndvi"]
