"""The other processes of a training on this machine, as the first one sees them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

from mlssm.errors import MlssmError

log = logging.getLogger(__name__)
GRACE_S = 10.0  # for a process to notice what became of another
END_S = 120.0  # for the others to end after the first


class RankError(MlssmError):
    """A process of a distributed training that ended before the training did."""


@dataclass(frozen=True)
class LocalRank:
    """One of the others.

    Attributes:
        number: Its rank, from 1.
        process: It.
        ready: Where it says that it is about to train: a pipe that ends with the process.
        log: Where its output goes.
    """

    number: int
    process: subprocess.Popen[bytes]
    ready: int
    log: Path

    def last_words(self) -> str:
        """How it ended, in a line, and the end of its output."""
        code = self.process.returncode
        name = f" ({signal.Signals(-code).name})" if code < 0 else ""
        memory = "; the system kills so when memory runs out" if code == -signal.SIGKILL else ""
        lines = self.log.read_text(encoding="utf-8", errors="replace")[-4000:].splitlines()
        tail = " | ".join([line.strip() for line in lines if line.strip()][-3:])
        return (
            f"rank {self.number} ended with exit code {code}{name}{memory}; {self.log} ends with: {tail or 'nothing'}"
        )


class LocalRanks:
    """Starts ranks 1 to count - 1 and looks after them. The environment says where the group meets."""

    def __init__(self, count: int, task: Path) -> None:
        """Start them.

        Args:
            count: Number of processes with this one.
            task: File of a `RankTask`; their output goes to `rank_1.log`, ... beside it.
        """
        self.ranks: list[LocalRank] = []
        self._dead: list[LocalRank] = []
        self._over = threading.Event()
        try:
            for number in range(1, count):
                self.ranks.append(_start(number, task))
        except OSError:
            self.kill()
            raise
        threading.Thread(target=self._watch, daemon=True).start()

    def wait_until_ready(self) -> None:
        """Wait until all are about to train, which takes as long as this process took to come so far.

        Raises:
            RankError: One of them ended instead.
        """
        for rank in self.ranks:
            if not os.read(rank.ready, 1):
                rank.process.wait()
                raise RankError(rank.last_words())

    def failure(self) -> RankError | None:
        """The error of those that ended badly, the first first; None if none does so within seconds."""
        deadline = time.monotonic() + GRACE_S / 2
        while not self._dead and self.ranks and time.monotonic() < deadline:
            time.sleep(0.05)
        # at once means: one of them, and those that lost their connection to it
        dead = sorted(self._dead, key=lambda rank: rank.process.returncode >= 0)
        return RankError("; ".join(rank.last_words() for rank in dead[:2])) if dead else None

    def finish(self) -> None:
        """Wait for the end of the others, after a training that ended well."""
        self._over.set()
        for rank in self.ranks:
            try:
                rank.process.wait(END_S)
            except subprocess.TimeoutExpired:
                log.warning("rank %d does not end; killing it", rank.number)
                continue
            if rank.process.returncode:
                log.warning("after the training %s", rank.last_words())

    def kill(self) -> None:
        """Leave no process behind, nor what it started itself."""
        self._over.set()
        for rank in self.ranks:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(rank.process.pid, signal.SIGKILL)
            rank.process.wait()
            os.close(rank.ready)
        self.ranks = []

    def _watch(self) -> None:
        """End a training that a dead process would let wait for ever.

        Gloo notices by itself that a peer is gone, NCCL does not; and nobody does before the group has met.
        """
        while not self._over.wait(0.1):
            gone = [rank for rank in self.ranks if rank not in self._dead and rank.process.poll()]
            self._dead.extend(gone)
            if self._dead and self._gave_up():
                return

    def _gave_up(self) -> bool:
        """Give the main thread time to notice, then make it, then leave without it."""
        if self._over.wait(GRACE_S):
            return True
        if dist.is_initialized() and dist.get_backend() == "nccl" and dist.group.WORLD is not None:
            dist.group.WORLD.abort()
            if self._over.wait(GRACE_S):
                return True
        log.critical("%s; this process waits for it in vain and ends", self._dead[0].last_words())
        logging.shutdown()
        os._exit(1)


def _start(number: int, task: Path) -> LocalRank:
    """Start one: in a session of its own, as an interrupt is the first process's to handle."""
    ready, told = os.pipe()
    path = task.with_name(f"rank_{number}.log")
    command = [sys.executable, "-m", "mlssm.jobs.rank", str(task), str(told), str(os.getpid())]
    try:
        with path.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, "LOCAL_RANK": str(number)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(told,),
                start_new_session=True,
            )
    except OSError:
        os.close(ready)
        raise
    finally:
        os.close(told)
    return LocalRank(number, process, ready, path)
