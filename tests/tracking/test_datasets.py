import json
from pathlib import Path

import pytest

from mlssm.tracking.datasets import dataset_inputs, source_counts
from mlssm.tracking.lifecycle import tracked_run


@pytest.fixture(scope="module")
def experiment(watershed):
    return watershed.experiment("patches.size=10", "retrieval.multilook_m=90")


def made(experiment, root="data/creek", index=None):
    rows = experiment.index if index is None else index
    found = dataset_inputs(experiment.cube, rows, experiment.spec, Path(root))
    return {item.tags[0].value: item.dataset for item in found}


def test_each_split_is_a_dataset_of_the_area(experiment):
    found = made(experiment)
    assert list(found) == ["train", "val", "test"]
    assert {(item.name, item.source_type, item.source) for item in found.values()} == {
        ("creek", "local", '{"uri": "data/creek"}')
    }
    assert len({item.digest for item in found.values()}) == 3
    for split, item in found.items():
        profile, rows = json.loads(item.profile), experiment.index[experiment.index["split"] == split]
        days = experiment.cube.local_days[sorted(set(rows["time"]))]
        assert profile["patches"] == len(rows)
        assert (profile["first"], profile["last"], profile["dates"]) == (str(days[0]), str(days[-1]), len(days))
        assert profile["cube"] == experiment.cube.manifest.digest
        columns = [column["name"] for column in json.loads(item.schema)["mlflow_colspec"]]
        assert columns == [*experiment.spec.dynamic, *experiment.spec.static, "ssm"]


def test_the_digest_is_that_of_the_data_whatever_their_order_and_weight(experiment):
    index = experiment.index
    before = made(experiment)
    shuffled = made(experiment, index=index.sample(frac=1, random_state=1).assign(inclusion=0.5))
    assert {key: item.digest for key, item in before.items()} == {key: item.digest for key, item in shuffled.items()}
    fewer = made(experiment, index=index.drop(index.index[index["split"] == "val"][0]))
    changed = {key for key in before if before[key].digest != fewer[key].digest}
    assert changed == {"val"}


def test_the_store_takes_them_and_finds_runs_by_them(experiment, store):
    found = dataset_inputs(experiment.cube, experiment.index, experiment.spec, Path("data/creek"))
    with tracked_run(store, "a", {}, {}) as run:
        store.client.log_inputs(run.run_id, found)
    kept = store.client.get_run(run.run_id).inputs.dataset_inputs
    assert {(item.tags[0].value, item.dataset.digest) for item in kept} == {
        (item.tags[0].value, item.dataset.digest) for item in found
    }
    (match,) = store.client.search_runs([store.experiment_id], "dataset.name = 'creek' and dataset.context = 'val'")
    assert match.info.run_id == run.run_id
    import mlflow.data

    assert mlflow.data.get_source(kept[0]).uri == "data/creek"


def test_a_folder_below_the_working_directory_is_told_relative_to_it(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert made(experiment, tmp_path / "data" / "creek")["val"].source == '{"uri": "data/creek"}'
    elsewhere = tmp_path.parent / "other"
    assert made(experiment, elsewhere)["val"].source == json.dumps({"uri": str(elsewhere)})


def test_files_are_counted_by_folder():
    names = ["backscatter/a.tif", "backscatter/2023/b.tif", "weather/x.csv", "dem.tif"]
    assert source_counts(names) == {"backscatter": 2, "dem.tif": 1, "weather": 1}
