import numpy as np

from mlssm.cube import pack
from mlssm.retrieval.stack import ExtentStack
from mlssm.retrieval.water import open_water


def _stack(sigma: list[list[float]]) -> ExtentStack:
    """One row of pixels; a line is a date."""
    values = np.array(sigma, np.float32)[:, None, :]
    return ExtentStack(pack(values, 0.01), np.ones(values.shape, np.uint16))


def test_water_is_where_the_mean_of_all_images_is_low() -> None:
    nan = float("nan")
    stack = _stack([[-22, -12, -10, nan, nan, -20], [-21, -24, nan, -23, nan, -20]])
    assert open_water(stack, -20).tolist() == [[True, False, False, True, False, True]]


def test_all_rows_of_a_tall_extent_are_looked_at() -> None:
    sigma = np.full((2, 600, 3), -10, np.float32)
    sigma[:, 599, 1] = -25
    stack = ExtentStack(pack(sigma, 0.01), np.ones(sigma.shape, np.uint16))
    assert np.argwhere(open_water(stack, -20)).tolist() == [[599, 1]]


def test_water_is_told_by_the_leading_polarisation_of_a_mix() -> None:
    """-18 dB in VV is land, though 0.7 VV + 0.3 VH is -20.4 dB with VH of -26."""
    vv, vh = (pack(np.full((3, 1, 2), level, np.float32), 0.01) for level in (-18, -26))
    vv[:, 0, 1] = -2100
    mixed = ExtentStack(vv, np.ones(vv.shape, np.uint16), 0.7, ((0.3, vh),))
    assert open_water(mixed, -20).tolist() == [[False, True]]
    assert mixed.backscatter(slice(None), slice(None), slice(None)).max() < -20
