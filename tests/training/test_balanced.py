import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import beta, norm

from mlssm.errors import ConfigError
from mlssm.training.balanced import BalancedMSE

EDGES = np.linspace(0, 1, 101)
SKEWED = np.diff(beta.cdf(EDGES, 2, 6))
UNIFORM = np.full(100, 0.01)


def loss(labels: np.ndarray, noise: float, prediction: float, target: float) -> float:
    found = BalancedMSE(labels, noise, learn_noise=False)(torch.tensor([prediction]), torch.tensor([target]))
    return float(found.item())


@pytest.mark.parametrize(("prediction", "target"), [(0.1, 0.3), (0.5, 0.45), (0.95, 0.2)])
@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_it_is_the_negative_log_likelihood_by_quadrature(prediction: float, target: float, noise: float) -> None:
    """-log [N(y) p(y) / integral N p], less log p(y) and times 2 s^2; the density is smooth, so bins barely matter."""
    mass, _ = quad(lambda y: norm.pdf(y, prediction, noise) * beta.pdf(y, 2, 6), 0, 1, points=[prediction])
    wanted = -2 * noise**2 * np.log(norm.pdf(target, prediction, noise) / mass)
    assert loss(SKEWED, noise, prediction, target) == pytest.approx(wanted, abs=1e-3 * noise)


def test_uniform_labels_make_it_the_squared_error_plus_a_constant_away_from_the_ends() -> None:
    constants = [loss(UNIFORM, 0.05, p, y) - (p - y) ** 2 for p in (0.3, 0.5, 0.61) for y in (0.0, 0.4, 0.9)]
    assert constants == pytest.approx([constants[0]] * 9, abs=1e-6)
    assert abs(loss(UNIFORM, 0.05, 0.02, 0.4) - 0.38**2 - constants[0]) > 1e-3


def test_the_best_constant_of_a_state_is_its_balanced_one() -> None:
    """Labels of one state x are N(y; m, s) p(y), drawn from skewed training labels: the best prediction is m.

    Their mean, which plain MSE would predict, is pulled towards the labels that training has most of.
    """
    state, noise = 0.6, 0.1
    y = (EDGES[:-1] + EDGES[1:]) / 2
    posterior = norm.pdf(y, state, noise) * SKEWED
    posterior /= posterior.sum()
    candidates = torch.linspace(0, 1, 1001)
    module = BalancedMSE(SKEWED, noise, learn_noise=False)
    losses = module(candidates[:, None], torch.tensor(y).float()[None]) @ torch.tensor(posterior).float()
    best = float(candidates[losses.argmin()])
    mean = float(posterior @ y)
    assert best == pytest.approx(state, abs=0.005)
    assert state - mean > 0.05


def test_empty_bins_are_no_labels() -> None:
    labels = np.where(np.arange(100) < 50, 0.02, 0.0)
    assert loss(labels, 0.05, 0.2, 0.3) == pytest.approx(0.01 + loss(labels, 0.05, 0.2, 0.2))
    assert np.isfinite(loss(labels, 0.01, 0.99, 0.99))


def test_learnt_noise_goes_to_the_errors_own() -> None:
    """Where labels are equally frequent, the likelihood is highest at the spread of the errors."""
    module = BalancedMSE(UNIFORM, 0.3, learn_noise=True)
    errors = torch.randn(400, generator=torch.Generator().manual_seed(0)) * 0.06
    optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(120):
        optimiser.zero_grad()
        twice = 2 * module.noise.detach() ** 2
        (module(torch.full((400,), 0.5), 0.5 + errors).mean() / twice).backward()
        optimiser.step()
    assert module.noise.item() == pytest.approx(errors.std().item(), rel=0.02)
    assert [name for name, _ in module.named_parameters()] == ["log_noise"]


def test_what_is_made_from_the_data_is_no_weight() -> None:
    assert not BalancedMSE(SKEWED, 0.1, learn_noise=False).state_dict()
    assert not list(BalancedMSE(SKEWED, 0.1, learn_noise=False).parameters())


def test_noise_below_a_bin_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss.noise=0.005 is below the label histogram's bin of 0.01; set it"):
        BalancedMSE(SKEWED, 0.005, learn_noise=False)
    module = BalancedMSE(SKEWED, 0.02, learn_noise=True)
    with torch.no_grad():
        module.log_noise -= 9
    assert module.noise.item() == pytest.approx(0.01)
