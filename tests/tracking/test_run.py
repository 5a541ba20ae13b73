import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from mlssm.errors import RunError
from mlssm.markdown import markdown
from mlssm.signals import Stopped
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.record import CUT_MARK
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store


class Told(Stopped):
    """A signal's interrupt, with the words of the test."""

    def __init__(self, words: str) -> None:
        KeyboardInterrupt.__init__(self, words)


def artifact(run: TrackedRun, path: str) -> str:
    return Path(run.store.client.download_artifacts(run.run_id, path)).read_text()


def end(run: TrackedRun):
    return run.store.client.get_run(run.run_id)


def test_a_run_records_what_made_it(store):
    config = {"model": {"lag": 3}, "long": "x" * 7000} | {f"key{number}": number for number in range(250)}
    with tracked_run(store, "lag=3 natural", config, {"cube": "c0ffee", "labels": "1ab"}) as run:
        assert end(run).info.status == "RUNNING"
    done = end(run)
    assert (done.info.status, done.info.run_name) == ("FINISHED", "lag=3 natural")
    assert done.data.params.keys() == {"model.lag", "long"} | {f"key{number}" for number in range(250)}
    assert done.data.params["model.lag"] == "3"
    assert done.data.params["long"].endswith(CUT_MARK)
    assert yaml.safe_load(artifact(run, "config.yaml")) == config
    assert done.data.tags["digest.cube"] == "c0ffee"
    assert done.data.tags["git.revision"]
    assert done.data.tags["mlssm.kind"] == "training"
    assert "mlflow.parentRunId" not in done.data.tags
    assert "torch==" in artifact(run, "requirements.txt")


def test_the_git_state_is_that_of_the_package(store):
    with tracked_run(store, "a", {}, {}) as run:
        pass
    root = Path(__file__).parent
    head = subprocess.run(
        ["git", "rev-parse", "-q", "--verify", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    assert end(run).data.tags["git.revision"] == (head.stdout.strip() or "none")


def test_a_child_knows_its_parent(store):
    with tracked_run(store, "parent", {}, {}) as parent, tracked_run(store, "child", {}, {}, parent.run_id) as child:
        pass
    assert end(child).data.tags["mlflow.parentRunId"] == parent.run_id


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RunError("no patch left"), "FAILED"),
        (ZeroDivisionError("no patch left"), "FAILED"),
        (SystemExit("no patch left"), "FAILED"),
        (KeyboardInterrupt("no patch left"), "KILLED"),
        (Told("no patch left"), "KILLED"),
    ],
)
def test_an_exception_sets_the_status_keeps_the_traceback_and_goes_on(store, error, status):
    with pytest.raises(type(error), match="no patch left"), tracked_run(store, "a", {}, {}) as run:
        raise error
    assert end(run).info.status == status
    text = artifact(run, "error.txt")
    assert "raise error" in text
    assert f"{type(error).__name__}: no patch left" in text


def leave_as_lightning_does() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


def test_an_interrupt_that_lightning_turned_into_an_exit_is_one(store):
    with pytest.raises(SystemExit), tracked_run(store, "a", {}, {}) as run:
        leave_as_lightning_does()
    assert end(run).info.status == "KILLED"


def test_a_configuration_that_cannot_be_recorded_fails_the_run(store):
    with pytest.raises(yaml.YAMLError), tracked_run(store, "a", {"root": Path("x")}, {}):
        raise AssertionError("the block is not reached")
    assert store.client.search_runs([store.experiment_id])[0].info.status == "FAILED"


def test_the_error_of_the_training_wins_over_a_store_that_is_gone(store, caplog):
    def lose_the_store_and_fail(run: TrackedRun) -> None:
        store.client.delete_run(run.run_id)  # from now on MLflow refuses to write to it
        raise RunError("no patch left")

    with pytest.raises(RunError, match="no patch left"), tracked_run(store, "a", {}, {}) as run:
        lose_the_store_and_fail(run)
    assert f"run {run.run_id} ended as FAILED, which could not be recorded" in caplog.text


def test_metrics_by_step_and_final_ones_stay_the_last(store):
    with tracked_run(store, "a", {}, {}) as run:
        for step, value in ((10, 0.5), (20, 0.2), (30, 0.4)):
            run.log_metrics({"val/natural/rmse": value, "loss": torch.tensor(value)}, step)
        run.log_metrics({"val/natural/rmse": 0.2, "test/natural/rmse": 0.25})
    metrics = end(run).data.metrics
    assert metrics["val/natural/rmse"] == 0.2  # MLflow alone would answer 0.4, the value of the highest step
    assert metrics["test/natural/rmse"] == 0.25
    assert metrics["loss"] == pytest.approx(0.4)
    history = store.client.get_metric_history(run.run_id, "val/natural/rmse")
    assert sorted((item.step, item.value) for item in history) == [(10, 0.5), (20, 0.2), (30, 0.2), (30, 0.4)]


def test_values_that_are_not_finite_are_left_out_and_named(store):
    with tracked_run(store, "a", {}, {}) as run:
        run.log_metrics({"val/natural/r2": math.nan, "val/natural/n": 7.0}, 1)
        run.log_metrics({"test/natural/corr": math.inf})
    done = end(run)
    assert done.data.metrics == {"val/natural/n": 7.0}
    assert done.data.tags["metrics.not_finite"] == "test/natural/corr, val/natural/r2"


def test_more_metrics_and_tags_than_one_call_may_hold(store):
    with tracked_run(store, "a", {}, {}) as run:
        run.log_metrics({f"m{number}": float(number) for number in range(1500)}, 0)
        run.set_tags({f"t{number}": number for number in range(150)})
    done = end(run)
    assert len(done.data.metrics) == 1500
    assert done.data.tags["t149"] == "149"


def test_artifacts(store, tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1], [0.1, 0.4])
    (tmp_path / "index.parquet").write_bytes(b"PAR1")
    frame = pd.DataFrame({"split": ["test", "a|b"], "r2": [0.123456, float("nan")], "n": [10, 2]})
    with tracked_run(store, "a", {}, {}) as run:
        run.log_figure(figure, "figures/loss.png")
        run.log_file(tmp_path / "index.parquet", "patches")
        run.log_table(frame, "tables/scores")
    assert Path(store.client.download_artifacts(run.run_id, "figures/loss.png")).read_bytes()[:4] == b"\x89PNG"
    assert artifact(run, "patches/index.parquet") == "PAR1"
    assert pd.read_csv(store.client.download_artifacts(run.run_id, "tables/scores.csv")).equals(frame)
    assert artifact(run, "tables/scores.md") == markdown(frame)


def test_the_ui_command_is_relative_where_the_store_is_below_the_working_directory(store, tmp_path, monkeypatch):
    run = TrackedRun(store, "abc")
    monkeypatch.chdir(tmp_path)
    assert run.ui_command == "mlflow ui --backend-store-uri 'sqlite:///ml runs/mlflow.db'"
    monkeypatch.chdir("/")
    monkeypatch.chdir(tmp_path / "ml runs")
    assert run.ui_command == "mlflow ui --backend-store-uri sqlite:///mlflow.db"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run.ui_command == f"mlflow ui --backend-store-uri 'sqlite:///{tmp_path}/ml runs/mlflow.db'"
    served = Store(store.client, "http://127.0.0.1:5000/", "1", tmp_path)
    assert (
        TrackedRun(served, "abc").ui_command == "python -m webbrowser 'http://127.0.0.1:5000/#/experiments/1/runs/abc'"
    )
