"""What tracking costs: seconds of a training's epoch with and without it, in turns, on SQLite and on a local server.

    python benchmarks/tracking.py [Hydra overrides]

Trains on the default simulated watershed, in a temporary folder unless `datamodule.root` is given, with system metrics
sampled and the console kept throughout. Every other epoch is written to the run. The share is the time spent in writing
(by the training and by the sampling thread) over the time of the epochs; it is finer than the ratio, which holds the
noise of the machine.
"""

from __future__ import annotations

import logging
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_lightning.loggers.logger import Logger

from mlssm.config import TrainConfig, parse
from mlssm.data.assemble import Experiment, assemble
from mlssm.jobs.area import open_area
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.opening import open_store
from mlssm.tracking.outbox import Outbox
from mlssm.tracking.run import TrackedRun
from mlssm.training.train_network import train_network

CONF = Path(__file__).resolve().parents[1] / "conf"
EPOCHS, FIRST = 21, 2  # the first ones warm the caches
ONCE_AN_EPOCH = "val/natural/rmse"


class EveryOther(Logger):
    """Writes every other epoch to a run, and takes the time of each."""

    def __init__(self, run: TrackedRun) -> None:
        """Begin with an epoch that is written."""
        super().__init__()
        self._run, self._written, self._begun = run, True, time.perf_counter()
        self.seconds: dict[bool, list[float]] = {True: [], False: []}
        self.writing = 0.0

    @property
    def name(self) -> str:
        """Nothing is named after it."""
        return "every_other"

    @property
    def version(self) -> str:
        """Nothing is named after it."""
        return "0"

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write them, or not; an epoch lasts from one validation to the next."""
        now = time.perf_counter()
        if ONCE_AN_EPOCH in metrics:
            self.seconds[self._written].append(now - self._begun)
            self._written, self._begun = not self._written, now
        if self._written:
            self._run.log_metrics(metrics, step)
            self.writing += time.perf_counter() - now


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A server on loopback; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/kept"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            try:
                if requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok:
                    yield f"http://127.0.0.1:{port}"
                    return
            except requests.ConnectionError:
                time.sleep(0.2)
        raise SystemExit("error: mlflow server did not start")
    finally:
        server.terminate()
        server.wait()


def measure(experiment: Experiment, config: TrainConfig, values: Mapping[str, Any], folder: Path) -> str:
    """Train, and say what an epoch took with and without writing."""
    sampling = 0.0
    put = Outbox.put

    def timed(outbox: Outbox, operation: Any) -> None:
        nonlocal sampling
        start = time.perf_counter()
        put(outbox, operation)
        sampling += time.perf_counter() - start

    store = open_store(config.tracking)
    with tracked_run(store, "benchmark", values, {}, folder=folder) as run:
        logger = EveryOther(run)
        Outbox.put = timed  # type: ignore[method-assign]
        try:
            train_network(experiment, config, folder / "checkpoints", logger)
        finally:
            Outbox.put = put  # type: ignore[method-assign]
    written, plain = (statistics.median(logger.seconds[kind][FIRST:]) for kind in (True, False))
    whole = sum(logger.seconds[True])
    return (
        f"an epoch {written:.3f} s with and {plain:.3f} s without writing, ratio {written / plain:.3f}; "
        f"the training spent {logger.writing / whole:.2%} of its written epochs in writing "
        f"({1000 * logger.writing / len(logger.seconds[True]):.1f} ms an epoch); "
        f"all writes, with the thread's {sampling / (whole + sum(logger.seconds[False])):.2%} of all epochs"
    )


def main(*overrides: str) -> None:
    """Measure on both stores, and print a line each."""
    logging.getLogger("mlssm").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name, mlflow_server(Path(name)) as address:
        folder = Path(name)
        places = f"datamodule.root={folder}/area", f"datamodule.cubes={folder}/cubes"
        length = f"trainer.max_epochs={EPOCHS}", f"optimiser.patience={EPOCHS}", "trainer.accelerator=cpu"
        for store, uri in (("SQLite", "null"), ("mlflow server", address)):
            told = (*places, *length, f"tracking.folder={folder}/mlruns", f"tracking.uri={uri}", *overrides)
            with initialize_config_dir(str(CONF), version_base="1.3"):
                plain = OmegaConf.to_container(compose("train", list(told)), resolve=True)
            assert isinstance(plain, dict)
            values = {str(key): value for key, value in plain.items()}
            config = parse(TrainConfig, values)
            experiment = assemble(open_area(config.datamodule, config.on_bad_file), config)
            print(f"{store}: {measure(experiment, config, values, folder / store)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
