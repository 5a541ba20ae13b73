"""Scores of runs whose every number tells where it belongs."""

from collections.abc import Callable

import pandas as pd
import pytest

Scores = Callable[..., pd.DataFrame]
NUMBERS = ("n", "r2", "r2_cap", "rmse", "mae", "corr", "bias")


@pytest.fixture
def make_scores() -> Scores:
    """A run's scores from `(model, split, distribution, r2, rmse)`; what is not given is 0.

    ConvLSTM is the network, a name with a comma a control, and any other a baseline.
    """

    def kind(model: str) -> str:
        return "network" if model == "ConvLSTM" else "control" if "," in model else "baseline"

    def make(*rows: tuple[str, str, str, float, float], **more: list[float]) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["model", "split", "distribution", "r2", "rmse"])
        frame["kind"] = frame["model"].map(kind)
        return frame.assign(**{name: 0.0 for name in NUMBERS if name not in frame}, **more)

    return make
