import logging
import multiprocessing
import os
from pathlib import Path

import pytest
from mlflow.entities import Dataset, DatasetInput

from mlssm.config import TrackingConfig
from mlssm.errors import RunError
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.opening import open_store, tracking_uri
from mlssm.tracking.sqlite import sqlite_path


def tracking(folder: Path, uri: str | None = None) -> TrackingConfig:
    return TrackingConfig(experiment="mlssm", folder=folder, uri=uri, run_name=None)


def open_and_track(folder: Path, number: int) -> None:
    """What each of the many processes does: all exits are at the parent's `exitcode`."""
    store = open_store(tracking(folder))
    config = {"number": number, "tracking": {"system_metrics_s": 0.2}}
    with tracked_run(store, f"run {number}", config, {}, folder=folder / f"job {number}") as run:
        for step in range(8):
            run.log_metrics({"val/natural/rmse": 0.1, "train/loss": 0.2}, step)
            run.log_text(f"step {step}", f"notes/{step}.txt")
            run.log_inputs([DatasetInput(Dataset("area", f"digest {step}", "local", "{}"))])  # the same in all


def test_uri_is_the_configured_one_then_the_environments_then_sqlite(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(tracking(Path("mlruns"))) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert tracking_uri(tracking(Path("mlruns"))) == "http://tracking.example:5000"
    assert tracking_uri(tracking(Path("mlruns"), "sqlite:///here/db")) == f"sqlite:///{tmp_path}/here/db"


def test_sqlite_path():
    assert sqlite_path("http://a") is None
    assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")
    for uri in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        with pytest.raises(RunError, match="names no file"):
            sqlite_path(uri)


def test_artifacts_lie_beside_the_database(config, store, tmp_path):
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.name == "mlssm"
    with tracked_run(store, "a", {}, {}) as run:
        run.log_text("soil", "notes/a.txt")
    assert (config.folder / "artifacts" / run.run_id / "artifacts" / "notes" / "a.txt").read_text() == "soil"


def test_opening_again_finds_the_same_experiment(config, store):
    assert open_store(config).experiment_id == store.experiment_id


@pytest.mark.exhaustive
def test_six_processes_start_at_once_on_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store"])  # so that they do start at once
    workers = [context.Process(target=open_and_track, args=(tmp_path / "mlruns", number)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert [worker.exitcode for worker in workers] == [0] * 6
    store = open_store(tracking(tmp_path / "mlruns"))
    runs = store.client.search_runs([store.experiment_id])
    assert sorted(run.info.run_name for run in runs) == [f"run {number}" for number in range(6)]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        assert len(store.client.get_metric_history(run.info.run_id, "train/loss")) == 8
        assert len(store.client.list_artifacts(run.info.run_id, "notes")) == 8
        assert len(run.inputs.dataset_inputs) == 8
    assert not (tmp_path / "mlruns" / "unsent").exists()
    assert len(store.client.search_experiments()) == 2  # MLflow's own "Default" and ours


def test_a_fresh_store_opens_without_chatter_and_without_telemetry(first_opening):
    done, _ = first_opening
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9",
        "postgresql://who:secret@127.0.0.1:9/mlflow",
        "nothing://here",
        "file:///tmp/mlruns",
        "sqlite:////proc/nowhere/mlflow.db",
    ],
)
def test_a_store_that_cannot_be_reached_is_named(tmp_path, uri):
    with pytest.raises(RunError) as raised:
        open_store(tracking(tmp_path, uri))
    assert uri.replace("who:secret", "***") in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database, and long enough to have a header" * 10)
    with pytest.raises(RunError, match=r"mlflow\.db cannot be used: .*not a database"):
        open_store(tracking(tmp_path))


def test_a_deleted_experiment_is_refused(config, store):
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(RunError, match="'mlssm' is deleted"):
        open_store(config)


def test_the_environment_is_as_before_first_contact(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "33")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with pytest.raises(RunError):
        open_store(tracking(tmp_path, "http://127.0.0.1:9"))
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "33"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
    assert logging.getLogger("alembic").level == logging.WARNING
