"""Soil moisture of the International Soil Moisture Network, by its own reader `ismn` (Dorigo et al. 2021).

Archives as they come, zipped or not, in either of the formats "CEOP in separate files" and "header + values"; times are
UTC, values mostly of each hour. A value counts whose quality flag is G, good, and nothing else; so ISMN's flags of
frozen soil (D01 to D03) leave out such hours. Licences of its networks differ, and ask to be cited.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.errors import ConfigError, DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.insitu.sensor import MOST, Depth, Sensor, is_within

if TYPE_CHECKING:
    from ismn.components import Sensor as IsmnSensor
    from ismn.components import Station as IsmnStation
    from ismn.interface import ISMN_Interface

GOOD = "G"
MOISTURE, TEMPERATURE = "soil_moisture", "soil_temperature"
NEEDS = "ISMN's archives are read by the package 'ismn': pip install 'mlssm[insitu]'"


def read_ismn(path: Path, wanted: Depth, bad: BadFiles) -> list[Sensor]:
    """The sensors of an archive.

    Args:
        path: Zip file, or the folder that it was unpacked into.
        wanted: Depths between which sensors count, metres.
        bad: What a file does that the reader cannot take.

    Raises:
        ConfigError: The package is missing.
        DataError: A file is no ISMN file.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        archive = _opened(path, Path(folder))
        _tell_unread(path, archive, bad)
        found = []
        for network, stations in archive.networks.items():
            for station in stations.stations.values():
                found += [*_sensors(path, str(network), station, wanted, bad)]
        archive.close_files()
    return sorted(found, key=lambda sensor: (sensor.station, sensor.depth, sensor.name))


def _opened(path: Path, folder: Path) -> ISMN_Interface:
    try:
        from ismn.interface import ISMN_Interface
    except ImportError:
        raise ConfigError(NEEDS) from None
    try:
        # what it finds it writes to a folder: not into the user's
        return ISMN_Interface(path, meta_path=folder, temp_root=folder, parallel=False)
    except (OSError, ValueError, KeyError, IndexError, AssertionError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} is not an archive of ISMN ({text}); give the zip file, or its unpacked folder"
        ) from None


def _tell_unread(path: Path, archive: ISMN_Interface, bad: BadFiles) -> None:
    """Complain of files that the reader has passed over, which it only writes to a log of its own."""
    known = {PurePosixPath(str(name)) for name in archive.metadata["file_path", "val"]}
    for name in sorted(measured_files(path) - known):
        with bad.handled(path / name):
            raise DataError(f"{path / name} cannot be read as a file of ISMN: cut off or damaged; replace it")


def measured_files(path: Path) -> set[PurePosixPath]:
    """All files of measurements in an archive."""
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    else:
        names = [PurePosixPath(each.relative_to(path).as_posix()) for each in path.rglob("*.stm")]
    return {name for name in names if name.suffix == ".stm" and not name.name.startswith(".")}


def _sensors(path: Path, network: str, station: IsmnStation, wanted: Depth, bad: BadFiles) -> Iterator[Sensor]:
    by_variable: dict[str, list[IsmnSensor]] = {MOISTURE: [], TEMPERATURE: []}
    for sensor in station.sensors.values():
        if sensor.variable in by_variable and is_within(_depth(sensor), wanted):
            by_variable[sensor.variable].append(sensor)
    for sensor in by_variable[MOISTURE]:
        with bad.handled(path / str(sensor.filehandler.file_path)):
            table = _table(path, sensor, MOISTURE)
            good = (table["flag"] == GOOD) & table["value"].between(0, MOST)
            beside = [each for each in by_variable[TEMPERATURE] if _depth(each) == _depth(sensor)]
            yield Sensor(
                f"{network} {station.name}",
                f"{sensor.instrument} {_depth(sensor)[0]:g} to {_depth(sensor)[1]:g} m",
                float(station.lon),
                float(station.lat),
                _depth(sensor),
                table.index.to_numpy().astype("datetime64[s]"),
                table["value"].where(good).to_numpy(float),
                _temperature(path, beside, table.index),
                daily=False,
                refused=int((table["value"].notna() & ~good).sum()),
            )


def _depth(sensor: IsmnSensor) -> Depth:
    """Upper and lower end, metres; in some networks they are the other way round."""
    upper, lower = sorted((float(sensor.depth.start), float(sensor.depth.end)))
    return upper, lower


def _table(path: Path, sensor: IsmnSensor, variable: str) -> pd.DataFrame:
    """Value and flag by time, each time once."""
    where = path / str(sensor.filehandler.file_path)
    try:
        found = sensor.read_data()
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{where} cannot be read ({' '.join(str(error).split())}); replace it") from None
    value, flag = pd.to_numeric(found[variable], errors="coerce"), found[f"{variable}_flag"].astype(str).str.strip()
    table = pd.DataFrame({"value": value, "flag": flag}).sort_index(kind="stable")
    return table[~table.index.duplicated()]


def _temperature(path: Path, sensors: list[IsmnSensor], times: pd.Index[Any]) -> npt.NDArray[np.float64]:
    """The least that a sensor of the same depth has at each time, degC; NaN where none has one."""
    columns = [np.full(len(times), np.nan)]
    for sensor in sensors:
        table = _table(path, sensor, TEMPERATURE)
        columns.append(table["value"].where(table["flag"] == GOOD).reindex(times).to_numpy(float))
    return np.asarray(np.fmin.reduce(columns), np.float64)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without its bars and lines; what it has to say of files is said by us."""
    level = logging.getLogger("ismn").level
    logging.getLogger("ismn").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.getLogger("ismn").setLevel(level)
