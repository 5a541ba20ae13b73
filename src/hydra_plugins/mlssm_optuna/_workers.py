"""More worker processes on this machine, each with the same command line."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from hydra_plugins.mlssm_optuna._storage import STORAGE
from mlssm.secrets import without_password

log = logging.getLogger(__name__)

WORKER = "MLSSM_STUDY_WORKER"  # set in a process that another worker started


def is_worker() -> bool:
    """Whether another worker started this process."""
    return WORKER in os.environ


def start_workers(count: int, address: str) -> list[subprocess.Popen[bytes]]:
    """Start workers of the same study; they get its address by the environment, so that no password shows."""
    environment = {**os.environ, WORKER: "1", STORAGE: address}
    command = [sys.executable, *(without_password(item) for item in sys.orig_argv[1:])]
    return [subprocess.Popen(command, env=environment) for _ in range(count)]


def wait_for(workers: list[subprocess.Popen[bytes]]) -> int:
    """Wait until they end, and say how many failed."""
    return sum(worker.wait() != 0 for worker in workers)


def stop(workers: list[subprocess.Popen[bytes]]) -> None:
    """End those that still run; their trials are tried again."""
    for worker in workers:
        if worker.poll() is None:
            log.warning("worker %d is stopped", worker.pid)
            worker.terminate()
            worker.wait()
