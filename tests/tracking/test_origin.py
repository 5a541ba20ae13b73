from pathlib import Path

import pytest
import torch

from mlssm import bundle
from mlssm.errors import RunError
from mlssm.jobs.weights import network_weights, origin_weights
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.origin import find_origin, require_checkpoint
from mlssm.tracking.store import Store

CONFIG = {"model": {"lag": 3, "hidden": [4, 4]}, "seed": 0}
STATE = {"network.head.weight": torch.ones(2), "network.head.bias": torch.zeros(1), "loss.noise": torch.ones(1)}


def train(store: Store, folder: Path | None = None, parent: str | None = None, kind: str = "training") -> str:
    with tracked_run(store, "lag=3", CONFIG, {}, parent, kind) as run:
        if folder:
            run.set_tags({"mlssm.folder": folder, "mlssm.host": "here"})
    return run.run_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoints = tmp_path / "job" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save({"state_dict": STATE, "epoch": 1}, checkpoints / "best.ckpt")
    (checkpoints / "last.ckpt").write_bytes(b"last")
    return tmp_path / "job"


def test_a_run_is_found_with_its_folder_configuration_and_checkpoint(store, folder):
    run_id = train(store, folder)
    origin = find_origin(store, run_id[:8])
    assert (origin.run.run_id, origin.folder, origin.config) == (run_id, folder, CONFIG)
    assert require_checkpoint(origin) == folder / "checkpoints" / "last.ckpt"


def test_a_relative_folder_is_seen_from_the_working_directory(store, folder, monkeypatch):
    origin_id = train(store, Path("job"))
    assert find_origin(store, origin_id).checkpoint is None
    monkeypatch.chdir(folder.parent)
    assert require_checkpoint(find_origin(store, origin_id)).read_bytes() == b"last"


def test_without_the_folder_the_checkpoint_comes_from_the_artifacts(store, folder):
    run_id = train(store, folder.parent / "elsewhere")
    store.client.log_artifacts(run_id, str(folder))
    origin = find_origin(store, run_id)
    assert origin.folder is None
    assert require_checkpoint(origin).read_bytes() == b"last"
    assert origin_weights(store, origin).keys() == {"head.weight", "head.bias"}


def test_a_run_without_a_checkpoint_says_where_it_was_looked_for(store, folder):
    (folder / "checkpoints" / "last.ckpt").unlink()
    run_id = train(store, folder)
    with pytest.raises(RunError) as raised:
        require_checkpoint(find_origin(store, run_id))
    text = str(raised.value)
    assert f"run {run_id} (FINISHED) has no checkpoint" in text
    assert f"no checkpoints/last.ckpt in {folder} on here" in text
    assert "go on where it was trained" in text


def test_a_sweep_is_refused_with_its_children(store):
    parent = train(store, kind="sweep")
    with pytest.raises(RunError, match="stands for a sweep; name one of its runs: none"):
        find_origin(store, parent)
    child = train(store, parent=parent)
    with pytest.raises(RunError, match=rf"a sweep; name one of its runs: {child} \(lag=3, FINISHED\)"):
        find_origin(store, parent)
    assert find_origin(store, child).run.run_id == child


def test_a_run_of_several_seeds_is_one_to_go_on_from(store):
    several = train(store)
    train(store, parent=several, kind="seed")
    assert find_origin(store, several).run.run_id == several


def test_an_unknown_run_is_told_as_everywhere(store):
    with pytest.raises(RunError, match="no run 'nothing' in experiment 'mlssm'"):
        find_origin(store, "nothing")


def test_weights_are_the_bundles_before_the_checkpoints(store, folder, tmp_path):
    run_id = train(store, folder)
    origin = find_origin(store, run_id)
    weights = origin_weights(store, origin)
    assert weights["head.weight"].tolist() == [1, 1]
    assert weights.keys() == {"head.weight", "head.bias"}
    kept, _ = bundle.load(Path(__file__).parents[1] / "bundle" / "format_2")
    bundle.save(kept, {"own": torch.ones(3)}, tmp_path / "model")
    store.client.log_artifacts(run_id, str(tmp_path / "model"), "model")
    store.client.set_tag(run_id, "mlssm.bundle", "model")
    assert list(origin_weights(store, find_origin(store, run_id))) == ["own"]


def test_a_run_that_never_kept_anything_has_no_weights(store):
    run_id = train(store)
    with pytest.raises(RunError, match=rf"run {run_id} \(FINISHED\) has no weights: neither a model nor"):
        origin_weights(store, find_origin(store, run_id))


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / "best.ckpt").write_bytes(content)
    with pytest.raises(RunError, match=r"best\.ckpt: the checkpoint is damaged"):
        network_weights(tmp_path / "best.ckpt")


def test_tensors_that_are_no_checkpoint_are_named(tmp_path):
    torch.save({"weight": torch.ones(1)}, tmp_path / "best.ckpt")
    with pytest.raises(RunError, match=r"best\.ckpt is no checkpoint of a training"):
        network_weights(tmp_path / "best.ckpt")
