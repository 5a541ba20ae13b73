"""A Hydra application of a few lines in the place of the training, in this process or in one of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
import optuna
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hydra_plugins.mlssm_optuna import _worker
from hydra_plugins.mlssm_optuna._figures import StudyFigures, draw_study
from hydra_plugins.mlssm_optuna._storage import STORAGE, open_storage
from hydra_plugins.mlssm_optuna._worker import WORKER
from mlssm.jobs import search as record
from mlssm.jobs.outcome import Outcome

SHIPPED = Path(__file__).resolve().parents[2] / "conf" / "hydra" / "sweeper" / "optuna.yaml"
CONF = """
defaults: [{group: one}, _self_]
model: {lag: 3, hidden: [16], rate: 0.1}
data: here
seed: 0
seeds: 1
trial: null
trainer: {max_epochs: 9}
tracking: {folder: kept}
hydra:
  sweep: {dir: "${tracking.folder}/${now:%H-%M-%S-%f}"}
  output_subdir: null
  job_logging: {disable_existing_loggers: false}
"""
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import hydra
from mlssm.errors import MlssmError
from mlssm.jobs import search, sweep
from mlssm.jobs.outcome import Outcome
from hydra_plugins.mlssm_optuna import _figures, _worker
_worker.draw_study = lambda trials: _figures.StudyFigures({}, {})
for name, double in {"set_study": lambda name: None, "leave_running": lambda: None,
                     "current_parent": lambda: None}.items():
    setattr(sweep, name, double)
search.register_champion = lambda run_id: (Path("champions").open("a").write(run_id + chr(10)), 1)[1]

@hydra.main(version_base="1.3", config_path="conf", config_name="app")
def job(config):
    Path("workers").open("a").write(str(os.getpid()) + chr(10))
    number = -1 if config.trial is None else config.trial.number
    if str(number) in Path("kill").read_text().split():
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("KILL_LAG") == str(config.model.lag):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("PAUSE", 0)))
    return Outcome((config.model.lag - 5) ** 2 / 10, 1.0, f"run of {number}")

try:
    job()
except MlssmError as error:
    sys.exit(f"error: {error}")
"""


@dataclass
class App:
    """An application with the shipped sweeper; jobs that ran stand in `jobs`."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    jobs: list[DictConfig] = field(default_factory=list)
    shown: list[tuple[Any, ...]] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    champions: list[str] = field(default_factory=list)
    draws: bool = False

    def search(self, *arguments: str, job: Callable[[DictConfig], Any] | None = None) -> None:
        """Run a search in this process; by default over a parabola of model.lag with its minimum at 5."""
        self.jobs.clear()

        def task(config: DictConfig) -> Any:
            self.jobs.append(config)
            return (job or parabola)(config)

        argv = ["app.py", "-m", "hydra/sweeper=optuna", *arguments]
        self.monkeypatch.setattr(sys, "argv", argv)
        GlobalHydra.instance().clear()
        hydra.main(version_base="1.3", config_path=str(self.folder / "conf"), config_name="app")(task)()

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a search as a process of its own."""
        command = [sys.executable, "app.py", "-m", "hydra/sweeper=optuna", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, **environment}, text=True, stderr=subprocess.PIPE
        )

    def study(self, address: str | None = None) -> optuna.Study:
        """The only study of a storage."""
        storage = open_storage(address or f"sqlite:///{self.folder / 'kept' / 'optuna.db'}")
        (name,) = (name for name in optuna.get_all_study_names(storage) if not name.endswith(" champion"))
        return optuna.load_study(study_name=name, storage=storage)

    @property
    def lags(self) -> list[int]:
        """model.lag of each job of the last search."""
        return [job.model.lag for job in self.jobs]


def parabola(config: DictConfig) -> Outcome:
    return Outcome((config.model.lag - 5) ** 2 / 10, float(config.model.lag), f"run {HydraConfig.get().job.num}")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    conf = tmp_path / "conf"
    (conf / "hydra" / "sweeper").mkdir(parents=True)
    (conf / "group").mkdir()
    for name in ("one", "two"):
        (conf / "group" / f"{name}.yaml").write_text(f"name: {name}\n")
    shutil.copy(SHIPPED, conf / "hydra" / "sweeper")
    (conf / "app.yaml").write_text(CONF)
    (tmp_path / "app.py").write_text(SCRIPT)
    (tmp_path / "kill").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv(STORAGE, "")
    monkeypatch.delenv(STORAGE)
    monkeypatch.delenv(WORKER, raising=False)
    made = App(tmp_path, monkeypatch)
    monkeypatch.setattr(record, "join", made.studies.append)
    monkeypatch.setattr(record, "leave_running", lambda: made.studies.append("left running"))
    monkeypatch.setattr(record, "show", lambda *shown: made.shown.append(shown))
    monkeypatch.setattr(record, "register_champion", lambda run_id: made.champions.append(run_id) or 1)
    monkeypatch.setattr(
        _worker, "draw_study", lambda trials: draw_study(trials) if made.draws else StudyFigures({}, {})
    )
    yield made
    GlobalHydra.instance().clear()


def states(study: optuna.Study) -> dict[str, int]:
    """How many trials ended how."""
    names = [trial.state.name for trial in study.trials]
    return {name: names.count(name) for name in sorted(set(names))}
