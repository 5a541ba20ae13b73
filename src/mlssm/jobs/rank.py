"""One of the other processes of a training: `python -m mlssm.jobs.rank TASK READY PARENT`, see `group`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from mlssm.config import TrainConfig, parse
from mlssm.distributed.rank_job import RankTask
from mlssm.errors import MlssmError
from mlssm.processes import slow_imports


def main(task: Path, ready: int, parent: int) -> None:
    """Train as the first process does, whose copy of the network is the one that is kept.

    Args:
        task: File of a `RankTask`.
        ready: The pipe to say so when about to train.
        parent: Process id of the first process.
    """
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    try:
        _train(task, ready)
    except MlssmError as error:
        sys.exit(f"error: {error}")


def _end_with(parent: int) -> None:
    """Outlive the first process by a moment at most, with all that this one started itself."""
    while os.getppid() == parent:
        time.sleep(0.3)
    os.killpg(0, signal.SIGKILL)


def _train(path: Path, ready: int) -> None:
    task = RankTask.read(path)
    config = parse(TrainConfig, task.values)
    with slow_imports():
        from mlssm.data.assemble import assemble
        from mlssm.jobs.area import open_area
        from mlssm.training.start import Start
        from mlssm.training.train_network import train_network

    experiment = assemble(
        open_area(config.datamodule, config.on_bad_file, config.weather, config.retrieval, config.dask), config
    )
    os.write(ready, b"1")
    os.close(ready)
    train_network(experiment, config, task.checkpoints, None, Start(task.resume_from), epochs=task.epochs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
