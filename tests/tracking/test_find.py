import logging
from pathlib import Path

import pytest

from mlssm.errors import RunError
from mlssm.tracking import find
from mlssm.tracking.find import children, download, find_run
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.store import Store


def train(store: Store, name: str, folder: Path | None, parent: str | None = None) -> str:
    with tracked_run(store, name, {"model": {"lag": 3}}, {}, parent) as run:
        run.log_metrics({"test/natural/r2": 0.5})
        if folder:
            run.log_bundle(folder)
    return run.run_id


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_text("{}")
    (folder / "weights.pt").write_bytes(b"weights")
    return folder


def test_latest_is_the_newest_finished_training_with_a_model(store, bundle):
    train(store, "older", bundle)
    wanted = train(store, "wanted", bundle)
    train(store, "without model", None)
    store.client.set_terminated(train(store, "failed", bundle), "FAILED")
    parent = store.client.create_run(store.experiment_id, tags={"mlssm.kind": "sweep", "mlssm.bundle": "model"})
    store.client.set_terminated(parent.info.run_id)
    found = find_run(store, "latest")
    assert (found.run_id, found.name, found.status) == (wanted, "wanted", "FINISHED")
    assert found.params == {"model.lag": "3"}
    assert found.metrics == {"test/natural/r2": 0.5}


def test_latest_stands_for_itself_and_says_what_was_passed_over(store, bundle, caplog):
    caplog.set_level(logging.INFO, "mlssm")
    parent = store.client.create_run(store.experiment_id, tags={"mlssm.kind": "sweep"}).info.run_id
    train(store, "trial", bundle, parent)
    with pytest.raises(RunError, match="there are runs of sweeps and searches: 1; give its id"):
        find_run(store, "latest")
    wanted = train(store, "wanted", bundle)
    train(store, "lag=3", bundle, parent)
    train(store, "lag=7", bundle, parent)
    with tracked_run(store, "control", {"control": "no_weather"}, {}) as control:
        control.log_bundle(bundle)
    with tracked_run(store, "seed=1", {}, {}, wanted, "seed") as seed:
        seed.log_bundle(bundle)
    assert find_run(store, "latest").run_id == wanted
    told = f"run=latest: {wanted} (wanted); newer, but passed over: controls: 1, runs of sweeps and searches: 2"
    assert caplog.messages[-1] == told


def test_latest_is_looked_for_page_by_page(store, bundle, monkeypatch):
    monkeypatch.setattr(find, "PAGE", 1)
    wanted = train(store, "wanted", bundle)
    for name in ("a", "b"):
        train(store, name, bundle, wanted)
    assert find_run(store, "latest").run_id == wanted


def test_latest_without_a_trained_run(store):
    train(store, "without model", None)
    with pytest.raises(RunError, match="no finished training with a model in experiment 'mlssm'"):
        find_run(store, "latest")


def test_a_run_is_found_by_its_id_whatever_its_status(store):
    with tracked_run(store, "a", {}, {}) as run:
        assert find_run(store, run.run_id).status == "RUNNING"


@pytest.mark.parametrize("run_id", ["0" * 32, "no such run", "../x", ""])
def test_an_unknown_id_is_named_with_the_way_to_list_runs(store, run_id):
    with pytest.raises(RunError) as raised:
        find_run(store, run_id)
    assert repr(run_id) in str(raised.value)
    assert f"mlflow runs list --experiment-id {store.experiment_id}" in str(raised.value)


def test_a_deleted_run_is_refused(store):
    run_id = train(store, "a", None)
    store.client.delete_run(run_id)
    with pytest.raises(RunError, match="is deleted"):
        find_run(store, run_id)


def test_a_downloaded_bundle_is_what_was_logged(store, bundle, tmp_path):
    run_id = train(store, "a", bundle)
    folder = download(store, run_id, "model", tmp_path / "new" / "target")
    assert folder == tmp_path / "new" / "target" / "model"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "bundle.json": b"{}",
        "weights.pt": b"weights",
    }
    assert download(store, run_id, "model/weights.pt", tmp_path / "one").read_bytes() == b"weights"


def test_a_run_without_the_artifact_is_named(store, tmp_path):
    run_id = train(store, "a", None)
    with pytest.raises(RunError, match=rf"run {run_id} \(FINISHED\) has no artifact 'model'"):
        download(store, run_id, "model", tmp_path)


def test_children_are_those_of_one_parent_oldest_first(store):
    parent, other = train(store, "parent", None), train(store, "other", None)
    first, second = train(store, "1", None, parent), train(store, "2", None, parent)
    train(store, "3", None, other)
    assert [run.run_id for run in children(store, parent)] == [first, second]


@pytest.mark.parametrize("form", ["runs:/{}", "runs:/{}/", "runs:/{}/model", "{}"])
@pytest.mark.parametrize("length", [6, 31, 32])
def test_a_run_is_found_by_the_forms_and_the_beginning_of_its_id(store, form, length):
    run_id = train(store, "a", None)
    assert find_run(store, form.format(run_id[:length])).run_id == run_id


def test_a_beginning_that_is_too_short_or_of_no_run_is_unknown(store):
    run_id = train(store, "a", None)
    for beginning in (run_id[:5], "0" * 12):
        with pytest.raises(RunError, match=f"no run '{beginning}'"):
            find_run(store, beginning)


def test_a_beginning_of_several_runs_names_them(store, monkeypatch):
    first, second = train(store, "one", None), train(store, "two", None)
    runs = [store.client.get_run(run_id) for run_id in (first, second)]
    monkeypatch.setattr(store.client, "search_runs", lambda *args, **kwargs: runs)  # ids cannot be chosen
    with pytest.raises(RunError, match=rf"run=abcdef fits several runs: {first} \(one\), {second} \(two\)"):
        find_run(store, "abcdef")
