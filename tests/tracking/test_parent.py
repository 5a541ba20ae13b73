"""The parent run of a sweep that goes on, and of a study that several workers share."""

import pytest
from mlflow.entities import Run, ViewType

from mlssm.errors import RunError
from mlssm.tracking.comparison import BEST, close_sweep, counted_children
from mlssm.tracking.find import children, find_run
from mlssm.tracking.parent import JOB, STUDY, SUPERSEDED, create_parent, earlier_parent, earlier_run, join_study
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store
from mlssm.tracking.tags import DIED, NOTE, PRUNED
from mlssm.tracking.writer import writer_tags

OVERRIDES = ["model.lag=1,2", "sampler=natural,two_pass", "tracking.experiment=mine"]
GONE = {"mlssm.pid": "1", "mlssm.pid_started": "0"}  # no process of these tests


def child(store: Store, parent: str, name: str = "child", status: str = "FINISHED", **tags: str) -> str:
    given = {"mlflow.parentRunId": parent} | tags
    run_id = store.client.create_run(store.experiment_id, tags=given, run_name=name).info.run_id
    store.client.update_run(run_id, status)
    return str(run_id)


def score(store: Store, run_id: str, rmse: float) -> None:
    store.client.log_metric(run_id, "val/natural/rmse", rmse)


def status(store: Store, run_id: str) -> str:
    return find_run(store, run_id).status


class TestEarlierParent:
    def test_the_newest_sweep_with_the_same_overrides_in_any_order_is_open_again(self, store):
        older, newer = create_parent(store, OVERRIDES), create_parent(store, OVERRIDES)
        create_parent(store, ["model.lag=1,2,3"])
        TrackedRun(store, newer).set_tags({"failed.0": "lag 1: DataError"})
        for run_id in (older, newer):
            store.client.set_terminated(run_id, "FAILED")
        assert earlier_parent(store, ["sweep.resume=true", *reversed(OVERRIDES)]) == newer
        assert (status(store, newer), status(store, older)) == ("RUNNING", "FAILED")
        assert "failed.0" not in find_run(store, newer).tags

    def test_where_there_is_none_it_is_said(self, store):
        create_parent(store, OVERRIDES)
        with pytest.raises(RunError, match=r"no earlier sweep with the overrides 'model.lag=1,2,3' in sqlite:"):
            earlier_parent(store, ["model.lag=1,2,3", "sweep.resume=true"])


def test_sweeps_and_searches_are_named_after_what_they_vary(store):
    named = {
        "sweep lag=1,2 natural,two_pass": OVERRIDES,
        "sweep leakage": ["+experiment=leakage", "seed=3"],
        "search convlstm": ["hydra/sweeper=optuna", "+search=convlstm", "seeds=3"],
    }
    for name, overrides in named.items():
        assert find_run(store, create_parent(store, overrides)).name == name


class TestStudy:
    def test_the_first_worker_makes_the_parent_and_later_ones_join_it(self, store):
        first = join_study(store, OVERRIDES, "search-1")
        store.client.set_terminated(first, "FINISHED")
        assert join_study(store, OVERRIDES, "search-1") == first
        assert (status(store, first), find_run(store, first).tags[STUDY]) == ("RUNNING", "search-1")
        assert [run.info.run_id for run in all_runs(store)] == [first], "no other one, not even a deleted one"

    def test_another_study_has_a_parent_of_its_own(self, store):
        assert join_study(store, OVERRIDES, "search-1") != join_study(store, OVERRIDES, "search-2")

    def test_of_two_that_are_made_in_the_same_moment_one_stays_and_the_other_is_closed(self, store, monkeypatch):
        def beside_another_worker(store, overrides, study):
            monkeypatch.undo()
            join_study(store, overrides, study)
            return create_parent(store, overrides, study)

        monkeypatch.setattr("mlssm.tracking.parent.create_parent", beside_another_worker)
        kept = join_study(store, OVERRIDES, "search-1")
        found = {run.info.run_id: (run.info.status, run.info.lifecycle_stage) for run in all_runs(store)}
        assert found.pop(kept) == ("RUNNING", "active")
        assert list(found.values()) == [("KILLED", "deleted")]


def all_runs(store: Store) -> list[Run]:
    return store.client.search_runs([store.experiment_id], run_view_type=ViewType.ALL)


@pytest.fixture
def key(monkeypatch) -> str:
    monkeypatch.setattr("mlssm.tracking.parent.job_key", lambda: "model.lag=1")
    return "model.lag=1"


class TestEarlierRun:
    def test_a_job_that_was_never_run(self, store, key):
        parent = create_parent(store, OVERRIDES)
        child(store, parent, **{JOB: "model.lag=2"})
        assert earlier_run(store, parent) is None

    def test_a_finished_one_counts_whatever_came_after(self, store, key):
        parent = create_parent(store, OVERRIDES)
        done = child(store, parent, **{JOB: key})
        child(store, parent, status="FAILED", **{JOB: key})
        found = earlier_run(store, parent)
        assert (found.run.run_id, found.finished) == (done, True)

    @pytest.mark.parametrize("ended", ["FAILED", "KILLED"])
    def test_the_last_one_that_did_not_finish_is_taken_up(self, store, key, ended):
        parent = create_parent(store, OVERRIDES)
        child(store, parent, status="FAILED", **{JOB: key})
        last = child(store, parent, status=ended, **{JOB: key})
        child(store, parent, status="FAILED", **{JOB: key, SUPERSEDED: last})
        found = earlier_run(store, parent)
        assert (found.run.run_id, found.finished) == (last, False)

    def test_one_that_runs_is_left_alone_but_not_one_whose_process_is_gone(self, store, key):
        parent = create_parent(store, OVERRIDES)
        dead = child(store, parent, status="RUNNING", **{JOB: key}, **(writer_tags() | GONE))
        assert earlier_run(store, parent).run.run_id == dead
        alive = child(store, parent, status="RUNNING", **{JOB: key}, **writer_tags())
        with pytest.raises(RunError, match=rf"run {alive} \(model.lag=1\) is being trained by another process"):
            earlier_run(store, parent)


class TestClosing:
    def test_the_best_child_on_validation_is_linked_and_its_scores_shown(self, store):
        parent = create_parent(store, OVERRIDES)
        worse, best = child(store, parent, "lag=1"), child(store, parent, "lag=2")
        failed = child(store, parent, "lag=3", "FAILED")
        for run_id, rmse in ((worse, 0.2), (best, 0.1), (failed, 0.05)):
            score(store, run_id, rmse)
        assert close_sweep(TrackedRun(store, parent), "FINISHED") == "FAILED"
        found = find_run(store, parent)
        assert (found.tags[BEST], found.metrics["val/natural/rmse"]) == (best, 0.1)
        page = f"#/experiments/{store.experiment_id}/runs"
        assert found.tags[NOTE].startswith(f"Best on validation: [lag=2]({page}/{best}), val/natural/rmse 0.1000.")
        assert f"[lag=1]({page}/{worse})" in found.tags[NOTE]

    def test_the_description_of_a_large_sweep_fits(self, store):
        parent = create_parent(store, OVERRIDES)
        for number in range(40):
            score(store, child(store, parent, f"{number} " + "model.key=value " * 20), number)
        assert close_sweep(TrackedRun(store, parent), "FINISHED") == "FINISHED"
        assert 1000 < len(find_run(store, parent).tags[NOTE]) < 8000

    def test_no_score_no_best(self, store):
        parent = create_parent(store, OVERRIDES)
        child(store, parent, status="FAILED")
        close_sweep(TrackedRun(store, parent), "FINISHED")
        assert BEST not in find_run(store, parent).tags

    def test_a_child_whose_process_is_gone_is_marked_and_fails_the_sweep(self, store):
        parent = create_parent(store, OVERRIDES)
        dead = child(store, parent, status="RUNNING", **(writer_tags() | GONE))
        assert close_sweep(TrackedRun(store, parent), "FINISHED") == "FAILED"
        found = find_run(store, dead)
        assert (found.status, found.tags[DIED]) == ("FAILED", "its process is gone")
        assert [item.path for item in store.client.list_artifacts(dead)] == ["error.txt"]

    def test_what_was_made_anew_does_not_count(self, store):
        parent = create_parent(store, OVERRIDES)
        again = child(store, parent)
        child(store, parent, status="FAILED", **{SUPERSEDED: again})
        assert [run.run_id for run in counted_children(store, parent)] == [again]
        assert close_sweep(TrackedRun(store, parent), "FINISHED") == "FINISHED"

    def test_a_search_fails_neither_by_pruned_trials_nor_by_dead_ones(self, store):
        parent = join_study(store, OVERRIDES, "search-1")
        child(store, parent, status="KILLED", **{PRUNED: "3"})
        child(store, parent, status="FAILED", **{DIED: "its process is gone"})
        child(store, parent)
        assert close_sweep(TrackedRun(store, parent), "FINISHED") == "FINISHED"

    def test_it_stays_open_while_other_workers_run(self, store):
        parent = create_parent(store, OVERRIDES)
        child(store, parent, status="RUNNING", **writer_tags())
        assert close_sweep(TrackedRun(store, parent), "FINISHED", others_run=True) == "RUNNING"
        assert status(store, parent) == "RUNNING"
        assert [run.status for run in children(store, parent)] == ["RUNNING"]
