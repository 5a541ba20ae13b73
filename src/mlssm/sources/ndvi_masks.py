"""Masks of clouds beside NDVI: a raster of the same name, or a band of the same file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.checks.header import Band, Layer
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.mosaic import Mosaic
from mlssm.sources.opening import opened
from mlssm.sources.raster import Lend

Whole = npt.NDArray[np.int64]


def _is_one_of(*clear: int) -> Callable[[Whole], npt.NDArray[np.bool_]]:
    return lambda codes: np.isin(codes, clear)


def _has_none_of(*bits: int) -> Callable[[Whole], npt.NDArray[np.bool_]]:
    flags = sum(1 << bit for bit in bits)
    return lambda codes: (codes & flags) == 0


# of each mask, as its file or band is named: what is clear
CLEAR: dict[str, Callable[[Whole], npt.NDArray[np.bool_]]] = {
    "scl": _is_one_of(4, 5, 6, 7),  # Sentinel-2 scene classes: vegetation, bare soil, water, unclassified
    "fmask": _has_none_of(1, 2, 3, 4, 7),  # HLS: cloud, beside one, shadow, snow; 255, a fill, has all
    "qa_pixel": _has_none_of(0, 1, 2, 3, 4, 5),  # Landsat collection 2: fill, dilated, cirrus, cloud, shadow, snow
    "pixel_reliability": _is_one_of(0, 1),  # MODIS: good, marginal
    "cloud_mask": _is_one_of(0),
    "cloudmask": _is_one_of(0),
    "clouds": _is_one_of(0),
    "cloud": _is_one_of(0),
}
NAMED = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(CLEAR)})(?![A-Za-z0-9])".replace("_", "[_ -]?"), re.IGNORECASE)
# a mask of which nobody can say whether 1 is clear or cloudy
UNCLEAR = re.compile(r"(?<![A-Za-z0-9])(mask|qa|quality|cldprb|clp)(?![A-Za-z0-9])", re.IGNORECASE)
INDEX = re.compile(r"(?<![A-Za-z0-9])ndvi(?![A-Za-z0-9])", re.IGNORECASE)
MOST_CODES = 65536


@dataclass(frozen=True)
class CloudMask:
    """A band that tells where clouds are.

    Attributes:
        path: Its file.
        band: Its number, from 1.
        rule: Its kind, a key of `CLEAR`.
    """

    path: Path
    band: int
    rule: str


def without_masks(files: Sequence[Path], bad: BadFiles) -> tuple[list[Path], dict[Path, str]]:
    """The rasters that are no masks by their names, and the masks with their kinds."""
    scenes = {_scene(path) for path in files if _rule(path.stem) is None and not UNCLEAR.search(path.stem)}
    masks = {
        path: rule
        for path in files
        if (rule := _rule(path.stem)) and (not INDEX.search(path.stem) or _scene(path) in scenes)
    }
    others = (path for path in files if path not in masks)
    unclear = [path for path in others if UNCLEAR.search(path.stem) and _scene(path) in scenes]
    if unclear:
        kinds = ", ".join(CLEAR)
        bad.say(f"{len(unclear)} masks beside NDVI (first: {unclear[0]}) are of no known kind ({kinds}): not used")
    return [path for path in files if path not in masks and path not in unclear], masks


def _rule(text: str) -> str | None:
    match = NAMED.search(text)
    if match is None:
        return None
    plain = re.sub(r"[_ -]", "", match[0].lower())
    return next(rule for rule in CLEAR if rule.replace("_", "") == plain)


def _scene(path: Path) -> str:
    """A name without what tells NDVI and masks apart."""
    bare = INDEX.sub("", UNCLEAR.sub("", NAMED.sub("", path.stem)))
    return re.sub(r"[_\-. ]+", "_", bare).strip("_").lower()


def masks_of(paths: Sequence[Path], masks: Mapping[Path, str]) -> dict[Path, CloudMask]:
    """Of each raster the mask of the same scene, where there is one."""
    by_scene = {_scene(path): CloudMask(path, 1, rule) for path, rule in masks.items()}
    return {path: by_scene[_scene(path)] for path in paths if _scene(path) in by_scene}


def own_mask(paths: Sequence[Path]) -> dict[Path, CloudMask]:
    """Of each raster the band that is described as a mask, where it has one."""
    found = {}
    for path in paths:
        with opened(path) as source:
            described = zip(source.indexes, source.descriptions, strict=True) if source.count > 1 else ()
            rules = [(number, rule) for number, text in described if (rule := _rule(text or ""))]
        if len(rules) == 1:
            found[path] = CloudMask(path, *rules[0])
    return found


def tell_masks(
    paths: Sequence[Path], beside: Mapping[Path, str], masks: Mapping[Path, CloudMask], bad: BadFiles
) -> None:
    """Say which images are masked, and which masks have no image."""
    if masks and len(masks) < len(paths):
        without = next(path for path in paths if path not in masks)
        bad.say(f"{len(paths) - len(masks)} of {len(paths)} NDVI rasters have no mask of clouds (first: {without})")
    unused = [path for path in beside if path not in {mask.path for mask in masks.values()}]
    if unused:
        bad.say(f"{len(unused)} masks of clouds (first: {unused[0]}) belong to no NDVI raster by their names: not used")


def clear_share(mask: CloudMask, grid: Grid, bad: BadFiles, lend: Lend) -> Mosaic:
    """Which share of what a pixel is made from is clear; NaN where the mask does not reach.

    When it is read, it raises DataError where it cannot be read, or holds no codes.
    """
    layer = Layer(lambda path, source: Band(mask.band, source.dtypes[mask.band - 1]), _as_share(CLEAR[mask.rule]))
    return Mosaic([mask.path], grid, Resampling.bilinear, bad, layer, lend=lend)


def _as_share(is_clear: Callable[[Whole], npt.NDArray[np.bool_]]) -> Callable[[Path, Array, Any], Array]:
    def values(path: Path, stored: Array, band: Any) -> Array:
        known = np.isfinite(stored)
        if (stored[known] != np.round(stored[known])).any() or (np.abs(stored[known]) >= MOST_CODES).any():
            raise DataError(f"{path} is a mask of clouds by its name, and holds no codes; take it away, or rename it")
        codes = np.where(known, stored, 0).astype(np.int64)
        return np.where(known, is_clear(codes), np.float32(0)).astype(np.float32)  # what is unknown is not clear

    return values
