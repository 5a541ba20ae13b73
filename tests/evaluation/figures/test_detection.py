import numpy as np
import pandas as pd

from mlssm.evaluation.figures import detection

NAN = float("nan")


def test_points_are_success_ratio_and_detection_with_their_thresholds() -> None:
    frame = pd.DataFrame(
        {"model": ["net"] * 3, "threshold": [0.8, 0.5, 0.6], "pod": [0.4, 0.9, NAN], "far": [0.3, 0.1, 0.2]}
    )
    axes = detection(frame, "test").axes[0]
    line = next(line for line in axes.lines if line.get_label() == "net")
    np.testing.assert_allclose(line.get_xdata(), [0.9, 0.8, 0.7])
    np.testing.assert_allclose(line.get_ydata(), [0.9, NAN, 0.4])
    assert [text.get_text() for text in axes.texts if text.get_text().startswith("0.")] == ["0.5", "0.8"]


def test_curves_are_of_equal_csi() -> None:
    frame = pd.DataFrame({"model": ["net"], "threshold": [0.5], "pod": [0.5], "far": [0.5]})
    contours = next(found for found in detection(frame, "test").axes[0].collections if hasattr(found, "levels"))
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        success, pod = path.vertices.T
        # of 1 wet label: pod hits, 1 - pod misses, and pod (1 / success - 1) false alarms
        np.testing.assert_allclose(pod / (1 + pod * (1 / success - 1)), level, atol=0.01)


def test_nothing_to_detect_is_said() -> None:
    frame = pd.DataFrame({"model": ["net"], "threshold": [0.8], "pod": [NAN], "far": [NAN]})
    assert "no wet state to detect, or no alarm" in [text.get_text() for text in detection(frame, "t").axes[0].texts]
