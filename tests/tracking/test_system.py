import threading
import time
from pathlib import Path

import yaml

from mlssm.tracking.lifecycle import tracked_run

NAMES = {"cpu_utilization_percentage", "system_memory_usage_percentage", "disk_usage_percentage"}


def steps(store, run) -> list[int]:
    return [item.step for item in store.client.get_metric_history(run.run_id, "system/cpu_utilization_percentage")]


def test_the_machine_is_sampled_while_the_run_is_written_and_on_a_resume_behind_it(store, tmp_path):
    config = {"tracking": {"system_metrics_s": 0.1}}
    with tracked_run(store, "a", config, {}, folder=tmp_path) as run:
        time.sleep(0.5)
    assert "system metrics" not in {thread.name for thread in threading.enumerate()}
    first = steps(store, run)
    assert len(first) > 2
    assert first == list(range(len(first)))
    metrics = store.client.get_run(run.run_id).data.metrics
    assert {f"system/{name}" for name in NAMES} <= metrics.keys()
    assert 0 < metrics["system/system_memory_usage_percentage"] < 100
    with tracked_run(store, "a", config, {}, folder=tmp_path, resume=run.run_id):
        pass
    assert steps(store, run) == list(range(len(first) + 1))


def test_without_an_interval_nothing_is_sampled(store):
    with tracked_run(store, "a", {"tracking": {"system_metrics_s": None}}, {}) as run:
        pass
    assert store.client.get_run(run.run_id).data.metrics == {}


def test_no_password_of_the_configuration_is_recorded(store, tmp_path):
    config = {"tracking": {"uri": "http://who:secret@host"}, "trial": {"storage": ["postgresql://a:secret@b/c"]}}
    with tracked_run(store, "a", config, {}, folder=tmp_path) as run:
        pass
    assert "secret" not in str(store.client.get_run(run.run_id).to_dictionary())
    text = Path(store.client.download_artifacts(run.run_id, "config.yaml")).read_text()
    assert yaml.safe_load(text)["tracking"]["uri"] == "http://***@host"
    assert "secret" not in text
