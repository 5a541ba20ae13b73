"""The command line: Hydra composes, the package works, errors are one or two lines."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlssm.errors import MlssmError

Job = Callable[[dict[str, Any]], Any]


def command(job: Job, config_name: str) -> None:
    """Run a job with the configuration that Hydra composes from `conf/`, which lies beside the script.

    Args:
        job: Called with the resolved configuration as plain containers.
        config_name: The primary configuration in `conf/`.
    """
    # Hydra prints its own errors over many lines; with this it raises them, and they are told below
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")

    def run(config: DictConfig) -> Any:
        return job(_resolved(config))

    main = hydra.main(
        version_base="1.3", config_path=str(Path(sys.argv[0]).resolve().parent / "conf"), config_name=config_name
    )
    try:
        main(run)()
    except (MlssmError, HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {explain(error)}")


def _resolved(config: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def explain(error: Exception) -> str:
    """One or two lines that name the key or choice, the value and what is allowed."""
    text = " ".join(str(error).split())
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(unknown.group(1), error)
    if choice := re.search(
        r"Could not find '([^']+)' Available options in '([^']+)': (.*?)(?: Config search path|$)", text
    ):
        name, group, options = choice.groups()
        return f"unknown choice {group}={name.rpartition('/')[2]}; choose one of {', '.join(options.split())}"
    if missing := re.search(r"Missing mandatory value: (\S+)", text):
        return f"{missing.group(1)} is not set; give it on the command line: {missing.group(1)}=VALUE"
    return text


def _unknown_key(key: str, error: Exception) -> str:
    parent = getattr(error.__cause__, "parent_node", None)
    known = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    section, _, name = key.rpartition(".")
    guess = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {f'{section}.' if section else ''}{guess[0]}?" if guess else ""
    allowed = f"; known here: {', '.join(known)}" if known else ""
    return f"unknown configuration key '{key}'{hint}{allowed}"
