"""A Hydra sweep is a parent run with one child a job. Cheap to import, for Hydra does so before any command."""

from __future__ import annotations

import atexit
import logging
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mlssm.config import TrackingConfig, parse
from mlssm.distributed.tasks import check_sweep
from mlssm.errors import MlssmError, RunError
from mlssm.jobs.outcome import job_result
from mlssm.secrets import without_password
from mlssm.signals import interrupt_of
from mlssm.tracking.names import overrides_file

if TYPE_CHECKING:
    from mlssm.tracking.run import TrackedRun
    from mlssm.tracking.store import Store

log = logging.getLogger(__name__)

PARENT_FILE = "parent_run"  # in the sweep's folder; holds the parent's run id
SEARCH_PLUGIN = "hydra_plugins.mlssm_optuna."
OPEN: list[SweepParent] = []  # sweeps that are not closed yet


class SweepParent(Callback):
    """Keeps the parent run of a sweep: made before the first job, closed after the last one, however that ended."""

    def __init__(self) -> None:
        """Nothing is opened before a sweep starts."""
        self._tracking: TrackingConfig | None = None
        self._parent: str | None = None
        self._overrides: list[str] = []
        self._comparison = "children"
        self._file = Path()
        self.others_run = False

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create the parent run; that of a search is its study's, see `join`.

        Hydra only warns of a callback's exceptions, so a store that fails exits here.
        """
        self._file = _parent_file(config.hydra)
        self._overrides = list(config.hydra.overrides.task)
        try:
            check_sweep()
            _give_way(config)
            tracking = _tracking(config)
            store = _store(tracking)
            # the whole address, so that the end is written to the same store wherever the process then stands
            self._tracking = tracking.model_copy(update={"uri": store.uri})
            parent = None if _is_search(config) else _open_parent(store, config)
            self._comparison = str(config.get("comparison", self._comparison))
        except MlssmError as error:
            raise SystemExit(f"error: {error}") from None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        overrides_file(self._file.parent).write_text(
            "\n".join(map(without_password, self._overrides)), encoding="utf-8"
        )
        if parent is not None:
            self._stand_under(parent)
        OPEN.append(self)
        atexit.register(self.close_early)  # where nobody calls close_open_sweeps

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Name a failed job on the parent: it may have failed before it had a run of its own."""
        if config.hydra.mode != RunMode.MULTIRUN or job_return.status != JobStatus.FAILED:
            return
        from mlssm.tracking.parent import FAILED_JOB
        from mlssm.tracking.run import TrackedRun

        _, error = job_result(job_return)
        overrides = " ".join(job_return.overrides or ())
        parent = _parent_file(config.hydra).read_text(encoding="utf-8")
        message = without_password(f"{overrides}: {type(error).__name__}: {error}")
        store = _store(self._tracking or _tracking(config))
        TrackedRun(store, parent).set_tags({f"{FAILED_JOB}{config.hydra.job.num}": message[:5000]})

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Close the parent of a sweep that came to its end; an error exits, for Hydra would only warn of it."""
        try:
            self._close("FINISHED")
        except MlssmError as error:
            raise SystemExit(f"error: the end of sweep {self._parent} could not be recorded: {error}") from None

    def close_early(self) -> None:
        """Close the parent of a sweep that ended otherwise, if it is still open."""
        try:
            self._close("KILLED" if _interrupted() else "FAILED")
        except MlssmError as error:
            log.error("the end of sweep %s could not be recorded: %s", self._parent, error)

    def run(self) -> TrackedRun:
        """The parent, to be written to."""
        from mlssm.tracking.run import TrackedRun

        assert self._tracking is not None
        assert self._parent is not None
        return TrackedRun(_store(self._tracking), self._parent)

    def join(self, study: str) -> None:
        """Stand under the one parent run of a study, which a search names before its first job."""
        from mlssm.tracking.parent import join_study

        assert self._tracking is not None
        self._stand_under(join_study(_store(self._tracking), self._overrides, study))

    def _stand_under(self, parent: str) -> None:
        self._parent = parent
        self._file.write_text(parent, encoding="utf-8")

    def _close(self, outcome: str) -> None:
        from mlssm.jobs.summary import summarise
        from mlssm.tracking.comparison import close_sweep

        if self not in OPEN:
            return
        OPEN.remove(self)
        atexit.unregister(self.close_early)
        if self._parent is None:
            return  # a search that ended before it named its study
        status = close_sweep(self.run(), outcome, partial(summarise, self._comparison), others_run=self.others_run)
        log.info("sweep %s: %s", self._parent, status)


def close_open_sweeps() -> None:
    """Close what a failed job left open: Hydra then leaves without on_multirun_end.

    To be called before Python exits, as MLflow reads artifacts in threads, and none can be started at exit.
    """
    for sweep in list(OPEN):
        sweep.close_early()


def current_parent() -> TrackedRun | None:
    """The parent run of the sweep that this process runs; None where it runs none."""
    return OPEN[-1].run() if OPEN else None


def set_study(name: str) -> None:
    """Let the sweep that this process runs stand under the parent run of a study, which several workers share."""
    if OPEN:
        OPEN[-1].join(name)


def leave_running() -> None:
    """Keep the parent's status as it is when this process ends its sweep: other workers go on under it."""
    if OPEN:
        OPEN[-1].others_run = True


def parent_run_id() -> str | None:
    """The run id of the sweep that the current Hydra job belongs to; None outside a sweep.

    Raises:
        RunError: The job belongs to a sweep that has no parent run.
    """
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None
    path = _parent_file(hydra)
    if not path.is_file():
        raise RunError(f"the sweep has no parent run: {path} is missing; keep hydra.callbacks.sweep_parent configured")
    return path.read_text(encoding="utf-8")


def _interrupted() -> bool:
    """Whether the exception in flight, or the one that nobody handled at exit, is or comes from an interrupt."""
    last = getattr(sys, "last_type", None)
    return interrupt_of(sys.exc_info()[1]) is not None or (last is not None and issubclass(last, KeyboardInterrupt))


def _give_way(config: DictConfig) -> None:
    """Let the command line's value of a key replace those that an experiment sweeps over, which Hydra would add."""
    parsed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    given = {item.key_or_group for item in parsed}
    params = config.hydra.sweeper.get("params") or {}
    with read_write(config), open_dict(config):
        for key in [key for key in params if key in given]:
            del params[key]


def _open_parent(store: Store, config: DictConfig) -> str:
    from mlssm.tracking.parent import create_parent, earlier_parent

    overrides = list(config.hydra.overrides.task)
    again = bool(config.get("sweep", {}).get("resume", False))
    return earlier_parent(store, overrides) if again else create_parent(store, overrides)


def _is_search(config: DictConfig) -> bool:
    return str(config.hydra.sweeper.get("_target_", "")).startswith(SEARCH_PLUGIN)


def _store(tracking: TrackingConfig) -> Store:
    from mlssm.tracking.opening import open_store

    return open_store(tracking)


def _tracking(config: DictConfig) -> TrackingConfig:
    plain = OmegaConf.to_container(config.tracking, resolve=True)
    return parse(TrackingConfig, {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {})


def _parent_file(hydra: Any) -> Path:
    """Where the sweep keeps its parent's run id; `hydra` is Hydra's own part of the configuration."""
    return Path(hydra.runtime.cwd) / str(hydra.sweep.dir) / PARENT_FILE
