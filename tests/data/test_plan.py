import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlssm.data.plan import Drawing, natural_risk_weights


def drawing_of(seed: int, count: int, strata: int, draws: int) -> Drawing:
    """Each stratum expectedly as often as another, its patches by random sizes."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([np.arange(strata), rng.integers(0, strata, count - strata)])
    size = rng.exponential(size=count)
    return Drawing(draws / strata * size / np.bincount(group, size)[group], group, draws)


@given(st.integers(0, 10**6), st.integers(5, 60), st.integers(1, 5), st.integers(1, 90), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_patches_and_strata_are_drawn_as_expected_rounded_down_or_up(
    seed: int, count: int, strata: int, draws: int, epoch: int
) -> None:
    drawing = drawing_of(seed, count, strata, draws)
    positions = drawing.positions(seed, epoch)
    assert len(positions) == draws
    times = np.bincount(positions, minlength=count)
    assert (np.abs(times - drawing.expected) < 1).all()
    of_stratum = np.bincount(drawing.strata[positions], minlength=strata)
    assert (np.abs(of_stratum - draws / strata) < 1).all()


def test_the_mean_over_epochs_is_the_expectation() -> None:
    drawing, epochs = drawing_of(3, 30, 3, 25), 3000
    times = np.stack([np.bincount(drawing.positions(1, epoch), minlength=30) for epoch in range(epochs)])
    fraction = drawing.expected % 1
    error = np.sqrt(fraction * (1 - fraction) / epochs)
    assert (np.abs(times.mean(axis=0) - drawing.expected) <= 4.5 * error + 1e-12).all()
    # patches of a stratum are drawn together in many combinations, not in the list's order
    pairs = np.corrcoef(times[:, drawing.strata == 0].T)
    assert np.nanmax(np.abs(pairs - np.eye(len(pairs)))) < 0.6


def test_once_is_every_patch_once_in_another_order_each_epoch() -> None:
    orders = [Drawing.once(40).positions(seed=0, epoch=epoch) for epoch in range(3)]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_seed_and_epoch_decide() -> None:
    drawing = drawing_of(0, 40, 2, 30)
    found = {tuple(drawing.positions(seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(found) == 9
    assert drawing.positions(2, 1) == drawing.positions(2, 1)


def test_weights_are_inverse_to_inclusion_and_sum_to_the_population() -> None:
    """With every patch's loss 1 a pixel, the mean of weight x pixels over an epoch is 1."""
    drawing = drawing_of(1, 50, 1, 20)
    pixels = np.random.default_rng(2).integers(1, 400, 50)
    weight = natural_risk_weights(drawing, drawing.expected, float(pixels.sum()))
    assert (drawing.expected * weight * pixels).sum() / drawing.draws == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(weight * drawing.expected, weight[0] * drawing.expected[0], rtol=1e-6)
