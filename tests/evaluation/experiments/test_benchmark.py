from __future__ import annotations

import math

import pandas as pd
import pytest

from mlssm.evaluation.experiments.benchmark import COLUMNS, BenchmarkRun, benchmark, benchmark_table


def scores(network: str, r2: float) -> pd.DataFrame:
    rows = [
        (network, "network", "test", "natural", r2),
        (network, "network", "test", "balanced", 0.9),
        (network, "network", "val", "natural", 0.9),
        (f"{network}, no weather", "control", "test", "natural", 0.0),
        ("response, plain forecast", "control", "test", "natural", 0.4),
        ("response, nowcast", "control", "test", "natural", 0.5),
        ("ridge", "baseline", "test", "natural", 0.1),
    ]
    frame = pd.DataFrame(rows, columns=["model", "kind", "split", "distribution", "r2"])
    rest = {"n": 10, "r2_low": 0.0, "r2_high": 1.0, "rmse": 0.2, "skill": 0.1, "best_baseline": "ridge"}
    return frame.assign(**rest)


def run(network: str, r2: float, *, scale: float = 150, nowcast: bool = False, seeds: int = 1) -> BenchmarkRun:
    spread = pd.DataFrame({"model": [network], "split": "test", "distribution": "natural", "r2_sd": 0.03})
    return BenchmarkRun(
        scale, 2, "VV", nowcast, seeds, 100, 5.0, 60, scores(network, r2), spread if seeds > 1 else None
    )


def test_a_row_a_model_and_setting_with_baselines_once() -> None:
    table = benchmark_table([run("Response", 0.6, seeds=5), run("ConvLSTM", 0.2), run("ConvLSTM", 0.1, scale=0)])
    assert tuple(table.columns) == COLUMNS
    at_150 = table[table["scale_m"] == 150]
    assert at_150["model"].tolist() == [
        "Response",
        "response, nowcast",
        "response, plain forecast",
        "ConvLSTM",
        "ridge",
    ]
    assert at_150["inputs"].tolist() == ["forecast", "nowcast", "forecast", "forecast", "forecast"]
    assert table["scale_m"].tolist() == sorted(table["scale_m"])
    first = at_150.iloc[0]
    assert (first["seeds"], first["r2_sd"], first["parameters"]) == (5, 0.03, 100)
    assert math.isnan(at_150.iloc[-1]["parameters"])


def test_a_nowcast_is_named_apart() -> None:
    table = benchmark_table([run("Response, nowcast", 0.6, nowcast=True), run("Response", 0.5)])
    named = table.set_index("model")["inputs"]
    assert named["Response, nowcast"] == "nowcast"
    assert named["Response"] == "forecast"


def test_what_failed_is_told() -> None:
    found = benchmark([run("Response", 0.6)], ["run x is FAILED"])
    assert "Without scores: run x is FAILED." in found.summary
    assert "Response" in found.summary
    with pytest.raises(ValueError, match="no model of the benchmark has scores: run x"):
        benchmark([], ["run x"])
