import numpy as np
import pytest
import torch

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.scores.cells import LabelledPixels, Layout

LAYOUT = Layout(((5, 7), (4, 3)), 3)
BLOCKS = [
    np.array([[0, 0, 0, 1, 1, 1, 2]] * 3 + [[3, 3, 3, 4, 4, 4, 5]] * 2),
    np.array([[6, 6, 6]] * 3 + [[7, 7, 7]]),
]


def test_blocks_go_on_from_extent_to_extent() -> None:
    assert LAYOUT.blocks.tolist() == [0] * 6 + [1] * 2
    assert LAYOUT.pixels == 5 * 7 + 4 * 3


@pytest.mark.parametrize("extent", [0, 1])
def test_every_pixel_has_its_block_and_a_number_of_its_own(extent: int) -> None:
    height, width = LAYOUT.shapes[extent]
    block, pixel = LAYOUT.numbers([PatchPlace(extent, 0, slice(0, height), slice(0, width))])
    np.testing.assert_array_equal(block[0, 0], BLOCKS[extent])
    start = 35 * extent
    np.testing.assert_array_equal(pixel[0, 0].flatten(), np.arange(start, start + height * width))


def test_a_patch_that_reaches_past_its_extent_keeps_to_it() -> None:
    block, pixel = LAYOUT.numbers(
        [PatchPlace(0, 0, slice(3, 7), slice(5, 9)), PatchPlace(1, 0, slice(0, 4), slice(0, 4))]
    )
    assert block.shape == pixel.shape == (2, 1, 4, 4)
    assert block[0, 0].tolist() == [[4, 5, 5, 5]] * 4
    assert pixel[0, 0, 0].tolist() == [26, 27, 27, 27]
    assert pixel[0, 0, 3].tolist() == [33, 34, 34, 34]
    assert block[1, 0, :, 3].tolist() == [6, 6, 6, 7]


def test_maps_put_each_pixel_back() -> None:
    first, second = LAYOUT.maps(np.arange(47.0))
    assert first.shape == (5, 7)
    assert second.shape == (4, 3)
    assert first[1, 0] == 7
    assert second[0, 0] == 35


@pytest.mark.parametrize(("block_m", "side"), [(1500, 17), (10, 1), (134, 1), (136, 2)])
def test_a_block_is_a_whole_number_of_pixels(block_m: float, side: int) -> None:
    assert Layout.of_metres([(20, 20)], block_m, 90).side == side


def test_labelled_pixels_stand_in_one_order() -> None:
    places = [PatchPlace(0, 3, slice(0, 2), slice(0, 2)), PatchPlace(1, 5, slice(2, 4), slice(1, 3))]
    valid = torch.tensor([[[[True, False], [True, True]]], [[[False, True], [False, False]]]])
    target = torch.arange(8.0).reshape(2, 1, 2, 2)
    empty = torch.zeros(2, 1)
    batch = Batch(empty, empty, target, valid, target / 10, torch.tensor([1, 4]), torch.ones(2), target / 9, target)
    pixels = LabelledPixels.of(batch, places, LAYOUT)
    assert pixels.target.tolist() == [0, 2, 3, 5]
    assert pixels.standard_error.tolist() == pytest.approx([0, 0.2, 0.3, 0.5])
    assert pixels.attainable.tolist() == pytest.approx([0, 2 / 9, 3 / 9, 5 / 9])
    assert pixels.date.tolist() == [1, 1, 1, 4]
    assert pixels.block.tolist() == [0, 0, 0, 6]
    assert pixels.pixel.tolist() == [0, 7, 8, 35 + 2 * 3 + 2]
    assert pixels.select(2 * target).tolist() == [0, 4, 6, 10]
    assert pixels.target.dtype == pixels.select(target).dtype == torch.float64
