from pathlib import Path

import pytest

from mlssm.errors import RunError
from mlssm.tracking.find import find_run
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.reference import versions
from mlssm.tracking.registry import register
from mlssm.tracking.store import Store


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_text("{}")
    return folder


def train(store: Store, bundle: Path | None, **values) -> str:
    config = {"model": {"lag": 3}, "datamodule": {"root": "data/here"}, "control": "none"} | values
    with tracked_run(store, "lag=3", config, {}) as run:
        run.log_metrics({"val/natural/rmse": 0.12345})
        if bundle:
            run.log_bundle(bundle)
    return run.run_id


def test_the_champion_is_the_run_that_was_registered_last(store, bundle):
    first, second = train(store, bundle), train(store, bundle)
    assert register(store, first) == 1
    assert find_run(store, "models:/mlssm@champion").run_id == first
    assert register(store, second) == 2
    assert find_run(store, "models:/mlssm@champion").run_id == second
    assert find_run(store, "models:/mlssm/1").run_id == first


def test_a_run_is_registered_once_and_can_be_champion_again(store, bundle):
    first, second = train(store, bundle), train(store, bundle)
    assert [register(store, run) for run in (first, second, first)] == [1, 2, 1]
    assert find_run(store, "models:/mlssm@champion").run_id == first
    assert len(versions(store, "mlssm")) == 2


def test_the_version_tells_what_it_is(store, bundle):
    run_id = train(store, bundle)
    register(store, run_id, name="other", alias="candidate")
    (version,) = versions(store, "other")
    assert (version.run_id, version.source) == (run_id, f"runs:/{run_id}/model")
    assert version.tags == {"model.lag": "3", "datamodule.root": "data/here", "val/natural/rmse": "0.1235"}
    assert f"Run lag=3 ({run_id})" in version.description
    assert "- val/natural/rmse: 0.1235" in version.description
    assert find_run(store, "models:/other@candidate").run_id == run_id


def test_a_run_without_a_model_is_refused_and_nothing_is_made(store):
    run_id = train(store, None)
    with pytest.raises(RunError, match=rf"run {run_id} \(FINISHED\) has no model to register"):
        register(store, run_id)
    assert not store.client.search_registered_models()


def test_a_control_is_not_for_use(store, bundle):
    with pytest.raises(RunError, match="trained with control=no_weather"):
        register(store, train(store, bundle, control="no_weather"))


def test_a_name_that_the_registry_refuses_is_told(store, bundle):
    with pytest.raises(RunError, match=r"model 'a/b' cannot be looked up.*Invalid model name"):
        register(store, train(store, bundle), name="a/b")


def test_what_is_not_registered_is_named_with_what_is(store, bundle):
    with pytest.raises(RunError, match=r"no model 'mlssm' is registered at sqlite.*there is none"):
        find_run(store, "models:/mlssm@champion")
    register(store, train(store, bundle))
    with pytest.raises(RunError, match=r"no model 'ml' is registered.*there is mlssm"):
        find_run(store, "models:/ml/1")
    for wrong, message in (("@best", "no alias 'best'"), ("/2", "no version 2")):
        with pytest.raises(RunError, match=rf"{message}.*its versions are 1, its aliases @champion \(version 1\)"):
            find_run(store, f"models:/mlssm{wrong}")


@pytest.mark.parametrize(
    "run", ["models:/mlssm", "models:mlssm@champion", "models:/mlssm/first", "runs:/", "runs:/a/b"]
)
def test_what_is_no_reference_is_told_the_forms(store, run):
    with pytest.raises(RunError, match="is not understood; give a run's id, runs:/<id>, models:/<name>@<alias>"):
        find_run(store, run)


def test_a_deleted_champion_is_told(store, bundle):
    run_id = train(store, bundle)
    register(store, run_id)
    store.client.delete_run(run_id)
    with pytest.raises(RunError, match="is deleted"):
        find_run(store, "models:/mlssm@champion")
