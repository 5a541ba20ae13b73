import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base

from mlssm.config import TrackingConfig
from mlssm.errors import RunError
from mlssm.tracking.find import download
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.opening import open_store, tracking_uri
from mlssm.tracking.registry import register
from mlssm.tracking.sqlite import sqlite_path


def tracking(folder: Path) -> TrackingConfig:
    return TrackingConfig(experiment="mlssm", folder=folder, uri=None, run_name=None)


def test_a_database_whose_making_is_cut_off_is_not_there(tmp_path, monkeypatch):
    def cut_off(engine):
        Base.metadata.create_all(engine)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(utils, "_initialize_tables", cut_off)
        with pytest.raises(KeyboardInterrupt):
            open_store(tracking(tmp_path))
    assert not (tmp_path / "mlflow.db").exists()
    assert (tmp_path / ".mlflow.db.partial").is_file()
    open_store(tracking(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_half_made_database_of_an_earlier_version_is_named_with_its_cure(tmp_path):
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{tmp_path}/mlflow.db")
    Base.metadata.create_all(engine)  # as far as it came before it was killed
    engine.dispose()
    with pytest.raises(RunError, match=r"mlflow\.db is half-made, .*; delete it, it holds no run, and start again"):
        open_store(tracking(tmp_path))


def test_an_empty_file_is_no_database_yet(tmp_path):
    (tmp_path / "mlflow.db").touch()
    assert open_store(tracking(tmp_path)).experiment_id


@pytest.mark.parametrize("name", ["a b", "a#b", "100% wet", "ä;ö", "a&b=c"])
def test_the_store_lies_in_its_folder_whatever_that_is_called(tmp_path, config, name):
    folder = tmp_path / name / "mlruns"
    folder.mkdir(parents=True)
    shutil.copy(config.folder / "mlflow.db", folder)
    before = set(tmp_path.rglob("*"))
    with tracked_run(open_store(tracking(folder)), "a", {}, {}) as run:
        run.log_text("soil", "notes/a.txt")
    assert (folder / "artifacts" / run.run_id / "artifacts" / "notes" / "a.txt").read_text() == "soil"
    assert all(path.is_relative_to(folder) for path in set(tmp_path.rglob("*")) - before)


def test_a_folder_that_an_address_cannot_hold_is_refused(tmp_path, monkeypatch):
    for name in ("a?b", "a%41b"):
        with pytest.raises(RunError, match=r"/mlflow\.db: a folder with .* cannot hold a SQLite store; rename"):
            open_store(tracking(tmp_path / name))
    (tmp_path / "c?d").mkdir()
    monkeypatch.chdir(tmp_path / "c?d")
    with pytest.raises(RunError, match=r"set tracking\.folder to a place elsewhere"):
        open_store(tracking(Path("mlruns")))
    assert {path.name for path in tmp_path.iterdir()} == {"c?d"}


def test_options_of_an_address_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tracking(tmp_path).model_copy(update={"uri": "sqlite:///a.db?timeout=5"})
    assert tracking_uri(config) == f"sqlite:///{tmp_path}/a.db?timeout=5"
    assert sqlite_path(tracking_uri(config)) == tmp_path / "a.db"


@pytest.fixture
def moved(tmp_path, config):
    """A tracking folder with a finished, a dead and a registered run, and where it was moved to."""
    store = open_store(config)
    with tracked_run(store, "a", {}, {}, folder=config.folder / "job") as run:
        run.log_text("soil", "notes/a.txt")
        (tmp_path / "bundle").mkdir()
        (tmp_path / "bundle" / "bundle.json").write_text("{}")
        run.log_bundle(tmp_path / "bundle")
    register(store, run.run_id)
    dead = store.client.create_run(store.experiment_id).info.run_id
    store.client.log_text(dead, "dead", "b.txt")
    (tmp_path / "moved").mkdir()
    return run.run_id, dead, config.folder, tmp_path / "moved" / "ml runs"


def recorded(folder: Path) -> list[str]:
    """Every place that the database names."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        places = database.execute(
            "SELECT artifact_location FROM experiments WHERE name = 'mlssm' UNION SELECT artifact_uri FROM runs"
        ).fetchall()
    return [place for (place,) in places if place]


@pytest.mark.parametrize("way", [shutil.move, shutil.copytree])
def test_a_folder_that_was_moved_or_copied_finds_its_artifacts(moved, tmp_path, caplog, way):
    run_id, dead, old, new = moved
    way(old, new)
    caplog.set_level(logging.INFO, "mlssm")
    store = open_store(tracking(new))
    assert f"artifacts of 2 runs are looked for in {new}/artifacts" in caplog.text
    assert download(store, run_id, "notes/a.txt", tmp_path / "found").read_text() == "soil"
    assert download(store, dead, "b.txt", tmp_path / "found").read_text() == "dead"
    before = set(old.rglob("*"))
    with tracked_run(store, "b", {}, {}) as run:
        run.log_text("new", "c.txt")
    assert (new / "artifacts" / run.run_id / "artifacts" / "c.txt").read_text() == "new"
    assert set(old.rglob("*")) == before, "something is written where the folder was"
    assert all(place.startswith(f"{new.as_uri()}/artifacts") for place in recorded(new))
    caplog.clear()
    open_store(tracking(new))
    assert "moved" not in caplog.text


def test_a_run_that_is_being_written_through_another_path_keeps_its_place(moved):
    *_, old, new = moved
    store = open_store(tracking(old))
    with tracked_run(store, "alive", {}, {}, folder=old / "alive") as alive:
        new.symlink_to(old)
        open_store(tracking(new))  # the same folder by another name: nothing is moved
        assert all(place.startswith(old.as_uri()) for place in recorded(old))
        new.unlink()
        shutil.copytree(old, new)
        open_store(tracking(new))
        still = [place for place in recorded(new) if place.startswith(old.as_uri())]
    assert still == [f"{(old / 'artifacts').as_uri()}/{alive.run_id}/artifacts"]
    with closing(sqlite3.connect(new / "mlflow.db")) as database, database:
        database.execute("UPDATE tags SET value = '0' WHERE key = 'mlssm.pid_started'")  # as after its death
    open_store(tracking(new))
    assert all(place.startswith(new.as_uri()) for place in recorded(new))


def test_artifacts_that_were_put_elsewhere_stay_there(tmp_path, config):
    elsewhere = (tmp_path / "big disk" / "artifacts").as_uri()
    (tmp_path / "big disk").mkdir()
    store = open_store(config)
    for name, location in (("one", elsewhere), ("two", "s3://bucket/artifacts")):
        store.client.create_experiment(name, artifact_location=location)
    config = config.model_copy(update={"experiment": "one"})
    with tracked_run(open_store(config), "a", {}, {}) as run:
        run.log_text("soil", "a.txt")
    store = open_store(config)
    assert store.client.get_experiment_by_name("one").artifact_location == elsewhere
    assert store.client.get_experiment_by_name("two").artifact_location == "s3://bucket/artifacts"
    assert store.client.get_run(run.run_id).info.artifact_uri.startswith(elsewhere)
