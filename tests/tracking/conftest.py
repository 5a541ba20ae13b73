"""A store for each test; the database is migrated once and copied, for that takes most of the time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlssm.config import TrackingConfig
from mlssm.tracking.opening import open_store
from mlssm.tracking.store import Store

FIRST_OPENING = """
import logging, sys
from pathlib import Path
from mlssm.config import TrackingConfig
from mlssm.tracking.opening import open_store
logging.basicConfig(level=logging.INFO)
open_store(TrackingConfig(experiment="other", folder=Path(sys.argv[1]), uri=None, run_name=None))
from mlflow.telemetry.utils import is_telemetry_disabled
assert is_telemetry_disabled()
"""


@pytest.fixture(autouse=True)
def no_outer_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def first_opening(tmp_path_factory: pytest.TempPathFactory) -> tuple["subprocess.CompletedProcess[str]", Path]:
    """What a process of its own said when it opened a store on an empty folder, and that folder."""
    folder = tmp_path_factory.mktemp("first")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    command = [sys.executable, "-c", FIRST_OPENING, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False), folder


@pytest.fixture
def config(tmp_path: Path, first_opening: tuple["subprocess.CompletedProcess[str]", Path]) -> TrackingConfig:
    folder = tmp_path / "ml runs"  # a space, to see that addresses survive it
    folder.mkdir()
    shutil.copy(first_opening[1] / "mlflow.db", folder)
    return TrackingConfig(experiment="mlssm", folder=folder, uri=None, run_name=None)


@pytest.fixture
def store(config: TrackingConfig) -> Store:
    return open_store(config)
