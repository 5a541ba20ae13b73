import math
import os
import time
from pathlib import Path

import pytest
import yaml
from tests.forked import begun

from mlssm.errors import Pruned, RunError
from mlssm.tracking.lifecycle import mark_dead, tracked_run
from mlssm.tracking.opening import open_store
from mlssm.tracking.store import Store
from mlssm.tracking.writer import is_alive, only_writer, writer_tags

CONFIG = {"model": {"lag": 3}, "resume": None}


def text(store: Store, run_id: str, path: str) -> str:
    return Path(store.client.download_artifacts(run_id, path)).read_text()


def epochs(run, first: int, last: int) -> None:
    for number in range(first, last):
        run.log_metrics({"val/natural/rmse": math.exp(-number / 3), "epoch": number, "nan": math.nan}, 10 * number)
        run.log_metrics({"train/loss": math.exp(-number / 3), "epoch": number}, 10 * number)


def finals(run) -> None:
    run.log_metrics({"val/natural/rmse": math.exp(-1 / 3), "test/natural/rmse": 0.5})


def history(store: Store, run_id: str) -> dict[str, list[tuple[int, float]]]:
    names = store.client.get_run(run_id).data.metrics
    found = {name: store.client.get_metric_history(run_id, name) for name in names}
    return {name: [(item.step, item.value) for item in items] for name, items in found.items()}


def train_until_killed(config, folder: Path) -> None:
    with tracked_run(open_store(config), "killed", CONFIG, {"cube": "a"}, folder=folder) as run:
        epochs(run, 0, 5)
        print("first line")
        (folder / "run").write_text(run.run_id)
        time.sleep(600)


def test_a_killed_run_that_repeats_epochs_and_goes_on_is_as_one_never_killed(config, tmp_path):
    process = begun(train_until_killed, config, tmp_path)
    store = open_store(config)  # each process has connections of its own
    deadline = time.monotonic() + 90
    while not (tmp_path / "run").exists() or not (run_id := (tmp_path / "run").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    tags = store.client.get_run(run_id).data.tags
    assert is_alive(tags) is True
    with pytest.raises(RunError, match=f"run {run_id} is being written by process {process.pid}"):
        tracked_run(store, "killed", CONFIG, {}, resume=run_id).__enter__()
    process.kill()
    process.join()
    assert is_alive(tags) is False
    with tracked_run(store, "x", CONFIG, {"cube": "a"}, folder=tmp_path, resume=run_id) as run:
        epochs(run, 3, 8)  # from a checkpoint after the third
        finals(run)
    with tracked_run(store, "whole", CONFIG, {"cube": "a"}) as whole:
        epochs(whole, 0, 8)
        finals(whole)
    assert run.run_id == run_id
    assert history(store, run_id) == history(store, whole.run_id)
    done = store.client.get_run(run_id)
    assert (done.info.status, done.info.run_name) == ("FINISHED", "killed")
    assert done.data.metrics == store.client.get_run(whole.run_id).data.metrics
    assert done.data.metrics["val/natural/rmse"] == math.exp(-1 / 3)
    assert (done.data.tags["mlssm.pid"], done.data.tags["mlssm.resumed"]) == (str(os.getpid()), "1")
    assert done.data.tags["metrics.not_finite"] == "nan"
    assert text(store, run_id, "console.log").startswith("first line\n--- goes on")


def test_a_run_resumed_after_its_end_repeats_nothing_and_what_differs_is_logged(store, tmp_path):
    with tracked_run(store, "a", CONFIG, {}, folder=tmp_path) as run:
        epochs(run, 0, 3)
        finals(run)
    before = history(store, run.run_id)
    with tracked_run(store, "a", CONFIG, {}, folder=tmp_path, resume=run.run_id) as again:
        epochs(again, 1, 3)
        finals(again)
        assert store.client.get_run(run.run_id).info.status == "RUNNING"
    assert history(store, run.run_id) == before
    with tracked_run(store, "a", CONFIG, {}, folder=tmp_path, resume=run.run_id) as again:
        again.log_metrics({"train/loss": 7.0}, 20)
    assert history(store, run.run_id)["train/loss"] == [*before["train/loss"], (20, 7.0)]
    assert store.client.get_run(run.run_id).data.tags["mlssm.resumed"] == "2"


def test_what_differs_from_the_record_is_recorded_beside_it(store, tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        tracked_run(store, "a", CONFIG | {"gone": 1}, {"cube": "a"}, folder=tmp_path) as run,
    ):
        raise ZeroDivisionError("first end")
    assert "first end" in text(store, run.run_id, "console.log")
    now = {"model": {"lag": 7}, "resume": run.run_id, "new": [1, 2]}
    with tracked_run(store, "b", now, {"cube": "b"}, folder=tmp_path, resume=run.run_id, tags={"more": "x"}):
        names = {item.path for item in store.client.list_artifacts(run.run_id)}
        assert "error.txt" not in names
    done = store.client.get_run(run.run_id).data
    drift = {key: value for key, value in done.tags.items() if key.startswith("drift.")}
    assert drift == {
        "drift.model.lag": "3 -> 7",
        "drift.resume": f"null -> {run.run_id}",
        "drift.gone": "1 -> (not set)",
        "drift.new": "(not set) -> [1, 2]",
        "drift.digest.cube": "a -> b",
    }
    assert (done.params["model.lag"], done.params["new"], done.tags["more"]) == ("3", "[1, 2]", "x")
    assert done.tags["digest.cube"] == "a"
    assert yaml.safe_load(text(store, run.run_id, "config.yaml")) == CONFIG | {"gone": 1}
    assert yaml.safe_load(text(store, run.run_id, "config.resumed-1.yaml")) == now
    assert "torch==" in text(store, run.run_id, "requirements.resumed-1.txt")
    assert done.tags["git.revision.resumed-1"] == done.tags["git.revision"]
    assert "first end" in text(store, run.run_id, "error.before-resume-1.txt")


def test_a_pruned_trial_is_killed_without_an_error(store, tmp_path):
    with pytest.raises(Pruned), tracked_run(store, "a", {}, {}, folder=tmp_path) as run:
        raise Pruned(4)
    done = store.client.get_run(run.run_id)
    assert (done.info.status, done.data.tags["mlssm.pruned"]) == ("KILLED", "4")
    assert "error.txt" not in {item.path for item in store.client.list_artifacts(run.run_id)}
    assert "stopped this trial after epoch 4" in text(store, run.run_id, "console.log")


def test_a_run_that_died_without_a_word_is_marked_and_its_mark_set_aside_by_a_resume(store, tmp_path):
    run_id = store.client.create_run(store.experiment_id).info.run_id
    mark_dead(store, run_id, "process 7 is gone")
    done = store.client.get_run(run_id)
    assert (done.info.status, done.data.tags["mlssm.died"]) == ("FAILED", "process 7 is gone")
    with tracked_run(store, "a", {}, {}, folder=tmp_path, resume=run_id):
        pass
    tags = store.client.get_run(run_id).data.tags
    assert "mlssm.died" not in tags
    assert tags["mlssm.died.before-resume-1"] == "process 7 is gone"


def test_two_processes_never_write_one_folder(store, tmp_path, monkeypatch):
    monkeypatch.setattr("mlssm.tracking.writer.LOCK_SECONDS", 0.1)
    with (
        only_writer(tmp_path / "job"),
        pytest.raises(RunError, match="job is being written by another process"),
        tracked_run(store, "a", {}, {}, folder=tmp_path / "job"),
    ):
        raise AssertionError("the block is not reached")
    assert store.client.search_runs([store.experiment_id]) == []


def test_a_process_is_alive_by_host_number_and_start():
    own = writer_tags()
    assert is_alive(own) is True
    assert is_alive(own | {"mlssm.pid_started": "1.0"}) is False
    assert is_alive(own | {"mlssm.pid": str(2**22 + 1)}) is False
    assert is_alive(own | {"mlssm.host": "elsewhere"}) is None
    assert is_alive({}) is None


def test_the_folder_is_recorded_relative_where_it_is_below_the_working_directory(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tracked_run(store, "a", {}, {}, folder=Path("jobs/1")) as run:
        pass
    assert store.client.get_run(run.run_id).data.tags["mlssm.folder"] == "jobs/1"
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    with tracked_run(store, "a", {}, {}, folder=tmp_path / "jobs" / "2") as run:
        pass
    assert store.client.get_run(run.run_id).data.tags["mlssm.folder"] == str(tmp_path / "jobs" / "2")


def test_an_unknown_run_cannot_be_resumed(store, tmp_path):
    with pytest.raises(RunError, match="no run"):
        tracked_run(store, "a", {}, {}, folder=tmp_path, resume="0" * 32).__enter__()
