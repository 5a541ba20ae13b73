"""What runs and sweeps are called. Cheap to import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from mlssm.config import TrainConfig
from mlssm.secrets import without_password

NAME_LENGTH = 250  # the width of MLflow's column
WORD = re.compile(r"[A-Za-z]\w*")
# not what is trained, but where it is kept, how often and by whom
BOOKKEEPING = ("tracking.", "sweep.", "seeds=", "trial=")


def run_name(overrides: Sequence[str]) -> str:
    """A short readable name from a job's overrides: model.lag=3, sampler=two_pass -> "lag=3 two_pass".

    A choice of a configuration group (a word, under a key without dots) stands alone; others keep the last key.
    Paths are shortened to their last part; where and how often the run is kept is left out.
    """
    return " ".join(_short(item.lstrip("+")) for item in training_overrides(overrides))[:NAME_LENGTH]


def job_name(config: TrainConfig) -> str:
    """The name of the current job's run: tracking.run_name; in a sweep what is its own; else lag, sampler and area."""
    if config.tracking.run_name:
        return config.tracking.run_name
    own = own_overrides()
    if own is None:
        return f"lag={config.window.lag} {config.sampler.name} {config.datamodule.root.name}"
    return run_name(own) if config.trial is None else f"trial {config.trial['number']}: {run_name(own)}"[:NAME_LENGTH]


def own_overrides() -> list[str] | None:
    """The overrides that the current job of a sweep does not share with the whole sweep; None outside a sweep."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None
    shared = overrides_file(Path(hydra.runtime.cwd) / str(hydra.sweep.dir)).read_text(encoding="utf-8")
    # what all jobs were told alike does not tell them apart; Hydra passes a false on as False
    told = shared.casefold().splitlines()
    return [item for item in hydra.overrides.task if without_password(item).casefold() not in told]


def overrides_file(sweep: Path) -> Path:
    """Where a sweep's folder keeps what the whole sweep was told, a line each."""
    return sweep / "overrides"


def training_overrides(overrides: Iterable[str]) -> list[str]:
    """The overrides without those of bookkeeping."""
    return [item for item in overrides if not item.lstrip("+").startswith(BOOKKEEPING)]


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
