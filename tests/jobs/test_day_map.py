import numpy as np

from mlssm.inference.flags import FORECAST, MISSING, OUTSIDE, WATER, DayFlags, flags
from mlssm.jobs.day_map import unknown_to_training

NAN = np.float32(np.nan)


def test_unknown_is_what_had_no_label_or_no_input_or_other_inputs() -> None:
    bands = {
        "ssm": np.array([[0.2, 0.3, 0.4, 0.5, NAN]], np.float32),
        "labelled": np.array([[1, 0, 1, 1, NAN]], np.float32),
        "flags": np.array([[FORECAST, 0, OUTSIDE, MISSING, WATER + MISSING]], np.float32),
    }
    np.testing.assert_array_equal(unknown_to_training(bands), [[0, 1, 1, 1, NAN]])
    del bands["labelled"]  # a model that does not know
    np.testing.assert_array_equal(unknown_to_training(bands), [[0, 0, 1, 1, NAN]])


def test_an_input_that_is_filled_is_flagged_like_one_that_masks() -> None:
    ssm = np.array([[0.2, 0.3, NAN]], np.float32)
    said = {MISSING: np.array([[False, True, False]])}
    assert flags(DayFlags(False, False), {}, ssm, said).tolist() == [[0, MISSING, MISSING]]
