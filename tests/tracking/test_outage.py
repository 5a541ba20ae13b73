"""A real server is killed and hangs while runs are written to it; each run must be as one that was never disturbed."""

import contextlib
import logging
import math
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytorch_lightning as pl
import requests
import torch
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput
from torch.utils.data import DataLoader, TensorDataset

from mlssm.config import TrackingConfig
from mlssm.tracking import outbox
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.lightning import lightning_logger
from mlssm.tracking.opening import open_store
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]

EPOCHS, DEAD_FROM, BACK_FROM = 8, 3, 6
STARTING_SECONDS = 90
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight more processes, for what is not asked here
OWN = ("mlssm.host", "mlssm.pid", "mlssm.pid_started", "mlssm.folder", "mlflow.runName")


@dataclass
class Server:
    """`mlflow server` on loopback, which serves artifacts too."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as output:
            told = {"stdout": output, "stderr": output, "start_new_session": True, "env": os.environ | NO_JOBS}
            self.process = subprocess.Popen(command, **told)
        deadline = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.uri}/health", timeout=5).ok:
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()


class Line(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(self.layer.weight, 0.5)
        torch.nn.init.constant_(self.layer.bias, 0.1)

    def training_step(self, batch, batch_index):
        loss = self.layer(batch[0]).square().mean()
        self.log("train/loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, batch_index):
        self.log("val/natural/rmse", self.layer(batch[0]).square().mean().sqrt())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(run: TrackedRun, *callbacks: pl.Callback) -> None:
    loader = DataLoader(TensorDataset(torch.ones(4, 1)), batch_size=2)
    shown = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    logger = lightning_logger(run)
    pl.Trainer(max_epochs=EPOCHS, accelerator="cpu", logger=logger, callbacks=list(callbacks), **shown).fit(
        Line(), loader, loader
    )
    run.log_metrics({"val/natural/rmse": 0.125, "test/natural/rmse": 0.25})


def epoch(run: TrackedRun, number: int) -> None:
    """What a training writes in one epoch, of each kind."""
    run.log_metrics({"val/natural/rmse": math.exp(-number / 3), "train/loss": 1 / (number + 1)}, number)
    run.set_tags({"epoch": number})
    run.log_text(f"epoch {number}", "notes/last.txt")
    run.log_text(f"epoch {number}", f"notes/{number}.txt")
    run.log_params({f"epoch{number}.long": "x" * 5000})
    dataset = MetaDataset(HTTPDatasetSource("http://data.example"), name=f"dates {number}", digest=f"c0ffee{number}")
    run.log_inputs([DatasetInput(dataset._to_mlflow_entity())])
    if number == EPOCHS - 1:
        run.log_metrics({"val/natural/rmse": 0.2, "test/natural/rmse": 0.25})


def tracking(folder: Path, uri: str) -> TrackingConfig:
    return TrackingConfig(experiment="mlssm", folder=folder / "mlruns", uri=uri, run_name=None)


def train_until_killed(folder: Path, uri: str) -> None:
    """A training that is still going on, its server dead, when it is killed."""
    outbox.PAUSE_SECONDS = 0.0
    with tracked_run(open_store(tracking(folder, uri)), "killed", {}, {}, folder=folder / "killed") as run:
        for number in range(DEAD_FROM):
            epoch(run, number)
        (folder / "begun").touch()
        wait_for(folder / "server is dead")
        for number in range(DEAD_FROM, EPOCHS):
            epoch(run, number)
        (folder / "written").write_text(run.run_id)
        time.sleep(600)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


@dataclass(frozen=True)
class Runs:
    """Ids: never disturbed (of the loop and of Lightning); the server back before the end; dead to the end; killed."""

    plain: str
    plain_fit: str
    back: str
    back_fit: str
    dead: str
    killed: str


@dataclass
class Outage(pl.Callback):
    """Disturbs a training, and others in step with it."""

    server: Server
    folder: Path
    others: list[TrackedRun]
    dead_to_the_end: contextlib.ExitStack
    killed: multiprocessing.Process

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        number = trainer.current_epoch
        if number == DEAD_FROM:
            self.server.kill()
            (self.folder / "server is dead").touch()
        if number == BACK_FROM:
            for rest in range(number, EPOCHS):
                epoch(self.others[1], rest)
            self.dead_to_the_end.close()
            wait_for(self.folder / "written")
            self.killed.kill()
            self.killed.join()
            self.server.start()
        for run in self.others if number < BACK_FROM else self.others[:1]:
            epoch(run, number)


@pytest.fixture(scope="module")
def server(tmp_path_factory, first_opening) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(first_opening[1] / "mlflow.db", folder)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = Server(folder, port)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("trainings")


@pytest.fixture(scope="module")
def runs(server, folder) -> Runs:
    context = multiprocessing.get_context("forkserver")
    killed = context.Process(target=train_until_killed, args=(folder, server.uri))
    killed.start()
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(outbox, "PAUSE_SECONDS", 0.0)
        store = open_store(tracking(folder, server.uri))
        with tracked_run(store, "plain", {}, {}, folder=folder / "plain") as plain:
            for number in range(EPOCHS):
                epoch(plain, number)
        with tracked_run(store, "plain fit", {}, {}, folder=folder / "plain_fit") as plain_fit:
            fit(plain_fit)
        to_the_end = contextlib.ExitStack()
        back = stack.enter_context(tracked_run(store, "back", {}, {}, folder=folder / "back"))
        dead = to_the_end.enter_context(tracked_run(store, "dead", {}, {}, folder=folder / "dead"))
        wait_for(folder / "begun")
        with tracked_run(store, "back fit", {}, {}, folder=folder / "back_fit") as back_fit:
            fit(back_fit, Outage(server, folder, [back, dead], to_the_end, killed))
    ids = [run.run_id for run in (plain, plain_fit, back, back_fit, dead)]
    return Runs(*ids, (folder / "written").read_text())


def histories(store: Store, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """All values of all metrics, each as often as it is there, the last one first known to MLflow."""
    return {
        name: [(item.step, item.value) for item in store.client.get_metric_history(run_id, name)]
        for name in store.client.get_run(run_id).data.metrics
    }


def artifacts(store: Store, run_id: str, folder: Path) -> dict[str, bytes]:
    top = Path(store.client.download_artifacts(run_id, "", str(folder)))
    own = ("console.log", "git.diff")  # times, and what others change meanwhile
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in sorted(top.rglob("*"))
        if path.is_file() and path.name not in own
    }


def state(store: Store, run_id: str, folder: Path) -> tuple[object, ...]:
    """All that a run keeps, apart from its times, names, process and what MLflow makes of that process's main file."""
    run = store.client.get_run(run_id)
    tags = {
        key: value
        for key, value in run.data.tags.items()
        if key not in OWN and not key.startswith("mlflow.source.git.")
    }
    inputs = sorted((item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs)
    folder.mkdir()
    kept = artifacts(store, run_id, folder)
    return histories(store, run_id), run.data.metrics, run.data.params, tags, inputs, kept, run.info.status


WORKERS = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*logging interval.*")


@WORKERS
@pytest.mark.parametrize(("disturbed", "like"), [("back", "plain"), ("back_fit", "plain_fit")])
def test_a_server_killed_and_started_again_in_mid_run_leaves_no_trace(runs, server, folder, tmp_path, disturbed, like):
    store = open_store(tracking(tmp_path, server.uri))  # another tracking folder, so nothing is sent by this
    expected = state(store, getattr(runs, like), tmp_path / "expected")
    assert state(store, getattr(runs, disturbed), tmp_path / "found") == expected
    assert expected[-1] == "FINISHED"
    assert not list((folder / disturbed / "unsent").iterdir())


@WORKERS
def test_the_next_command_sends_what_a_server_dead_to_the_end_and_a_killed_process_left(
    runs, server, folder, tmp_path, caplog
):
    before = open_store(tracking(tmp_path, server.uri))
    for run_id in (runs.dead, runs.killed):
        assert before.client.get_run(run_id).info.status == "RUNNING"
        assert len(before.client.get_metric_history(run_id, "train/loss")) == DEAD_FROM
    caplog.set_level(logging.INFO, "mlssm")
    store = open_store(tracking(folder, server.uri))
    assert caplog.text.count("that an earlier command kept are sent") == 2
    expected = state(store, runs.plain, tmp_path / "expected")
    assert state(store, runs.dead, tmp_path / "dead") == expected
    assert state(store, runs.killed, tmp_path / "killed") == (*expected[:-1], "RUNNING")
    assert not list((folder / "mlruns" / "unsent").iterdir())
    for name in ("dead", "killed"):
        assert not list((folder / name / "unsent").iterdir())


def test_a_server_that_accepts_and_hangs_is_waited_for_once_a_pause(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(outbox, "REQUEST_SECONDS", 1)
    store = open_store(tracking(tmp_path, server.uri))
    attempts = []
    send = outbox.Outbox._send
    monkeypatch.setattr(outbox.Outbox, "_send", lambda self, item: attempts.append(item) or send(self, item))
    with tracked_run(store, "hangs", {}, {}, folder=tmp_path / "hangs") as run:
        attempts.clear()
        server.signal(signal.SIGSTOP)
        try:
            for number in range(EPOCHS - 1):
                epoch(run, number)
        finally:
            server.signal(signal.SIGCONT)
        assert len(attempts) == 1
        assert caplog.text.count("the training goes on") == 1
        epoch(run, EPOCHS - 1)
    assert histories(store, run.run_id)["train/loss"] == [(number, 1 / (number + 1)) for number in range(EPOCHS)]
    assert store.client.get_run(run.run_id).info.status == "FINISHED"


def test_an_error_of_an_earlier_end_is_set_aside_on_a_server_too(server, tmp_path):
    store = open_store(tracking(tmp_path, server.uri))
    with pytest.raises(ZeroDivisionError), tracked_run(store, "fails", {}, {}, folder=tmp_path / "job") as run:
        raise ZeroDivisionError
    with tracked_run(store, "fails", {}, {}, folder=tmp_path / "job", resume=run.run_id):
        pass
    names = {item.path for item in store.client.list_artifacts(run.run_id)}
    assert "error.before-resume-1.txt" in names
    assert "error.txt" not in names
