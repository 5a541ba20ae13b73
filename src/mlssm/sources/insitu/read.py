"""What was measured in the ground, whatever kind of files it is in."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mlssm.config import GroundTableConfig
from mlssm.errors import ConfigError, DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.insitu.ismn_archive import measured_files, read_ismn
from mlssm.sources.insitu.sensor import Depth, Sensor
from mlssm.sources.insitu.table import read_table
from mlssm.sources.insitu.uscrn import read_uscrn_table, read_uscrn_text
from mlssm.sources.weather.uscrn import NAME

log = logging.getLogger(__name__)
KINDS = "an archive of ISMN (zip or folder), USCRN's files (CRND0103-*.txt, or parquet), or plain tables (*.csv)"


def read_ground(place: Path, table: GroundTableConfig, wanted: Depth, bad: BadFiles) -> list[Sensor]:
    """All sensors between two depths.

    Args:
        place: Folder or file.
        table: The columns of plain tables.
        wanted: Upper and lower depth, metres.
        bad: What a bad file does.

    Raises:
        ConfigError: It is not there, or holds files of several kinds, or of none; or as the readers.
        DataError: No sensor lies between the depths; or as the readers.
    """
    sensors = _read(place, table, wanted, bad)
    if not sensors:
        raise DataError(
            f"{place} has no soil moisture between {wanted[0]:g} and {wanted[1]:g} m below the surface; set "
            "depth_m=[0,0.1] or deeper"
        )
    stations = len({sensor.station for sensor in sensors})
    refused, values = sum(sensor.refused for sensor in sensors), sum(len(sensor.times) for sensor in sensors)
    text = "%d sensors of %d stations, %d values, of which quality flags refused %d"
    log.info(text, len(sensors), stations, values, refused)
    return sensors


def _read(place: Path, table: GroundTableConfig, wanted: Depth, bad: BadFiles) -> list[Sensor]:
    if not place.exists():
        raise ConfigError(f"insitu={place} is not there; give the folder or file of what was measured")
    if place.is_file() and zipfile.is_zipfile(place):
        return read_ismn(_with_measurements(place), wanted, bad)
    if place.is_dir() and measured_files(place):
        return read_ismn(place, wanted, bad)
    files = [place] if place.is_file() else sorted(path for path in place.iterdir() if path.is_file())
    files = [path for path in files if not path.name.startswith(".")]
    texts = [path for path in files if NAME.fullmatch(path.name)]
    parquet = [path for path in files if path.suffix.lower() == ".parquet"]
    plain = [path for path in files if path.suffix.lower() == ".csv"]
    _require_one_kind(place, {"USCRN's": texts + parquet, "plain tables": plain})
    found = _by_file(parquet, lambda path: read_uscrn_table(path, wanted), bad)
    found += _by_file(plain, lambda path: read_table(path, table, wanted), bad)
    return found + (_daily(texts, wanted, bad) if texts else [])


def _with_measurements(archive: Path) -> Path:
    if not measured_files(archive):
        raise DataError(f"{archive} has no files of ISMN (*.stm); unpack it, and give the folder of what it holds")
    return archive


def _require_one_kind(place: Path, kinds: dict[str, list[Path]]) -> None:
    there = [f"{name} ({files[0].name})" for name, files in kinds.items() if files]
    if not there:
        raise ConfigError(f"insitu={place} has nothing that is known: give {KINDS}")
    if len(there) > 1:
        raise ConfigError(f"insitu={place} has files of several kinds, {' and '.join(there)}; give a folder for each")


def _by_file(files: Sequence[Path], read: Callable[[Path], list[Sensor]], bad: BadFiles) -> list[Sensor]:
    found: list[Sensor] = []
    for path in files:
        with bad.handled(path):
            found += read(path)
    return found


def _daily(files: Sequence[Path], wanted: Depth, bad: BadFiles) -> list[Sensor]:
    with bad.handled(files[0]):
        return read_uscrn_text(files, wanted)
    return []
