import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import read_write
from tests.forked import run_script

from mlssm.errors import RunError
from mlssm.jobs.sweep import parent_run_id
from mlssm.tracking.comparison import changed_parameters, compare, end_status
from mlssm.tracking.find import Run, children
from mlssm.tracking.names import job_name, own_overrides, run_name
from mlssm.tracking.opening import open_store
from mlssm.tracking.store import Store

APP = """
import hydra
from omegaconf import OmegaConf
from mlssm.config import TrackingConfig, parse
from mlssm.errors import DataError

@hydra.main(version_base="1.3", config_path=".", config_name="app")
def main(config):
    from hydra.core.hydra_config import HydraConfig
    from mlssm.tracking.lifecycle import tracked_run
    from mlssm.tracking.opening import open_store
    from mlssm.tracking.names import run_name
    from mlssm.jobs.sweep import parent_run_id

    if config.model.lag == 30:
        raise DataError("lag 30 has no weather")
    plain = OmegaConf.to_container(config, resolve=True)
    store = open_store(parse(TrackingConfig, plain["tracking"]))
    with tracked_run(store, run_name(HydraConfig.get().overrides.task), plain, {}, parent_run_id()) as run:
        if config.model.lag == 2:
            raise DataError("tile.tif is truncated")
        if config.model.lag == 5:
            import os
            os.chdir("/")
            raise DataError("this job left its folder")
        if config.model.lag == 9:
            raise KeyboardInterrupt
        run.log_metrics({"test/natural/r2": config.model.lag / 10, "val/natural/rmse": 0.1})

main()
"""
CONF = """
model: {lag: 3}
seed: 0
tracking: {experiment: mlssm, folder: ml runs, uri: null, run_name: null}
hydra:
  sweep: {dir: "${tracking.folder}/hydra/sweeps/${now:%Y-%m-%d}/${now:%H-%M-%S-%f}"}
  callbacks: {sweep_parent: {_target_: mlssm.jobs.sweep.SweepParent}}
"""


@pytest.fixture
def app(config, tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "app.yaml").write_text(CONF)
    return tmp_path


def start(app: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    command = [sys.executable, "-W", "error::UserWarning", "app.py", *arguments]
    return subprocess.run(command, cwd=app, capture_output=True, text=True, env=environment, check=False)


def parent_of(store: Store):
    (found,) = store.client.search_runs([store.experiment_id], "tags.`mlssm.kind` = 'sweep'")
    return found


def comparison(store: Store, run_id: str) -> pd.DataFrame:
    return pd.read_csv(store.client.download_artifacts(run_id, "comparison.csv"))


def test_a_sweep_with_failing_jobs_goes_on_says_so_and_compares(app, config):
    # the last job leaves its folder: the end is written to the same store wherever the process then stands
    done = run_script(app / "app.py", "-m", "model.lag=1,2,30,3,5", folder=app)
    store = open_store(config)
    parent = parent_of(store)
    runs = {run.name: run.status for run in children(store, parent.info.run_id)}
    assert runs == {"lag=1": "FINISHED", "lag=2": "FAILED", "lag=3": "FINISHED", "lag=5": "FAILED"}
    assert (done.returncode, parent.info.status) == (1, "FAILED")
    assert parent.info.run_name == "sweep lag=1,2,30,3,5"
    tags = parent.data.tags
    assert tags["mlssm.overrides"] == "model.lag=1,2,30,3,5"
    assert tags["failed.1"] == "model.lag=2: DataError: tile.tif is truncated"
    assert tags["failed.2"] == "model.lag=30: DataError: lag 30 has no weather"
    assert tags["failed.4"] == "model.lag=5: DataError: this job left its folder"
    assert (len([tag for tag in tags if tag.startswith("failed.")]), parent.info.end_time is not None) == (3, True)
    table = comparison(store, parent.info.run_id)
    assert table["run"].tolist() == ["lag=1", "lag=2", "lag=3", "lag=5"]
    assert table["model.lag"].tolist() == [1, 2, 3, 5]
    assert table["test/natural/r2"].round(3).fillna(-1).tolist() == [0.1, -1, 0.3, -1]
    (file,) = app.glob("ml runs/hydra/sweeps/*/*/parent_run")
    assert file.read_text() == parent.info.run_id


def test_a_sweep_that_cannot_be_composed_fails(app, config):
    done = run_script(app / "app.py", "-m", "model.leg=1,2", folder=app)
    assert done.returncode == 1
    assert parent_of(open_store(config)).info.status == "FAILED"


@pytest.mark.exhaustive
def test_an_interrupted_sweep_is_killed(app, config):
    done = start(app, "-m", "model.lag=1,9,3")
    assert done.returncode != 0
    store = open_store(config)
    parent = parent_of(store)
    assert parent.info.status == "KILLED"
    assert [run.status for run in children(store, parent.info.run_id)] == ["FINISHED", "KILLED"]


def test_a_store_that_cannot_be_reached_stops_the_sweep_before_its_first_job(app):
    done = run_script(app / "app.py", "-m", "model.lag=1,2", "tracking.uri=http://127.0.0.1:9", folder=app)
    assert done.returncode == 1
    assert done.stderr.startswith("error: tracking store http://127.0.0.1:9 cannot be used")
    assert not (app / "ml runs" / "hydra").exists()


@pytest.fixture
def hydra_job(app, monkeypatch):
    """Puts Hydra into the state that a job finds, by its mode."""
    monkeypatch.chdir(app)

    def enter(mode: str) -> None:
        with initialize_config_dir(str(app), version_base="1.3"):
            config = compose("app", [f"hydra.mode={mode}", "hydra.sweep.dir=sweeps"], return_hydra_config=True)
        config.hydra.runtime.cwd = str(app)
        HydraConfig.instance().set_config(config)

    yield enter
    HydraConfig.instance().cfg = None


def test_outside_a_sweep_there_is_no_parent(hydra_job):
    assert parent_run_id() is None
    hydra_job("RUN")
    assert parent_run_id() is None


def test_a_job_of_a_sweep_reads_its_parent_and_refuses_to_go_without(hydra_job, app):
    hydra_job("MULTIRUN")
    with pytest.raises(RunError, match=r"the sweep has no parent run: .*parent_run is missing"):
        parent_run_id()
    (app / "sweeps").mkdir()
    (app / "sweeps" / "parent_run").write_text("abc")
    assert parent_run_id() == "abc"


def test_what_all_jobs_were_told_is_not_a_jobs_own_however_hydra_writes_it(hydra_job, app):
    assert own_overrides() is None
    hydra_job("MULTIRUN")
    (app / "sweeps").mkdir()
    (app / "sweeps" / "overrides").write_text("model.lag=1,2\nweighted=false")
    with read_write(HydraConfig.instance().cfg.hydra):
        HydraConfig.get().overrides.task = ["model.lag=1", "weighted=False"]
    assert own_overrides() == ["model.lag=1"]


def train_config(run_name: str | None) -> SimpleNamespace:
    """The part of the configuration that the name comes from."""
    return SimpleNamespace(
        tracking=SimpleNamespace(run_name=run_name),
        window=SimpleNamespace(lag=7),
        sampler=SimpleNamespace(name="two_pass"),
        datamodule=SimpleNamespace(root=Path("areas/santa_barbara")),
    )


def test_a_jobs_name_is_the_configured_one_or_lag_sampler_and_area():
    assert job_name(train_config("mine")) == "mine"
    assert job_name(train_config(None)) == "lag=7 two_pass santa_barbara"


def test_the_callback_is_cheap_to_import():
    heavy = "{'mlflow', 'torch', 'pandas', 'sqlalchemy'}"
    code = f"import mlssm.jobs.sweep, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], ""),
        (["model.lag=3", "sampler=two_pass"], "lag=3 two_pass"),
        (["model.lag=1,2,3", "sampler=natural,two_pass"], "lag=1,2,3 natural,two_pass"),
        (["+search=convlstm", "seed=3", "model.peepholes=true"], "convlstm seed=3 peepholes=true"),
        (["deterministic=true", "x=null"], "deterministic=true x=null"),
        (["datamodule.root=../shared/santa_barbara", "datamodule=opera_rtc"], "root=santa_barbara opera_rtc"),
        (["split.test=[2022]", "tracking.experiment=mine", "++tracking.folder=a", "~loss"], "test=[2022] ~loss"),
        (["datamodule.backscatter.folder='a b'"], "folder=a b"),
    ],
)
def test_run_names(overrides, name):
    assert run_name(overrides) == name


def test_a_run_name_fits_its_column():
    assert len(run_name([f"model.key{number}=1" for number in range(100)])) == 250


def run(name: str, params: dict[str, str], **metrics: float) -> Run:
    return Run(name, name, "FINISHED", params, {key.replace("_", "/", 2): value for key, value in metrics.items()}, {})


SCORES = ("r2", "rmse", "mae", "corr", "bias", "r2_cap", "skill")


def test_the_comparison_shows_what_differs_and_the_natural_scores():
    runs = [
        run(
            "a",
            {"model.lag": "1", "seed": "0", "sampler.name": "natural"},
            test_natural_r2=0.5,
            test_natural_r2_cap=0.8,
        ),
        run("b", {"model.lag": "3", "seed": "0", "sampler.name": "natural"}, val_natural_rmse=0.1),
        run("c", {}),
    ]
    assert changed_parameters(runs) == ["model.lag"]
    table = compare(runs)
    assert table.columns.tolist() == [
        "run", "status", "model.lag",
        *(f"{split}/natural/{score}" for split in ("val", "test") for score in SCORES),
        "run_id",
    ]  # fmt: skip
    assert table.loc[0, "test/natural/r2_cap"] == 0.8
    assert table.loc[1, "model.lag"] == "3"
    assert math.isnan(table.loc[2, "test/natural/r2"])


@pytest.mark.parametrize(
    ("children", "failed_job", "outcome", "status"),
    [
        (["FINISHED", "FINISHED"], False, "FINISHED", "FINISHED"),
        (["FINISHED", "FAILED"], False, "FINISHED", "FAILED"),
        (["FINISHED"], True, "FINISHED", "FAILED"),
        (["FINISHED"], False, "FAILED", "FAILED"),
        (["FINISHED"], False, "KILLED", "KILLED"),
        (["KILLED", "FAILED"], False, "FAILED", "KILLED"),
        (["FINISHED", "RUNNING"], False, "FINISHED", "FAILED"),
        ([], False, "FINISHED", "FINISHED"),
    ],
)
def test_the_parents_status(children, failed_job, outcome, status):
    assert end_status(children, failed_job, outcome) == status
