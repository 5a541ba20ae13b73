import json
import shutil
import sqlite3
from collections import OrderedDict
from pathlib import Path

import pytest
import requests
from mlflow.entities import Dataset, DatasetInput
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, UNAUTHENTICATED
from mlflow.tracking._tracking_service import utils

from mlssm.errors import RunError
from mlssm.tracking import leftovers, outbox
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.opening import open_store
from mlssm.tracking.operations import Artifact, Entry, Inputs, Metrics, Tags, joined, read_operations
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store


class Away:
    """A client whose server is gone; it counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception = MlflowException(
            "API request to http://who:secret@host failed with exception: connection refused"
        )

    def __getattr__(self, name: str):
        def fail(*args: object, **kwargs: object) -> None:
            self.asked += 1
            raise self.error

        return fail


@pytest.fixture
def run(store: Store, tmp_path: Path) -> TrackedRun:
    with tracked_run(store, "a", {}, {}) as made:
        pass
    return TrackedRun(store, made.run_id, tmp_path / "job")


@pytest.fixture
def away(store: Store) -> Away:
    """The store is away until `back`."""
    client = Away()
    client.real = store.client
    object.__setattr__(store, "client", client)
    return client


def back(store: Store, away: Away) -> None:
    object.__setattr__(store, "client", away.real)


def keep_some(run: TrackedRun) -> None:
    run.log_metrics({"loss": 0.5}, 0)
    run.set_tags({"place": "first"})
    run.log_text("first", "notes/a.txt")
    run.log_metrics({"loss": 0.25}, 1)
    run.log_text("second", "notes/a.txt")
    run.set_tags({"place": "second"})


def assert_some(store: Store, run: TrackedRun) -> None:
    history = store.client.get_metric_history(run.run_id, "loss")
    assert [(item.step, item.value) for item in history] == [(0, 0.5), (1, 0.25)]
    assert store.client.get_run(run.run_id).data.tags["place"] == "second"
    assert Path(store.client.download_artifacts(run.run_id, "notes/a.txt")).read_text() == "second"
    assert not list((store.folder / "unsent").iterdir())


def unsent(run: TrackedRun) -> Path:
    assert run.folder is not None
    (folder,) = (run.folder / "unsent").iterdir()
    return folder


@pytest.fixture
def tracked(run: TrackedRun) -> TrackedRun:
    run.log_metrics({"other": 1.0}, 0)  # its history is known from here on
    return run


def test_what_is_written_is_on_disk_at_once_the_store_asked_once_and_the_warning_given_once(
    tracked, store, away, caplog
):
    keep_some(tracked)
    assert away.asked == 1
    assert len(list(read_operations(unsent(tracked) / "operations.jsonl"))) == 6
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "connection refused; the training goes on" in caplog.text
    assert "secret" not in caplog.text


def test_after_the_pause_the_next_write_sends_all_in_order(tracked, store, away, monkeypatch):
    keep_some(tracked)
    back(store, away)
    monkeypatch.setattr(tracked._outbox, "_next_attempt", 0.0)
    tracked.set_tags({"next": 1})
    assert_some(store, tracked)
    assert not list((tracked.folder / "unsent").iterdir())


def test_a_pause_is_longer_where_failing_took_long(tracked, store, away, monkeypatch):
    clock = iter([100.0, 105.0])
    monkeypatch.setattr(outbox.time, "monotonic", lambda: next(clock))
    assert not tracked._outbox._send(Tags(values={"a": "1"}))
    assert tracked._outbox._next_attempt == 105 + 20 * 5


def test_the_next_command_sends_what_is_left_even_after_a_line_that_was_cut(tracked, store, away, config):
    keep_some(tracked)
    with (unsent(tracked) / "operations.jsonl").open("ab") as stream:
        stream.write(b'{"kind": "tags", "val')  # the process was killed here
    tracked._outbox._writer.release()  # as its death does
    back(store, away)
    assert_some(open_store(config), tracked)


def test_what_was_sent_in_part_is_sent_again_without_harm(tracked, store, away, config):
    keep_some(tracked)
    kept = shutil.copytree(unsent(tracked), tracked.folder / "kept")
    (pointer,) = (store.folder / "unsent").iterdir()
    again, where = pointer.read_bytes(), unsent(tracked)
    tracked._outbox._writer.release()
    back(store, away)
    open_store(config)
    shutil.copytree(kept, where)
    pointer.write_bytes(again)
    assert_some(open_store(config), tracked)


def test_what_a_living_process_writes_is_left_to_it(tracked, store, away, config):
    keep_some(tracked)
    back(store, away)
    open_store(config)
    assert len(list(read_operations(unsent(tracked) / "operations.jsonl"))) == 6
    tracked._outbox.close()
    assert_some(store, tracked)


def test_at_the_end_it_says_where_the_rest_is_kept_and_lets_others_send_it(tracked, store, away, config, caplog):
    keep_some(tracked)
    tracked.end("KILLED")
    assert f"7 writes to run {tracked.run_id} could not be sent" in caplog.text
    assert str(unsent(tracked)) in caplog.text
    back(store, away)
    assert_some(open_store(config), tracked)
    assert store.client.get_run(tracked.run_id).info.status == "KILLED"


def test_without_a_folder_it_is_kept_in_the_tracking_folder(store, run, config, away):
    bare = TrackedRun(store, run.run_id)
    bare.set_tags({"best": "child"})
    assert sorted(path.suffix for path in (store.folder / "unsent").iterdir()) == ["", ".json"]
    bare._outbox.close()
    back(store, away)
    open_store(config)
    assert store.client.get_run(run.run_id).data.tags["best"] == "child"


def test_another_store_is_not_sent_what_is_not_its_own(tracked, store, away, config, tmp_path):
    keep_some(tracked)
    tracked._outbox._writer.release()
    shutil.copy(config.folder / "mlflow.db", tmp_path / "other.db")
    open_store(config.model_copy(update={"uri": f"sqlite:///{tmp_path}/other.db"}))
    assert len(list(read_operations(unsent(tracked) / "operations.jsonl"))) == 6


def test_what_the_store_refuses_is_set_aside_and_named(tracked, store, away, config, caplog):
    keep_some(tracked)
    tracked._outbox._writer.release()
    back(store, away)
    store.client.delete_run(tracked.run_id)
    open_store(config)
    assert f"run {tracked.run_id}: the store refuses what {unsent(tracked)} keeps" in caplog.text
    caplog.clear()
    open_store(config)
    assert caplog.text == ""


def test_a_pointer_to_an_outbox_that_is_gone_says_so(tracked, store, away, config, caplog):
    keep_some(tracked)
    back(store, away)
    shutil.rmtree(unsent(tracked))
    open_store(config)
    assert f"which is gone, with what run {tracked.run_id} still had" in caplog.text
    assert not list((store.folder / "unsent").iterdir())


def test_a_store_that_goes_away_again_keeps_the_rest(tracked, store, away, config, caplog):
    keep_some(tracked)
    tracked._outbox._writer.release()
    leftovers.send_leftovers(store)
    assert "could not be sent" in caplog.text
    assert len(list(read_operations(unsent(tracked) / "operations.jsonl"))) == 6


def test_a_wrong_request_raises_and_is_not_kept(tracked, store):
    with pytest.raises(MlflowException, match="Invalid value"):
        tracked.set_tags({"a\nb": 1})
    with pytest.raises(FileNotFoundError, match="is to be kept in run"):
        tracked.log_file(Path("nowhere.txt"))
    assert not (tracked.folder / "unsent").exists()


def test_a_database_that_is_locked_is_one_that_cannot_be_reached(tracked, store, config, monkeypatch):
    real = sqlite3.connect
    lock = real(config.folder / "mlflow.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    from mlflow.store.db import utils

    text = utils.sql.text
    monkeypatch.setattr(utils.sql, "text", lambda words: text(words.replace("20000", "10")))  # ms of waiting
    tracked.set_tags({"place": "second"})
    assert len(list(read_operations(unsent(tracked) / "operations.jsonl"))) == 1
    lock.execute("ROLLBACK")
    lock.close()
    assert tracked._outbox.close()
    assert store.client.get_run(tracked.run_id).data.tags["place"] == "second"


def test_the_pointer_holds_the_address_without_its_password(tmp_path):
    store = Store(Away(), "http://who:secret@host:5000", "1", tmp_path / "mlruns")
    run = TrackedRun(store, "abc", tmp_path / "job")
    run.set_tags({"a": 1})
    (path,) = (tmp_path / "mlruns" / "unsent").iterdir()
    assert json.loads(path.read_text())["store"] == "http://***@host:5000"
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or "secret" not in file.read_text()
    run._outbox.close()


def test_neighbouring_metrics_are_sent_together_and_the_order_is_kept():
    metrics = [Metrics(entries=(Entry("a", 0.1, 1, step),)) for step in range(3)]
    artifact = Artifact(file=Path("a"), folder=None)
    found = list(joined([metrics[0], metrics[1], artifact, metrics[2]]))
    assert [count for count, _ in found] == [2, 1, 1]
    assert [item.kind for _, item in found] == ["metrics", "artifact", "metrics"]
    assert [entry.step for entry in found[0][1].entries] == [0, 1]


class Racing:
    """A client before which other processes name the dataset some times, or whose store refuses it."""

    def __init__(self, times: int, message: str) -> None:
        self.times, self.message, self.asked = times, message, 0

    def log_inputs(self, run_id: str, datasets: list[DatasetInput]) -> None:
        self.asked += 1
        if self.asked <= self.times:
            raise MlflowException(self.message)


TAKEN = "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id, datasets.name, datasets.digest"


def test_a_dataset_that_another_process_names_first_is_named_again():
    inputs, client = Inputs.of([DatasetInput(Dataset("area", "abc", "local", "{}"))]), Racing(3, TAKEN)
    inputs.send(client, "run")
    assert client.asked == 4


@pytest.mark.parametrize(("times", "message", "asked"), [(1000, TAKEN, 20), (1, "digest is too long", 1)])
def test_a_dataset_that_is_refused_otherwise_or_always_is_an_error(times, message, asked):
    client = Racing(times, message)
    with pytest.raises(MlflowException):
        Inputs.of([DatasetInput(Dataset("area", "abc", "local", "{}"))]).send(client, "run")
    assert client.asked == asked


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} Client Error", response=response)


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("login", error_code=UNAUTHENTICATED),
        MlflowException("no right", error_code=PERMISSION_DENIED),
        http_error(401),
        http_error(403),
        http_error(407),
    ],
    ids=["401", "403", "artifacts 401", "artifacts 403", "proxy"],
)
def test_a_login_that_runs_out_ends_no_training_and_is_told_at_its_end(tracked, store, away, config, caplog, error):
    away.error = error
    keep_some(tracked)
    assert caplog.text.count("the training goes on") == 1
    with pytest.raises(RunError, match=r"has come to its end, but sqlite:.* refuses access now: .*; renew the login"):
        tracked.end("FINISHED")
    away.error = MlflowException("login", error_code=UNAUTHENTICATED)
    object.__setattr__(store, "client", away.real)
    assert_some(open_store(config), tracked)
    assert store.client.get_run(tracked.run_id).info.status == "FINISHED"


def test_an_error_that_ended_the_training_is_not_hidden_by_a_lost_login(tracked, away):
    away.error = MlflowException("login", error_code=UNAUTHENTICATED)
    tracked.end("FAILED")


def test_what_the_library_of_a_cloud_raises_counts_as_a_store_that_is_away(tracked, store, monkeypatch, tmp_path):
    class ExpiredToken(Exception):  # as botocore's, which is neither MLflow's nor an OSError
        pass

    def fail(*args: object) -> None:
        raise ExpiredToken("the provided token has expired")

    monkeypatch.setattr(store.client, "log_artifact", fail)
    tracked.log_text("first", "notes/a.txt")
    assert len(list(read_operations(unsent(tracked) / "operations.jsonl"))) == 1
    tracked._outbox.close()


def test_what_was_kept_is_sent_after_the_project_was_moved(tracked, store, away, config, tmp_path, monkeypatch):
    keep_some(tracked)
    monkeypatch.setattr(utils, "_artifact_repos_cache", OrderedDict())  # MLflow's, which the next process has not
    tracked._outbox._writer.release()
    back(store, away)
    project = tmp_path / "moved"
    project.mkdir()
    for name in ("job", config.folder.name):
        (tmp_path / name).rename(project / name)
    moved = open_store(config.model_copy(update={"folder": project / config.folder.name}))
    assert_some(moved, tracked)
    assert not list((project / "job" / "unsent").iterdir())
