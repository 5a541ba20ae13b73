"""Write the folder of the simulated watershed, whole or not at all."""

from __future__ import annotations

import json
import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlssm.config import SimulationConfig
from mlssm.errors import DataError
from mlssm.files import whole_or_nothing
from mlssm.origins.simulation.area import write_area
from mlssm.origins.simulation.probes import FOLDER, write_probes
from mlssm.origins.simulation.scene import build_scene

log = logging.getLogger(__name__)

SIMULATOR_VERSION = 1  # raise it whenever the same configuration would give other files
MANIFEST = "simulation.json"


def simulate(config: SimulationConfig, folder: Path) -> None:
    """Write the simulated watershed's folder; does nothing where the same simulation already lies there.

    The folder has what a real area has (`sentinel1`, `weather`, `dem`, `soil`, `ndvi`), and beside them
    `insitu`, `truth.zarr` and `simulation.json`. It is written next to its place and moved there when whole. A folder
    of before there was `insitu` is given that alone: no other file changes.

    Args:
        config: The simulation.
        folder: Where to write; its parents are created.

    Raises:
        ConfigError: The seed is negative.
        DataError: The folder holds something that is not a simulation of ours.
    """
    if _is_current(config, folder):
        _add_probes(config, folder)
        log.info("simulated watershed in %s is up to date", folder)
        return
    with _staged(config, folder) as staging:
        write_area(config, staging)
        (staging / MANIFEST).write_text(_manifest(config), encoding="utf-8")
    log.info("wrote the simulated watershed to %s", folder)


def _add_probes(config: SimulationConfig, folder: Path) -> None:
    if (folder / FOLDER).is_dir():
        return
    try:
        with whole_or_nothing(folder / FOLDER) as partial:
            partial.mkdir()
            write_probes(build_scene(config), partial)
    except PermissionError as error:  # whoever only reads the area needs no probes
        log.warning("%s has no %s, and it cannot be written: %s", folder, FOLDER, error.strerror)


def _manifest(config: SimulationConfig) -> str:
    return json.dumps({"simulator": SIMULATOR_VERSION, "config": config.model_dump(mode="json")}, indent=2) + "\n"


def _is_current(config: SimulationConfig, folder: Path) -> bool:
    """Whether the folder holds this very simulation; False where it may be written.

    Raises:
        DataError: The folder holds something that is not a simulation of ours.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    manifest = folder / MANIFEST
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or "simulator" not in found:
        raise DataError(
            f"{folder} exists but has no readable {MANIFEST}, so it is not a simulation and is left alone; "
            "give another datamodule.root, or move it away"
        )
    return bool(found == json.loads(_manifest(config)))


@contextmanager
def _staged(config: SimulationConfig, folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place if the block succeeds, and is removed if it does not."""
    staging = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.partial"
    staging.mkdir(parents=True)
    try:
        yield staging
        _install(config, staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _install(config: SimulationConfig, staging: Path, folder: Path) -> None:
    # Another process may have written the folder meanwhile: look again before anything is moved away.
    if _is_current(config, folder):
        return
    old = staging.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    staging.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
