"""What an area's sources are in the end: as the configuration has them, as `area.yaml` says, or by their folders."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mlssm.config import DatamoduleConfig, Strict, parse
from mlssm.config.area_file import AREA_FILE, AreaFile, read_area_file
from mlssm.config.sources import AUTO
from mlssm.errors import DataError
from mlssm.sources.folder import SUFFIXES

log = logging.getLogger(__name__)

OVERRULED = "datamodule.%s=%s counts, not the %s of %s"
HERE = "."
# where a source is looked for that nobody names, in this order
USUAL = {
    "backscatter": ("backscatter", "sentinel1", "s1", HERE),
    "weather": ("weather",),
    "dem": ("dem",),
    "soil": ("soil",),
    "ndvi": ("ndvi",),
}
NEEDED = ("backscatter", "weather")


def settle(config: DatamoduleConfig) -> tuple[DatamoduleConfig, AreaFile | None]:
    """The configuration with every source known, and the area's own file where it has one.

    What is set in `datamodule` (not null, not `auto`) counts; then what `area.yaml` says; then the usual folder.

    Raises:
        ConfigError: `area.yaml` has a fault, or together with `datamodule` it contradicts itself.
        DataError: `area.yaml` cannot be read, or a source that is needed is nowhere.
    """
    area = read_area_file(config.root)
    said: dict[str, Any] = {} if area is None else area.model_dump(exclude_none=True)
    sections: dict[str, Any] = {name: _section(config, said.get(name, {}), name) for name in USUAL}
    sections["time_zone"] = config.time_zone or said.get("time_zone")
    if sections["time_zone"] != said.get("time_zone", sections["time_zone"]):
        log.warning(OVERRULED, "time_zone", config.time_zone, said["time_zone"], config.root / AREA_FILE)
    # dumped and parsed again, so that a section that is put together is checked as one that is written
    return parse(DatamoduleConfig, config.model_dump() | sections), area


def _section(config: DatamoduleConfig, said: dict[str, Any], name: str) -> dict[str, Any] | None:
    """One source: what is set over what the area says; None where it is left out or is nowhere."""
    own: Strict | None = getattr(config, name)
    if own is None:
        if said:
            log.info("%s has %s, but datamodule.%s=null leaves it out", config.root / AREA_FILE, name, name)
        return None
    given = {key: value for key, value in own.model_dump(exclude_unset=True).items() if value not in (None, AUTO)}
    said = {key: value for key, value in said.items() if value != AUTO}
    for key in sorted(given.keys() & said.keys()):
        if given[key] != said[key]:
            log.warning(OVERRULED, f"{name}.{key}", given[key], said[key], config.root / AREA_FILE)
    section = said | given
    if "folder" not in section:
        folder = _usual_folder(config.root, name)
        if folder is None:
            return None
        section["folder"] = folder
    return section


def _usual_folder(root: Path, name: str) -> str | None:
    named = [folder for folder in USUAL[name] if folder != HERE and (root / folder).is_dir()]
    if not named and HERE in USUAL[name] and any(path.suffix.lower() in SUFFIXES for path in root.iterdir()):
        named = [HERE]
    if len(named) > 1:
        raise DataError(f"{root} has the folders {' and '.join(named)}; set datamodule.{name}.folder to one")
    if named:
        if name != "backscatter":  # whose line tells more
            log.info("%s: folder %s of %s", name, named[0], root)
        return named[0]
    if name in NEEDED:
        raise DataError(
            f"{root} has no folder of {name} ({', '.join(USUAL[name])}); set datamodule.{name}.folder, or write it "
            f"into {AREA_FILE} there"
        )
    log.info("%s: %s has no such folder; left out", name, root)
    return None
