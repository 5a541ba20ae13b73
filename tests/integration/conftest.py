"""The two programs, run as a user runs them but in this process, and the area and the run that tests share."""

from __future__ import annotations

import base64
import contextlib
import gc
import io
import json
import logging
import os
import re
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from unittest import mock

import pandas as pd
import pytest
import torch
from filelock import FileLock
from hydra.core.global_hydra import GlobalHydra
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Run

from mlssm.evaluation.picture import NamedFigure

REPOSITORY = Path(__file__).resolve().parents[2]
OF_THE_MACHINE = ("system/", "seconds", "peak_memory_gb")

# a training that takes seconds, whatever the shipped defaults are
QUICK = (
    *("trainer.max_epochs=2", "trainer.accelerator=cpu", "model.hidden=[4]", "model.lag=2", "model.window=sequence"),
    *("model=convlstm", "split=by_date", "patches.size=10", "patches.dense_stride=5", "patches.min_high_fraction=0.3"),
    *("retrieval.multilook_m=90", "retrieval.multilook=block", "optimiser.batch_size=32", "evaluation.draws=100"),
    *("evaluation.why.permutation=false", "evaluation.controls=[]"),
)
# what the training that all tests share does besides
THOROUGH = ("evaluation.why.permutation=true", "evaluation.controls=[no_weather,shuffle_space]")
# an area of one season that takes two seconds to simulate
TINY = tuple(
    f"datamodule.simulation.{key}={value}"
    for key, value in {"size": 60, "seasons": 1, "stations": 3, "revisit_days": 15}.items()
)
# the same files, read as those of a real area
REAL = ("datamodule=opera_rtc", "datamodule.root=area", "datamodule.soil=soil", "datamodule.ndvi=ndvi")


PIXEL = base64.b64decode(  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsVpNLAAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Outcome:
    """What a command came to.

    Attributes:
        code: Exit code.
        stdout: What it printed.
        stderr: What it logged, warned of and complained of.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The error that the user sees at the end: from the last line that begins with `error:` on."""
        _, mark, text = f"\n{self.stderr}".rpartition("\nerror: ")
        assert mark, f"no error was printed, but:\n{self.stderr[-3000:]}"
        return text.strip()

    def check_told(self, message: str) -> None:
        """It failed with an error of one or two lines that matches, and with nothing else."""
        assert self.code == 1, self.stderr
        assert self.stdout == ""
        assert "Traceback" not in self.stderr
        assert len(self.error.splitlines()) <= 2
        assert re.search(message, self.error), self.error

    @property
    def run_id(self) -> str:
        """The MLflow run id that a training prints."""
        (line,) = (line for line in self.stdout.splitlines() if line.startswith("MLflow run "))
        return line.split()[-1]


@dataclass(frozen=True)
class Project:
    """A folder in which a user works.

    Attributes:
        folder: The working directory of the commands.
    """

    folder: Path

    def run(self, script: str, *overrides: str, figures: Literal["none", "made", "drawn"] = "none") -> Outcome:
        """Run `train` or `predict`; a run's figures are made and drawn on demand alone: that is half of the time."""
        out, err = io.StringIO(), io.StringIO()
        argv = [str(REPOSITORY / f"{script}.py"), *overrides]
        with (
            _own_process(),
            contextlib.chdir(self.folder),
            mock.patch.object(sys, "argv", argv),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            contextlib.ExitStack() as stack,
        ):
            if figures != "drawn":
                stack.enter_context(mock.patch("mlssm.evaluation.picture.as_png", return_value=PIXEL))
            if figures == "none":
                stack.enter_context(mock.patch("mlssm.jobs.report.run_figures", return_value=()))
                empty = NamedFigure("calibration", Figure())
                for place in ("mlssm.jobs.report", "mlssm.evaluation.run_intervals"):
                    stack.enter_context(mock.patch(f"{place}.calibration_figure", return_value=empty))
            if not any(item.startswith("+") for item in overrides):
                # else Hydra composes all of it once more, to learn what only an experiment or a search may say
                stack.enter_context(mock.patch("hydra._internal.hydra.Hydra.get_mode", return_value=None))
            code = _exit_code(argv[0])
        return Outcome(code, out.getvalue(), err.getvalue())

    @property
    def cubes(self) -> list[Path]:
        """The cubes that were made."""
        return list((self.folder / "data" / "cubes").glob("*.zarr"))

    @property
    def cube(self) -> Path:
        """The cube of the simulated area."""
        (path,) = (path for path in self.cubes if path.name.startswith("simulated-"))
        return path

    @property
    def client(self) -> MlflowClient:
        """Of the project's tracking store."""
        uri = f"sqlite:///{self.folder / 'mlruns' / 'mlflow.db'}"
        return MlflowClient(uri, uri)

    def runs(self, experiment: str) -> list[Run]:
        """All runs of an experiment, the first begun first."""
        found = self.client.search_runs([self.client.get_experiment_by_name(experiment).experiment_id])
        return sorted(found, key=lambda run: run.info.start_time)

    def table(self, run: Run, name: str, folder: Path) -> pd.DataFrame:
        """A table among a run's artifacts, by way of a folder."""
        place = folder / run.info.run_id
        place.mkdir(exist_ok=True)
        return pd.read_csv(self.client.download_artifacts(run.info.run_id, name, str(place)))

    @staticmethod
    def numbers(run: Run) -> dict[str, float]:
        """A run's metrics without those that the machine's state changes."""
        return {name: value for name, value in run.data.metrics.items() if not name.startswith(OF_THE_MACHINE)}

    def partial(self) -> list[Path]:
        """What a program that broke off would have left."""
        return [path for path in self.folder.rglob("*") if "partial" in path.name]


def _exit_code(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):  # Python itself prints it and exits with 1
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


@contextlib.contextmanager
def _own_process() -> Iterator[None]:
    """Put back what Hydra, Lightning and MLflow set for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    GlobalHydra.instance().clear()
    try:
        with mock.patch.dict(os.environ):
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            yield
    finally:
        GlobalHydra.instance().clear()
        for handler in [item for item in root.handlers if item not in handlers]:
            handler.close()
        root.handlers, root.level = handlers, level
        torch.use_deterministic_algorithms(False)
        gc.collect()  # what is not closed is found here, and not in a test to come
        gc.freeze()


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Overrides of a quick training on the tiny simulated area."""
    return (*QUICK, *TINY)


@pytest.fixture(scope="session")
def thorough() -> tuple[str, ...]:
    """What the training that all share is told beyond `tiny`."""
    return THOROUGH


@pytest.fixture(scope="session")
def real() -> tuple[str, ...]:
    """Overrides of a quick training on the files in `area`, see `area_copy`."""
    return (*QUICK, *REAL)


@pytest.fixture(scope="session")
def trained(
    tiny: tuple[str, ...], thorough: tuple[str, ...], common: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, Outcome]:
    """A project in which the tiny simulated area was trained on once, and what that printed."""
    origin = Project(common / "trained")
    told = origin.folder / "outcome.json"
    with FileLock(common / "trained.lock"):
        if not told.is_file():
            origin.folder.mkdir()
            outcome = origin.run("train", *tiny, *thorough, figures="drawn")
            assert outcome.code == 0, outcome.stderr
            told.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    project = Project(tmp_path_factory.mktemp("trained") / "project")
    shutil.copytree(origin.folder, project.folder)
    return project, Outcome(**json.loads(told.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def tiny_area(trained: tuple[Project, Outcome]) -> Path:
    """The files of the tiny area. Not to be changed: see `area_copy`."""
    return trained[0].folder / "data" / "simulated"


@pytest.fixture
def project(tmp_path: Path, trained: tuple[Project, Outcome]) -> Project:
    """A new project, whose tracking store has no run."""
    empty = tmp_path / "mlruns"
    empty.mkdir()
    template = trained[0].folder / "empty.db"
    if not template.is_file():
        _empty_store(trained[0].folder, template)
    shutil.copy(template, empty / "mlflow.db")  # a second less than making one
    return Project(tmp_path)


def _empty_store(folder: Path, template: Path) -> None:
    from mlssm.config import TrackingConfig
    from mlssm.tracking.opening import open_store

    with contextlib.chdir(folder):
        open_store(TrackingConfig(experiment="other", folder=Path(), uri=f"sqlite:///{template}", run_name=None))


@pytest.fixture(scope="session")
def area_copied(tiny_area: Path) -> Callable[[Path], Path]:
    """Copies the tiny area's files to `area` in a folder, without what says that it is simulated."""

    def copied(folder: Path) -> Path:
        left_out = shutil.ignore_patterns("truth.zarr", "simulation.json")
        return Path(shutil.copytree(tiny_area, folder / "area", ignore=left_out, copy_function=os.link))

    return copied


@pytest.fixture
def area_copy(project: Project, area_copied: Callable[[Path], Path]) -> Path:
    """A copy of the tiny area's files in the new project."""
    return area_copied(project.folder)


@pytest.fixture
def rewrite() -> Callable[[Path, bytes], None]:
    """Gives a file of `area_copy` new content; the original, which it is a link to, stays."""

    def write(path: Path, content: bytes) -> None:
        path.unlink()
        path.write_bytes(content)

    return write
