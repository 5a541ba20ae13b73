"""Which files torchgeo's dataset classes know, of which day, and in which band: its index, checked.

torchgeo leaves files out that it cannot open, takes whatever driver opens a file, resamples by nearest neighbour when
it warps, and gives missing pixels as 0 or as the missing value. So its classes say here which files are theirs and
when; the files are read as all rasters of an area are. A class of the user's own that computes samples is asked for
them.
"""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mlssm.config.layers import LIBRARY, LayerSource
from mlssm.errors import ConfigError, DataError
from mlssm.sources.faults import BadFiles

SUFFIXES = (".tif", ".tiff", ".img", ".jp2")
# how files begin that lead GDAL to other files and hosts
REFERRING = (b"<VRT", b"<GDAL_", b"<WMT_", b"<WCS", b"<?xml")


@dataclass(frozen=True)
class Indexed:
    """What a class knows of an area's files.

    Attributes:
        files: Path, and first and last day, None where the name has no date.
        band: Number of the band, from 1; None: the only one.
        computed: The dataset, where its samples are not what the files hold.
    """

    files: tuple[tuple[Path, dt.date | None, dt.date | None], ...]
    band: int | None
    computed: Any = None


def dataset_class(name: str, target: str) -> type[Any]:
    """Import a layer's class.

    Raises:
        ConfigError: There is none, or it is no `RasterDataset` of torchgeo.
    """
    from torchgeo.datasets import RasterDataset

    module, _, attribute = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"datamodule.layers.{name}._target_={target} cannot be imported ({error})") from None
    if not (isinstance(found, type) and issubclass(found, RasterDataset)):
        raise ConfigError(f"datamodule.layers.{name}._target_={target} is no subclass of torchgeo's RasterDataset")
    return found


def indexed(name: str, source: LayerSource, paths: Sequence[Path], bad: BadFiles) -> Indexed:
    """The files that a layer's class finds.

    Args:
        name: The layer.
        source: Its settings, with a `_target_`.
        paths: Its folders and files.
        bad: Whether a file that cannot be opened stops the run or is left out.

    Raises:
        ConfigError: The class or its arguments are wrong.
        DataError: It finds nothing, a file cannot be opened, or one refers to others.
    """
    found = dataset_class(name, str(source.target))
    _check_band(name, source, found)
    below = [file for path in paths for file in _files_below(path)]
    _refuse_referring(below)
    dataset = _made(name, source, found, paths)
    known = [Path(path) for path in dataset.index["filepath"]]
    _say_others(name, dataset, below, known, bad)
    spans = [_span(interval) for interval in dataset.index.index]
    files = [(path, *span) for path, span in zip(known, spans, strict=True)]
    band, files = _of_band(source, dataset, files)
    return Indexed(tuple(files), band, dataset if _computes(dataset) else None)


def _check_band(name: str, source: LayerSource, found: type[Any]) -> None:
    key, bands = f"datamodule.layers.{name}.band", tuple(found.all_bands)
    if isinstance(source.band, str) and bands and source.band not in bands:
        raise ConfigError(f"{key}={source.band} is none of {', '.join(bands)}")
    if found.separate_files and not isinstance(source.band, str):
        raise ConfigError(f"{key} is not set, and {found.__name__} has {', '.join(bands)}; choose one")


def _files_below(path: Path) -> list[Path]:
    return sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]


def _refuse_referring(files: Iterable[Path]) -> None:
    for path in files:
        if path.name.lower().endswith((".xml", ".json", ".html", ".txt", ".kml", ".qml")):
            continue  # beside rasters; torchgeo's globs may take them, and no driver opens them
        with path.open("rb") as stream:
            if stream.read(64).lstrip().startswith(REFERRING):
                raise DataError(f"{path} refers to other files or hosts, and holds no raster; take it away")


def _made(name: str, source: LayerSource, found: type[Any], paths: Sequence[Path]) -> Any:
    key, arguments = f"datamodule.layers.{name}", dict(source.arguments)
    known = inspect.signature(found.__init__).parameters
    free = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in known.values())
    if not free and (unknown := [argument for argument in arguments if argument not in known]):
        raise ConfigError(f"{key}.{unknown[0]} is no argument of {found.__name__}; known are {', '.join(known)}")
    if isinstance(source.band, str) and "bands" in known and source.band in found.all_bands:
        arguments.setdefault("bands", [source.band])
    place = str(paths[0]) if len(paths) == 1 else [str(path) for path in paths]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it left out is found and said below
            return found(place, **arguments)
    except Exception as error:  # a class may raise what it likes, and all of it means that there is no layer
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{key}: {found.__name__} refuses {place}: {reason[:300]}; check paths and arguments"
        ) from error


def _say_others(name: str, dataset: Any, below: Sequence[Path], known: Sequence[Path], bad: BadFiles) -> None:
    """Hold the files that are there against those that the class has indexed."""
    pattern = re.compile(dataset.filename_regex, re.VERBOSE)
    theirs = {Path(path) for path in dataset.files if pattern.match(Path(path).name)}
    for path in sorted(theirs - set(known)):
        with bad.handled(path):
            raise DataError(f"{path} cannot be opened, and torchgeo would leave it out without a word; replace it")
    rasters = [path for path in below if path.suffix.lower() in SUFFIXES]
    others = [path for path in rasters if path not in theirs and not pattern.match(path.name)]
    if others:
        title = type(dataset).__name__
        bad.say(
            f"layer {name}: {len(others)} rasters (first: {others[0]}) are none of {title} by their names: not used"
        )


def _span(interval: pd.Interval) -> tuple[dt.date | None, dt.date | None]:
    """First and last day of a file; a name without a date stands for all times."""
    if interval.left <= pd.Timestamp.min or interval.right >= pd.Timestamp.max:
        return None, None
    return interval.left.date(), interval.right.date()


Files = list[tuple[Path, dt.date | None, dt.date | None]]


def _of_band(source: LayerSource, dataset: Any, files: Files) -> tuple[int | None, Files]:
    """The number of the wanted band, and the files that hold it where each band has its own."""
    wanted = source.band
    bands = tuple(dataset.all_bands)
    if not dataset.separate_files:
        number = bands.index(wanted) + 1 if isinstance(wanted, str) and bands else wanted
        return (number if isinstance(number, int) else None), files
    if dataset.bands[0] == wanted:  # then these are its files
        return None, files
    own = [Path(dataset._update_filepath(str(wanted), str(path))) for path, *_ in files]
    return None, [(path, first, last) for path, (_, first, last) in zip(own, files, strict=True)]


def _computes(dataset: Any) -> bool:
    """Whether a class of the user's own makes something else of the files than what they hold.

    Of torchgeo's own, those that do so renumber classes (NLCD, CDL): the files' codes say more.
    """
    from torchgeo.datasets import RasterDataset

    own = not type(dataset).__module__.startswith(LIBRARY.rstrip("."))
    overridden = any(
        getattr(type(dataset), method) is not getattr(RasterDataset, method)
        for method in ("__getitem__", "_merge_files", "_load_warp_file")
    )
    return own and (overridden or dataset.transforms is not None)
