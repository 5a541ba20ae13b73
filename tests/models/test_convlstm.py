import math

import pytest
import torch
from torch import Tensor, nn

from mlssm.models.convlstm import DEVIATIONS, ConvLSTM, ConvLSTMCell
from mlssm.models.prediction import Prediction

# the correctness test of Keras' ConvLSTM2D, last state, the same in both filters
GOLDEN = (
    (0.48694518, 0.50237733, 0.5461202, 0.5598283),
    (0.8661607, 0.86909103, 0.8774414, 0.8800861),
)


def _cell(*sizes: int, seed: int = 0, peepholes: bool = False) -> ConvLSTMCell:
    torch.manual_seed(seed)
    cell = ConvLSTMCell(*sizes, peepholes=peepholes)
    if cell.peepholes is not None:
        for weight in cell.peepholes.parameters():
            nn.init.normal_(weight)
    return cell.double()


def _network(
    static: int = 2, *, hidden: tuple[int, ...] = (4, 3), peepholes: bool = False, dropout: float = 0.0
) -> ConvLSTM:
    torch.manual_seed(1)
    return ConvLSTM(3, static, hidden, 3, peepholes, dropout)


def _inputs(steps: int = 4, size: tuple[int, int] = (5, 6), static: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    dynamic = torch.randn(2, steps, 3, *size, generator=generator)
    return dynamic, torch.randn(2, static, *size, generator=generator)


def test_cell_gives_the_golden_vector_of_keras() -> None:
    cell = ConvLSTMCell(5, 2, 3, padding=0)
    nn.init.constant_(cell.input_convolution.weight, 0.01)
    nn.init.constant_(cell.hidden_convolution.weight, 0.02)
    assert cell.input_convolution.bias is not None
    cell.input_convolution.bias.data = torch.tensor([0.03, 0.03, 1.0, 1.0, 0.03, 0.03, 0.03, 0.03])
    frames = (torch.arange(480.0).reshape(2, 3, 4, 4, 5) / 100).permute(1, 0, 4, 2, 3)
    last = cell.unroll(frames)[-1].hidden
    expected = torch.tensor(GOLDEN).reshape(2, 1, 2, 2).expand(2, 2, 2, 2)
    torch.testing.assert_close(last, expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize("kernel", [1, 3])
def test_cell_equals_lstm_at_one_pixel(kernel: int) -> None:
    cell = _cell(5, 4, kernel)
    lstm = nn.LSTM(5, 4).double()
    middle = kernel // 2
    assert cell.input_convolution.bias is not None
    weights = {
        "weight_ih_l0": cell.input_convolution.weight[:, :, middle, middle],
        "weight_hh_l0": cell.hidden_convolution.weight[:, :, middle, middle],
        "bias_ih_l0": cell.input_convolution.bias,
        "bias_hh_l0": torch.zeros(16),
    }
    lstm.load_state_dict(weights)
    sequence = torch.randn(7, 3, 5, dtype=torch.float64)
    states = torch.stack([state.hidden for state in cell.unroll(sequence[..., None, None])])[..., 0, 0]
    torch.testing.assert_close(states, lstm(sequence)[0], rtol=0, atol=1e-14)


def test_forget_bias_starts_at_one_and_the_others_at_zero() -> None:
    bias = ConvLSTMCell(5, 2, 3).input_convolution.bias
    assert bias is not None
    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def _reference(cell: ConvLSTMCell, frames: Tensor) -> list[Tensor]:
    """Equation 3 of Shi et al. 2015 line by line: each gate's convolution apart, the state zero in full size."""
    assert cell.peepholes is not None
    assert cell.input_convolution.bias is not None
    w_x, b = cell.input_convolution.weight.chunk(4), cell.input_convolution.bias.chunk(4)
    w_h = cell.hidden_convolution.weight.chunk(4)
    h = c = torch.zeros(frames.shape[1], cell.hidden_channels, *frames.shape[-2:], dtype=frames.dtype)
    states = []
    for x in frames:
        linear = [
            nn.functional.conv2d(x, w_x[k], b[k], padding=1) + nn.functional.conv2d(h, w_h[k], padding=1)
            for k in range(4)
        ]
        i = torch.sigmoid(linear[0] + cell.peepholes.input * c)
        f = torch.sigmoid(linear[1] + cell.peepholes.forget * c)
        c = f * c + i * torch.tanh(linear[2])
        o = torch.sigmoid(linear[3] + cell.peepholes.output * c)
        h = o * torch.tanh(c)
        states.append(h)
    return states


def test_peepholes_equal_the_equations_step_by_step() -> None:
    cell = _cell(3, 4, 3, peepholes=True)
    frames = torch.randn(5, 2, 3, 6, 7, dtype=torch.float64)
    found = [state.hidden for state in cell.unroll(frames)]
    torch.testing.assert_close(found, _reference(cell, frames), rtol=0, atol=1e-14)


def test_zero_peepholes_change_nothing() -> None:
    plain, peeping = _network(), _network(peepholes=True)
    peeping.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(plain(*_inputs()).mean, peeping(*_inputs()).mean)


@pytest.mark.parametrize("peepholes", [False, True])
def test_gradients_of_inputs_and_weights(peepholes: bool) -> None:
    network = ConvLSTM(1, 1, (2, 1), 3, peepholes, 0.0).double()
    names = [name for name, _ in network.named_parameters()]
    generator = torch.Generator().manual_seed(3)

    def like(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)

    def run(dynamic: Tensor, static: Tensor, *weights: Tensor) -> Tensor:
        found = torch.func.functional_call(network, dict(zip(names, weights, strict=True)), (dynamic, static))
        assert isinstance(found, Prediction)
        return found.mean

    weights = [like(tuple(weight.shape)) for weight in network.parameters()]
    assert torch.autograd.gradcheck(run, (like((1, 3, 1, 3, 2)), like((1, 1, 3, 2)), *weights), fast_mode=True)


@pytest.mark.parametrize("step", range(4))
def test_a_step_changes_no_state_before_it(step: int) -> None:
    network, (dynamic, static) = _network(), _inputs()
    changed = dynamic.clone()
    changed[:, step] += 1
    before, after = network.states(dynamic, static), network.states(changed, static)
    assert torch.equal(before[:, :step], after[:, :step])
    assert all(not torch.equal(before[:, t], after[:, t]) for t in range(step, 4))


@pytest.mark.parametrize("peepholes", [False, True])
def test_static_once_equals_static_at_every_step(peepholes: bool) -> None:
    network, (dynamic, static) = _network(peepholes=peepholes).double(), (x.double() for x in _inputs())
    whole = ConvLSTM(5, 0, (4, 3), 3, peepholes, 0.0).double()
    weights = network.state_dict()
    name = "cells.0.input_convolution.weight"
    weights[name] = torch.cat([weights[name], weights.pop("static_convolution.weight")], dim=1)
    whole.load_state_dict(weights)
    joined = torch.cat([dynamic, static[:, None].expand(-1, 4, -1, -1, -1)], dim=2)
    torch.testing.assert_close(network(dynamic, static).mean, whole(joined, static[:, :0]).mean, rtol=0, atol=1e-14)


def test_the_static_convolution_runs_once_a_sample() -> None:
    network, calls = _network(), []
    assert network.static_convolution is not None
    network.static_convolution.register_forward_hook(lambda *_: calls.append(1))
    network(*_inputs(steps=6))
    assert len(calls) == 1


@pytest.mark.parametrize(("steps", "size"), [(1, (1, 1)), (2, (3, 8)), (7, (33, 20))])
def test_any_size_and_length(steps: int, size: tuple[int, int]) -> None:
    prediction = _network()(*_inputs(steps, size)).mean
    assert prediction.shape == (2, 1, *size)
    assert ((prediction > 0) & (prediction < 1)).all()


def test_without_static_features() -> None:
    dynamic, static = _inputs(static=0)
    assert _network(static=0)(dynamic, static).mean.shape == (2, 1, 5, 6)


def test_far_pixels_are_out_of_reach_and_near_ones_are_not() -> None:
    # one layer and two steps reach 2 pixels: the input's 3 x 3, then the state's
    network = _network(static=0, hidden=(4,))
    dynamic, static = _inputs(2, (1, 9), static=0)
    changed = dynamic.clone()
    changed[:, 0, :, :, 0] += 1
    same = (network(dynamic, static).mean == network(changed, static).mean).all(dim=0).flatten()
    assert same.tolist() == [False] * 3 + [True] * 6


@pytest.mark.parametrize("steps", [1, 3])
def test_every_parameter_gets_a_gradient(steps: int) -> None:
    network = _network(peepholes=True)
    network(*_inputs(steps)).mean.sum().backward()
    # DDP stops where a parameter took no part; with one step the recurrent ones take part with a gradient of 0
    assert all(weight.grad is not None for weight in network.parameters())
    recurrent = [weight.grad for name, weight in network.named_parameters() if "hidden_convolution" in name]
    assert len(recurrent) == 2
    assert all(bool(gradient.any()) == (steps > 1) for gradient in recurrent if gradient is not None)


def test_a_seed_decides_weights_and_dropout() -> None:
    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return ConvLSTM(3, 2, (4, 3), 3, False, 0.5).states(*_inputs())

    assert torch.equal(run(5), run(5))
    assert not torch.equal(run(5), run(6))


def test_dropout_acts_while_training_only_and_on_whole_channels() -> None:
    network, (dynamic, static) = _network(hidden=(8,), dropout=0.5), _inputs()
    seen: list[Tensor] = []
    network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(dynamic, static)
    network.eval()(dynamic, static)
    trained, evaluated = seen
    dropped = (trained == 0).flatten(2)
    assert dropped.any()
    assert torch.equal(dropped.any(-1), dropped.all(-1))
    torch.testing.assert_close(trained, torch.where(trained == 0, 0.0, 2 * evaluated))


def test_dropout_acts_between_layers() -> None:
    network, (dynamic, static) = _network(hidden=(4, 3), dropout=0.5), _inputs()
    assert not torch.equal(network.states(dynamic, static), network.eval().states(dynamic, static))


def test_one_pixel_and_one_step_by_hand() -> None:
    network = ConvLSTM(1, 0, (1,), 1, False, 0.0)
    for weight in network.parameters():
        nn.init.constant_(weight, 0.5)
    x = 2.0
    gate = 1 / (1 + math.exp(-(0.5 * x + 0.5)))
    hidden = gate * math.tanh(gate * math.tanh(0.5 * x + 0.5))
    expected = 1 / (1 + math.exp(-(0.5 * hidden + 0.5)))
    prediction = network(torch.full((1, 1, 1, 1, 1), x), torch.empty(1, 0, 1, 1)).mean
    assert prediction.item() == pytest.approx(expected, abs=1e-7)


def test_input_dropout_drops_a_variable_over_the_whole_patch_and_window() -> None:
    torch.manual_seed(0)
    network = ConvLSTM(4, 0, [3], 3, peepholes=False, dropout=0.0, input_dropout=0.5).train()
    seen: list[torch.Tensor] = []
    network.input_dropout.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network(torch.ones(6, 5, 4, 8, 8), torch.zeros(6, 0, 8, 8))
    (dropped,) = seen  # [B, T, variable, H, W]
    of_variable = dropped.transpose(1, 2).flatten(2)
    assert torch.equal(of_variable, of_variable[:, :, :1].expand_as(of_variable))
    assert set(of_variable.unique().tolist()) == {0.0, 2.0}
    dynamic = torch.randn(2, 5, 4, 8, 8)
    network.eval()
    without = ConvLSTM(4, 0, [3], 3, peepholes=False, dropout=0.0).eval()
    without.load_state_dict(network.state_dict())
    static = torch.zeros(2, 0, 8, 8)
    assert torch.equal(network(dynamic, static).mean, without(dynamic, static).mean)


def test_the_variance_head_leaves_the_map_as_it_is() -> None:
    torch.manual_seed(1)
    network = ConvLSTM(3, 2, (4, 3), 3, False, 0.0, spread=True).eval()
    ssm, spread = network(*_inputs())
    # the seed's weights are those of a network without it: the second head is drawn last
    assert torch.equal(ssm, _network().eval()(*_inputs()).mean)
    assert spread is not None
    assert spread.shape == ssm.shape
    assert (spread > 0).all()


def test_the_variance_stays_in_its_range_and_keeps_a_gradient() -> None:
    network, found = ConvLSTM(3, 2, (4,), 3, False, 0.0, spread=True), []
    assert network.variance_head is not None
    nn.init.zeros_(network.variance_head.weight)
    for bias in (-8.0, 0.0, 8.0):
        nn.init.constant_(network.variance_head.bias, bias)
        network.zero_grad()
        spread = network(*_inputs()).spread
        assert spread is not None
        (2 * spread.log()).sum().backward()
        assert network.variance_head.bias.grad.abs() > 0.1
        found.append(spread.mean().item())
    assert found == pytest.approx([DEVIATIONS[0], math.sqrt(DEVIATIONS[0] * DEVIATIONS[1]), DEVIATIONS[1]], rel=0.01)
    assert found == sorted(found)


def test_without_a_variance_head_there_is_none() -> None:
    assert _network()(*_inputs()).spread is None
    assert not any("variance" in name for name in _network().state_dict())
