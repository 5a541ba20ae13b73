"""How far networks look: what they state against what their gradients show."""

from typing import Any

import pytest
import torch
from torch import nn

from mlssm.models.reach import probed_reach


@pytest.mark.parametrize(("kernel", "dilation", "reach"), [(3, 1, 1), (5, 1, 2), (3, 4, 4)])
def test_one_convolution(kernel: int, dilation: int, reach: int) -> None:
    assert probed_reach(nn.Conv2d(1, 2, kernel, padding="same", dilation=dilation), 1) == reach


def test_a_coarse_layer_counts_from_the_worst_place_in_a_cell() -> None:
    layers = nn.Sequential(nn.MaxPool2d(4), nn.Conv2d(1, 1, 3, padding=1), nn.Upsample(scale_factor=4))
    # the last pixel of a cell is seen by the first of the cell before, and the first by the last of the cell after
    assert probed_reach(layers, 4) == 7


def test_who_looks_at_the_whole_map_has_no_bound() -> None:
    class Mean(nn.Module):
        def forward(self, given: Any) -> Any:
            return given + given.mean(dim=(-2, -1), keepdim=True)

    assert probed_reach(Mean(), 1) is None


def test_weights_that_cancel_hide_nothing() -> None:
    convolution = nn.Conv2d(1, 1, 5, padding="same")
    nn.init.zeros_(convolution.weight)
    assert probed_reach(convolution, 1) == 2


def test_the_random_stream_stays() -> None:
    pytest.importorskip("segmentation_models_pytorch")
    from mlssm.models.unet import _reach

    _reach.cache_clear()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert _reach("tu-resnet18", 3)
    assert torch.equal(torch.rand(1), expected)
