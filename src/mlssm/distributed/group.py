"""The processes that train one network together: one group a training, started by the job that trains."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning.strategies import DDPStrategy, ParallelStrategy

from mlssm.config import TrainConfig
from mlssm.distributed.rank_job import RankTask
from mlssm.distributed.ranks import LocalRanks
from mlssm.distributed.tasks import check_sweep, tasks
from mlssm.errors import ConfigError
from mlssm.training.trainer import build_trainer

PLACE = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK", "LOCAL_RANK")
COPYING = ("spawn", "fork", "notebook")  # in the names of those ddp strategies that copy this process into the others
# by these Lightning would take a cluster's single task for the whole group
CLUSTER = ("TORCHELASTIC_RUN_ID", "RANK", "GROUP_RANK", "SLURM_NTASKS")


def check_processes(config: TrainConfig) -> None:
    """Find what is wrong with the number of processes before any data is read.

    Raises:
        ConfigError: The command was started in another number of processes than the trainer is told; a sweep in
            several; a strategy other than ddp; several machines without torchrun or srun.
    """
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        check_sweep()
    trainer, started = _trainer(config), tasks()
    wanted = trainer.num_devices * trainer.num_nodes
    if started > 1 and wanted != started:
        raise ConfigError(
            f"the command was started in {started} processes, but trainer.devices x trainer.num_nodes is {wanted}; "
            "set trainer=ddp, trainer.devices to the processes a machine and +trainer.num_nodes to the machines"
        )
    strategy = str(config.trainer.get("strategy", "auto"))
    copies = any(word in strategy for word in COPYING)
    if isinstance(trainer.strategy, ParallelStrategy) and (copies or not _is_ddp(trainer)):
        raise ConfigError(
            f"trainer.strategy={strategy} is not supported: gradients and scores are "
            "joined, and processes started, for ddp; set trainer.strategy=ddp"
        )
    if started == 1 and trainer.num_nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes={trainer.num_nodes}: start the command by torchrun or srun on every machine"
        )


@contextmanager
def process_group(config: TrainConfig, task: RankTask) -> Iterator[Path]:
    """Bring together the processes that train one network; to be put around `fit`.

    This process is the first. The others on this machine are started from `task`, not from the command line: that of
    a sweep's job would run the whole sweep. They are gone when the block ends, and with them the process group, so that
    the next training has its own. What torchrun or srun started in several processes is joined as it is, and stays
    together. A training in one process goes on as it is.

    Args:
        config: The typed configuration; `check_processes` has passed it.
        task: The same for the others.

    Yields:
        The checkpoints' folder, the first process's for all.

    Raises:
        RankError: Another process ended early; the message names it, its exit code and its last words.
    """
    trainer = _trainer(config)
    if not _is_ddp(trainer):
        yield task.checkpoints
    elif tasks() > 1:
        trainer.strategy.setup_environment()
        yield Path(trainer.strategy.broadcast(str(task.checkpoints)))
    else:
        with _own_group(trainer.num_devices), _started(trainer.num_devices, task):
            yield task.checkpoints


@contextmanager
def _started(count: int, task: RankTask) -> Iterator[None]:
    """The other processes: waited for at a good end, killed at a bad one."""
    path = task.checkpoints.parent / "ranks.json"
    if count > 1:
        task.write(path)
    ranks = LocalRanks(count, path)
    try:
        ranks.wait_until_ready()
        yield
        ranks.finish()
    except RuntimeError as error:  # so a collective fails that a process has left
        if (failure := ranks.failure()) is not None:
            raise failure from error
        raise
    finally:
        ranks.kill()


@contextmanager
def _own_group(count: int) -> Iterator[None]:
    """The place of the first process of a group on this machine; leaves nothing behind."""
    threads = torch.get_num_threads()
    with _restored((*PLACE, *CLUSTER, "OMP_NUM_THREADS")):  # Lightning divides the cores among the processes
        for name in CLUSTER:
            os.environ.pop(name, None)
        place = ("127.0.0.1", str(_free_port()), str(count), "0", "0")
        os.environ.update(zip(PLACE, place, strict=True))
        try:
            yield
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
            torch.set_num_threads(threads)
            gc.collect()
            torch.cuda.empty_cache()  # nothing where CUDA was not used


@contextmanager
def _restored(names: Sequence[str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _trainer(config: TrainConfig) -> pl.Trainer:
    """What Lightning makes of the Trainer's arguments; writes nothing."""
    return build_trainer(config.trainer, config.optimiser, Path("checkpoints"), None)


def _is_ddp(trainer: pl.Trainer) -> bool:
    return isinstance(trainer.strategy, DDPStrategy)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
