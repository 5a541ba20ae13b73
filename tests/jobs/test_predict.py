import numpy as np
import pytest

from mlssm.grid import Window
from mlssm.jobs.predict import onto_grid


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        (Window(0, 0, 6, 4), Window(0, 0, 6, 4)),
        (Window(0, 0, 5, 3), Window(0, 0, 5, 3)),  # the last blocks reach past the area
        (Window(1, 1, 5, 3), Window(1, 1, 5, 3)),  # and so do the first
        (Window(0, 0, 9, 9), Window(0, 0, 6, 4)),  # pixels without a block stay without a value
    ],
)
def test_each_block_stands_on_its_pixels_inside_the_area(area: Window, expected: Window) -> None:
    ssm = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, np.nan]], np.float32)
    window, values = onto_grid(ssm, Window(0, 0, 3, 2), 2, area)
    assert window == expected
    assert values.dtype == np.float32
    assert values.shape == window.shape
    for row in range(window.height):
        for col in range(window.width):
            block = ssm[(window.row + row) // 2, (window.col + col) // 2]
            np.testing.assert_equal(values[row, col], block)


def test_blocks_are_counted_from_the_grids_corner() -> None:
    ssm = np.array([[0.7]], np.float32)
    window, values = onto_grid(ssm, Window(2, 5, 1, 1), 3, Window(5, 10, 20, 20))
    assert window == Window(6, 15, 3, 3)
    assert (values == np.float32(0.7)).all()


def test_single_pixels_stay_as_they_are() -> None:
    ssm = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    window, values = onto_grid(ssm, Window(10, 20, 4, 5), 1, Window(10, 20, 4, 5))
    assert window == Window(10, 20, 4, 5)
    np.testing.assert_array_equal(values, ssm)
