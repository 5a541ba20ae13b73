"""A Hydra sweep is a parent run with one child a job. Cheap to import, for Hydra does so before any command."""

from __future__ import annotations

import atexit
import logging
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mlssm.config import TrackingConfig, TrainConfig, parse
from mlssm.errors import MlssmError, RunError

if TYPE_CHECKING:
    from mlssm.tracking.store import Store

log = logging.getLogger(__name__)

OVERRIDES_FILE = "overrides"  # beside it; what the sweep was told, a line each
PARENT_FILE = "parent_run"  # in the sweep's folder; holds the parent's run id
NAME_LENGTH = 250  # the width of MLflow's column
OPEN: list[SweepParent] = []  # sweeps that are not closed yet
WORD = re.compile(r"[A-Za-z]\w*")


class SweepParent(Callback):
    """Keeps the parent run of a sweep: made before the first job, closed after the last one, however that ended."""

    def __init__(self) -> None:
        """Nothing is opened before a sweep starts."""
        self._tracking: TrackingConfig | None = None
        self._parent: str | None = None
        self._comparison = "children"

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create the parent run. Hydra only warns of a callback's exceptions, so a store that fails exits here."""
        _give_way(config)
        try:
            tracking = _tracking(config)
            store = _store(tracking)
            # the whole address, so that the end is written to the same store wherever the process then stands
            self._tracking = tracking.model_copy(update={"uri": store.uri})
            self._parent = _create_parent(store, list(config.hydra.overrides.task))
            self._comparison = str(config.get("comparison", self._comparison))
        except MlssmError as error:
            raise SystemExit(f"error: {error}") from None
        path = _parent_file(config.hydra)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(OVERRIDES_FILE).write_text("\n".join(config.hydra.overrides.task), encoding="utf-8")
        path.write_text(self._parent, encoding="utf-8")
        OPEN.append(self)
        atexit.register(self.close_early)  # where nobody calls close_open_sweeps

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Name a failed job on the parent: it may have failed before it had a run of its own."""
        if config.hydra.mode != RunMode.MULTIRUN or job_return.status != JobStatus.FAILED:
            return
        error = job_return._return_value  # the property would raise it
        overrides = " ".join(job_return.overrides or ())
        parent = _parent_file(config.hydra).read_text(encoding="utf-8")
        message = f"{overrides}: {type(error).__name__}: {error}"
        _store(self._tracking or _tracking(config)).client.set_tag(
            parent, f"failed.{config.hydra.job.num}", message[:5000]
        )

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Close the parent of a sweep that came to its end."""
        self._close("FINISHED")

    def close_early(self) -> None:
        """Close the parent of a sweep that ended otherwise, if it is still open."""
        try:
            self._close("KILLED" if _interrupted() else "FAILED")
        except MlssmError as error:
            log.error("the end of sweep %s could not be recorded: %s", self._parent, error)

    def _close(self, outcome: str) -> None:
        from mlssm.evaluation.experiments.summary import summarise
        from mlssm.tracking.comparison import close_sweep

        if self not in OPEN or self._tracking is None or self._parent is None:
            return
        OPEN.remove(self)
        atexit.unregister(self.close_early)
        status = close_sweep(_store(self._tracking), self._parent, outcome, partial(summarise, self._comparison))
        log.info("sweep %s: %s", self._parent, status)


def close_open_sweeps() -> None:
    """Close what a failed job left open: Hydra then leaves without on_multirun_end.

    To be called before Python exits, as MLflow reads artifacts in threads, and none can be started at exit.
    """
    for sweep in list(OPEN):
        sweep.close_early()


def _interrupted() -> bool:
    """Whether the exception in flight, or the one that nobody handled at exit, is or comes from KeyboardInterrupt."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return getattr(sys, "last_type", None) is KeyboardInterrupt


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


def run_name(overrides: Sequence[str]) -> str:
    """A short readable name from a job's overrides: model.lag=3, sampler=two_pass -> "lag=3 two_pass".

    A choice of a configuration group (a word, under a key without dots) stands alone; others keep the last key.
    Paths are shortened to their last part; where the run is kept (tracking.*) is left out.
    """
    parts = [_short(item.lstrip("+")) for item in overrides if not item.lstrip("+").startswith("tracking.")]
    return " ".join(parts)[:NAME_LENGTH]


def job_name(config: TrainConfig) -> str:
    """The name of the current job's run: tracking.run_name; in a sweep what is its own; else lag, sampler and area."""
    if config.tracking.run_name:
        return config.tracking.run_name
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        hydra = HydraConfig.get()
        shared = _parent_file(hydra).with_name(OVERRIDES_FILE).read_text(encoding="utf-8").splitlines()
        # what all jobs were told alike does not tell them apart
        return run_name([item for item in hydra.overrides.task if item not in shared])
    return f"lag={config.model.lag} {config.sampler.name} {config.datamodule.root.name}"


def _short(override: str) -> str:
    key, equals, value = override.partition("=")
    value = value.strip("'\"")
    if "/" in value and "," not in value:
        value = Path(value).name or value
    if not equals:
        return key
    choice = "." not in key and WORD.fullmatch(value) and value.lower() not in ("true", "false", "null")
    return value if choice or _is_choices(key, value) else f"{key.rpartition('.')[2]}={value}"


def _is_choices(key: str, value: str) -> bool:
    """Whether a sweep over a group: sampler=natural,two_pass."""
    return "." not in key and "," in value and all(WORD.fullmatch(item.strip()) for item in value.split(","))


def _give_way(config: DictConfig) -> None:
    """Let the command line's value of a key replace those that an experiment sweeps over, which Hydra would add."""
    parsed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    given = {item.key_or_group for item in parsed}
    params = config.hydra.sweeper.get("params") or {}
    with read_write(config), open_dict(config):
        for key in [key for key in params if key in given]:
            del params[key]


def _create_parent(store: Store, overrides: list[str]) -> str:
    from mlflow.tracking.context.registry import resolve_tags

    from mlssm.tracking.run import KIND

    tags = resolve_tags({KIND: "sweep", "mlssm.overrides": " ".join(overrides)})
    parsed = OverridesParser.create().parse_overrides(overrides)
    swept = [str(item.input_line) for item in parsed if item.is_sweep_override() or item.key_or_group == "experiment"]
    name = f"sweep {run_name(swept)}".strip()[:NAME_LENGTH]
    return str(store.client.create_run(store.experiment_id, tags=tags, run_name=name).info.run_id)


def _store(tracking: TrackingConfig) -> Store:
    from mlssm.tracking.store import open_store

    return open_store(tracking)


def _tracking(config: DictConfig) -> TrackingConfig:
    plain = OmegaConf.to_container(config.tracking, resolve=True)
    return parse(TrackingConfig, {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {})


def _parent_file(hydra: Any) -> Path:
    """Where the sweep keeps its parent's run id; `hydra` is Hydra's own part of the configuration."""
    return Path(hydra.runtime.cwd) / str(hydra.sweep.dir) / PARENT_FILE
