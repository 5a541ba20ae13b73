"""Which files of a folder are backscatter images and which are incidence angles, and what their names say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlssm.config import BackscatterConfig
from mlssm.errors import DataError
from mlssm.sources.area_hint import hint, pattern_of
from mlssm.sources.checks.backscatter import POLARISATIONS
from mlssm.sources.conventions import CONVENTIONS, Convention, Named, generic
from mlssm.sources.conventions.convention import with_orbit
from mlssm.sources.dated import by_pattern, compile_pattern, name_match
from mlssm.sources.faults import BadFiles
from mlssm.sources.folder import raster_files

OWN_PATTERN = "datamodule.backscatter.pattern"


@dataclass(frozen=True)
class Names:
    """The files of a backscatter folder.

    Attributes:
        images: What the name of each image says.
        incidence: The groups of each file of incidence angles: `orbit`, or `date` where there is one an image.
        radians: Whether the angles are in radians.
    """

    images: dict[Path, Named]
    incidence: dict[Path, dict[str, str]]
    radians: bool


def read_names(root: Path, config: BackscatterConfig, bad: BadFiles) -> Names:
    """Tell images and incidence angles apart, and read their names.

    Raises:
        ConfigError: A pattern is no regular expression, or lacks a group.
        DataError: A folder is missing, no file has an image's name, or a name has several dates.
    """
    folder = root / config.folder
    files = raster_files(folder, bad, config.subfolders)
    layer = [] if config.incidence_layer is None else raster_files(root / config.incidence_layer, bad)
    incidence, radians = _incidence(layer or files, folder, config, only=bool(layer))
    images = _images([path for path in files if path not in incidence], folder, config, bad)
    return Names(images, incidence, radians)


def _images(files: Sequence[Path], folder: Path, config: BackscatterConfig, bad: BadFiles) -> dict[Path, Named]:
    if config.pattern is not None:
        found = _read(files, _by_own_pattern(config.pattern), bad)
        wanted = f"{OWN_PATTERN} {config.pattern!r}"
    else:
        found = _read(files, lambda path: _by_convention(path, folder), bad)
        found = found or _read(files, lambda path: generic.read(_stem(path)), bad)
        wanted = "the names that are known"
    others = [path for path in files if path not in found and path.name not in bad.skipped]
    if not found and others:
        raise DataError(
            f"no GeoTIFF in {config.folder} matches {wanted} (first file: {others[0].name}); a pattern needs the group "
            f"(?P<date>...) for YYYYMMDDTHHMMSS or YYYYMMDD"
            f"{hint(config, pattern=pattern_of(others[0]), units='linear, dB, dB*100 or amplitude')}"
        )
    if not found:
        raise DataError(f"folder {folder} holds no image that can be used (of {len(files)} files)")
    if others:
        bad.say(
            f"{len(others)} GeoTIFFs in {others[0].parent} do not match {wanted.partition(' (?')[0]}: not used "
            f"(first: {others[0].name})"
        )
    return found


def _read(files: Sequence[Path], read: Callable[[Path], Named | None], bad: BadFiles) -> dict[Path, Named]:
    found = {}
    for path in files:
        with bad.handled(path):
            named = read(path)
            if named is not None:
                found[path] = named
    return found


def _by_own_pattern(pattern: str) -> Callable[[Path], Named | None]:
    read = by_pattern(compile_pattern(pattern, "backscatter.pattern", ("date",)))

    def named(path: Path) -> Named | None:
        groups = read(path)
        if groups is None:
            return None
        if "polarisation" in groups:
            groups["polarisation"] = groups["polarisation"].upper()
            if groups["polarisation"] not in POLARISATIONS:
                raise DataError(
                    f"{path}: {OWN_PATTERN} takes {groups['polarisation']!r} for the polarisation; correct it"
                )
        return Named(with_orbit(groups), OWN_PATTERN)

    return named


def _by_convention(path: Path, folder: Path) -> Named | None:
    """By the name alone, or by those of its folders, too: some products have their time there."""
    for name in _spellings(path, folder):
        for convention in CONVENTIONS:
            if named := convention.read(name):
                return named
    return None


def _spellings(path: Path, folder: Path) -> tuple[str, ...]:
    alone = _stem(path)
    below = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    return (alone,) if below.name == str(below) else (alone, (below.parent / alone).as_posix())


def _stem(path: Path) -> str:
    return path.name[: -len(path.suffix)]


def _incidence(
    files: Sequence[Path], folder: Path, config: BackscatterConfig, only: bool
) -> tuple[dict[Path, dict[str, str]], bool]:
    """The files of incidence angles by their names, and whether they are in radians.

    Args:
        files: Which of them.
        folder: Of the images.
        config: The section.
        only: Whether the files are of nothing else.
    """
    if config.incidence_band is not None:
        return {}, config.incidence_units == "radians"
    if config.incidence_pattern is not None:
        pattern = compile_pattern(config.incidence_pattern, "backscatter.incidence_pattern", ())
        found = {path: match.groupdict() for path in files if (match := name_match(pattern, path))}
        groups = {path: {key: value for key, value in each.items() if value} for path, each in found.items()}
        return groups, config.incidence_units == "radians"
    known = {path: read for path in files if (read := _known_incidence(path, folder))}
    if not known:
        read_any = {path: generic.read_incidence(_stem(path)) for path in files}
        plain = {path: groups for path, groups in read_any.items() if groups is not None}
        return ({path: plain.get(path, {}) for path in files} if only else plain), config.incidence_units == "radians"
    units: set[Literal["degrees", "radians"]] = {convention.incidence_units for convention, _ in known.values()}
    if config.incidence_units is not None:
        units = {config.incidence_units}
    if len(units) > 1:
        raise DataError(f"{folder} holds incidence angles in degrees and in radians; leave those of one producer there")
    return {path: groups for path, (_, groups) in known.items()}, units == {"radians"}


def _known_incidence(path: Path, folder: Path) -> tuple[Convention, dict[str, str]] | None:
    for name in _spellings(path, folder):
        for convention in CONVENTIONS:
            if (groups := convention.read_incidence(name)) is not None:
                return convention, groups
    return None
