"""What holds for every family that is shipped: its YAML builds a network that obeys the contract."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from mlssm import bundle
from mlssm.bundle import Bundle
from mlssm.config import ModelSettings
from mlssm.config.models import settings_part, typed_settings
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError
from mlssm.inference.restore import restore
from mlssm.models.reservoir import Reservoirs

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"
OURS = ("convlstm", "multirate_convlstm", "convgru", "lstm", "simvp", "reservoir")
EXTRAS = {"unet": "segmentation_models_pytorch"}
FAMILIES = (*OURS, "torchgeo_convlstm", *EXTRAS)
SPEC = FeatureSpec(("precipitation", "temperature"), ("slope",), (1.0, 10.0, 5.0), (1.0, 5.0, 3.0))
STEPS = 3


def _settings(name: str) -> ModelSettings:
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    values: Any = OmegaConf.to_container(
        OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), {"lag": STEPS}), resolve=True
    )
    return typed_settings(settings_part(values))


def _network(settings: ModelSettings) -> nn.Module:
    torch.manual_seed(0)
    return settings.build(SPEC, spread=False)


def _inputs(height: int, width: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    dynamic = torch.randn(batch, STEPS, 2, height, width, generator=generator)
    return dynamic, torch.randn(batch, 1, height, width, generator=generator)


def test_every_yaml_is_tried() -> None:
    plain = {path.stem for path in CONF.glob("*.yaml")}
    assert set(FAMILIES) <= plain


@pytest.mark.parametrize("name", FAMILIES)
def test_any_size_finite_and_the_same_again(name: str) -> None:
    network = _network(_settings(name)).eval()
    for size in ((1, 1), (3, 8), (21, 20)):
        first, second = (network(*_inputs(*size)) for _ in range(2))
        assert first.mean.shape == (2, 1, *size)
        assert first.mean.isfinite().all()
        assert torch.equal(first.mean, second.mean)
        assert first.spread is None


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_decides_and_it_learns(name: str) -> None:
    settings = _settings(name)

    def losses() -> list[float]:
        network, (dynamic, static) = _network(settings).train(), _inputs(20, 20, batch=4)
        target, found = torch.sigmoid(dynamic.mean(dim=(1, 2))[:, None] + static), []
        optimiser = torch.optim.AdamW(network.parameters(), lr=0.01)
        for _ in range(4):
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(network(dynamic, static).mean, target)
            loss.backward()
            assert all(weight.grad is not None for weight in network.parameters()), "DDP stops at one without"
            optimiser.step()
            found.append(loss.item())
        return found

    torch.manual_seed(0)
    first = losses()
    assert first == losses()
    assert first[-1] < first[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_bundle_holds_it(name: str, tmp_path: Path, watershed: Any) -> None:
    settings, (dynamic, static) = _settings(name), _inputs(9, 10)
    network = _network(settings).eval()
    assert all(isinstance(value, Tensor) for value in network.state_dict().values())
    config = watershed.config(f"model={name}", f"model.lag={STEPS}")
    place = {"crs": "EPSG:32611", "pixel_m": 90.0, "pass_is_evening": True}
    made = Bundle.of(config, SPEC, label_digest="1", cube_digest="2", **place)
    bundle.save(made, network.state_dict(), tmp_path / "model")
    restored = restore(tmp_path / "model")
    assert restored.bundle.model == settings
    assert torch.equal(restored.network(dynamic, static).mean, network(dynamic, static).mean)


@pytest.mark.parametrize("name", ["simvp", "unet"])
def test_another_window_is_refused(name: str) -> None:
    dynamic, static = _inputs(8, 8)
    with pytest.raises(ConfigError, match=r"has 2 steps and the network takes 3; set model\.steps"):
        _network(_settings(name))(dynamic[:, 1:], static)


def test_an_unknown_encoder_is_refused() -> None:
    settings = _settings("unet").model_copy(update={"encoder": "no_such"})
    with pytest.raises(ConfigError, match=r"model\.encoder=no_such"):
        settings.build(SPEC, spread=False)


@pytest.mark.parametrize("name", ["lstm", "reservoir"])
def test_a_pixels_family_sees_no_neighbour(name: str) -> None:
    network, (dynamic, static) = _network(_settings(name)).eval(), _inputs(4, 4)
    if isinstance(network, Reservoirs):
        nn.init.ones_(network.read_out.weight)
    changed = dynamic.clone()
    changed[..., 0, 0] += 1
    same = (network(dynamic, static).mean == network(changed, static).mean)[:, 0]
    assert not same[:, 0, 0].any()
    assert same.flatten(1)[:, 1:].all()


def test_reservoirs_equal_their_recurrence() -> None:
    network, dynamic = Reservoirs(2, 0, 3).double(), torch.randn(7, 2, dtype=torch.float64)
    share = torch.exp(-torch.exp(-network.log_days))
    state = torch.zeros(2, 3, dtype=torch.float64)
    for x in dynamic:
        state = share * state + (1 - share) * x[:, None]
    torch.testing.assert_close(torch.einsum("tc,tck->ck", dynamic, network.weights(7)), state, rtol=0, atol=1e-14)


def test_a_gru_of_one_pixel_is_torchs_own() -> None:
    """With r at 1 both forms of the candidate are the same; torch applies r after its matrix, the paper before."""
    settings = _settings("convgru").model_copy(update={"kernel": 1, "hidden": 3})
    network = _network(settings).double()  # type: ignore[attr-defined]
    cell = nn.GRUCell(3, 3).double()
    inputs, gates, state = network.input_convolution, network.gate_convolution, network.state_convolution
    nn.init.constant_(inputs.bias[3:6], 50)
    z, r = gates.weight[..., 0, 0].chunk(2)
    wz, wr, wg = inputs.weight[..., 0, 0].chunk(3)
    bz, br, bg = inputs.bias.chunk(3)
    cell.load_state_dict(
        {
            "weight_ih": torch.cat([wr, -wz, wg]),  # torch's z keeps the old state: 1 - z here
            "weight_hh": torch.cat([r, -z, state.weight[..., 0, 0]]),
            "bias_ih": torch.cat([br, -bz, bg]),
            "bias_hh": torch.zeros(9, dtype=torch.float64),
        }
    )
    x, h = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    found = network.step(x[..., None, None], h[..., None, None])[..., 0, 0]
    torch.testing.assert_close(found, cell(x, h), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "simvp"])
def test_no_input_beyond_the_reach_has_a_say(name: str) -> None:
    settings = _settings(name)
    reach = settings.reach(STEPS)
    assert reach is not None
    cell = settings.coarsest_cell
    side = (2 * reach + 3 * cell) // cell * cell + cell
    network, given = _network(settings).eval(), [each.requires_grad_() for each in _inputs(side, side, batch=1)]
    for values in network.parameters():
        nn.init.normal_(values, std=0.1)
    middle = side // 2
    network(*given).mean[0, 0, middle, middle].backward()
    felt = sum(each.grad.flatten(0, -3).abs().sum(dim=0) for each in given)
    rows, cols = felt.nonzero(as_tuple=True)
    farthest = max((rows - middle).abs().max(), (cols - middle).abs().max())
    assert farthest <= reach
    if cell == 1:
        assert farthest == reach
