"""In how many processes torchrun, srun or submitit started this command. Cheap to import: asked before any sweep."""

from __future__ import annotations

import os

from mlssm.errors import ConfigError

# what says so: torchrun; srun; submitit on this machine
COUNTS = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "SUBMITIT_LOCAL_NTASKS")


def tasks() -> int:
    """Number of processes that were started with the same command; 1 where nobody but the user started it."""
    return max(int(os.environ.get(name, 1)) for name in COUNTS)


def check_sweep() -> None:
    """Refuse a sweep that was started in several processes: each of them would run the whole of it.

    Raises:
        ConfigError: It was.
    """
    if (started := tasks()) > 1:
        raise ConfigError(
            f"a sweep (-m) was started in {started} processes, and each would run all of its jobs; start it in one "
            "(without torchrun, srun -n 1, hydra.launcher.tasks_per_node=1) and set trainer=ddp trainer.devices=N"
        )
