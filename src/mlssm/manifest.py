"""The attributes of a cube: where it lies, what it was made from, and what was written of each of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr
from pydantic import BaseModel, ValidationError

from mlssm.checksums import damaged, files_below, value_checksum
from mlssm.config.area_file import FileProvenance
from mlssm.errors import DataError

# 4: the rectangles that images cover are called extents; 5: shards of one date, lz4, xxh3
FORMAT = 5
OWN = "checksum"  # the attribute that has the checksum of the others


class Manifest(BaseModel):
    """The cube's attributes: where it lies, what it was made from, and by which version.

    Attributes:
        format: The layout's version.
        mlssm: The version that wrote it.
        digest: Of all inputs and of what decides how they are read.
        files: Digest (SHA-256) of each source file, by its path below the area's folder.
        provenance: Address and licence of source files, as the area's `area.yaml` has them.
        skipped: Source files that were left out because they are bad.
        corrected: What was corrected in source files, a line a kind.
        crs: The grid's CRS, WKT or authority code.
        origin: Easting and northing of the grid's upper-left corner, metres.
        pixel: Pixel size, metres.
        shape: Rows and columns.
        extents: Row, column, height and width of each part that images cover.
        time_zone: IANA name of the area's time zone.
        polarisations: In the order of the array.
        features: Static features in the order of the array.
        orbits: Relative orbits that have an incidence angle, in the order of the array.
        stations: Station identifiers in the order of the array.
        variables: Weather variables in the order of the array.
        looks: Equivalent number of looks of a pixel, or None where the source does not state it.
        classes: Name of each code, by the static feature of classes whose codes have names.
        dated: Layers of dated images, beside NDVI.
        gap_days: Of NDVI and each dated layer, how much older than an image the value may be that fills a gap in it.
        left_out: Sources that the configuration leaves out.
        weather_notes: What the weather's preparation had to say, a line each.
        chunks: Number and total bytes of the files of each array, metadata and chunks that were written.
        checksums: Of each of these files, by its path below the cube; empty in cubes of earlier versions.
    """

    format: int
    mlssm: str
    digest: str
    files: dict[str, str]
    provenance: tuple[FileProvenance, ...] = ()
    skipped: tuple[str, ...]
    corrected: tuple[str, ...] = ()
    crs: str
    origin: tuple[float, float]
    pixel: float
    shape: tuple[int, int]
    extents: tuple[tuple[int, int, int, int], ...]
    time_zone: str
    polarisations: tuple[str, ...]
    features: tuple[str, ...]
    orbits: tuple[int, ...]
    stations: tuple[str, ...]
    variables: tuple[str, ...]
    looks: float | None
    left_out: tuple[str, ...]
    weather_notes: tuple[str, ...]
    chunks: dict[str, tuple[int, int]] = {}
    checksums: dict[str, str] = {}
    classes: dict[str, dict[int, str]] = {}
    dated: tuple[str, ...] = ()
    gap_days: dict[str, int] = {}

    def attributes(self) -> dict[str, Any]:
        """What is written: these, and their own checksum."""
        values = self.model_dump(mode="json")
        return values | {OWN: value_checksum(values)}


def cube_format(path: Path) -> object:
    """The format that a cube states; None where it states none or is none."""
    try:
        return dict(zarr.open_group(path, mode="r").attrs).get("format")
    except (OSError, ValueError, KeyError, zarr.errors.BaseZarrError):
        return None


def read_manifest(path: Path) -> Manifest:
    """A cube's attributes.

    Raises:
        DataError: There is no cube, another version wrote it, or its attributes are damaged.
    """
    if not (path / "zarr.json").is_file():
        raise DataError(f"there is no cube at {path}; it is made by train.py from datamodule.root")
    try:
        attributes = dict(zarr.open_group(path, mode="r").attrs)
    except (ValueError, KeyError, zarr.errors.BaseZarrError) as error:
        raise DataError(f"{path} is not a zarr group ({error}); delete it, and it is made anew") from error
    if attributes.get("format") != FORMAT:
        raise DataError(f"{path} has cube format {attributes.get('format')}, not {FORMAT}; delete it")
    try:
        manifest = Manifest.model_validate(attributes)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(f"{path} is no whole cube: its attribute '{key}' is missing or wrong; delete it") from error
    others = {key: value for key, value in attributes.items() if key != OWN}
    if manifest.checksums and attributes.get(OWN) != value_checksum(others):
        raise DataError(f"{path / 'zarr.json'} does not hold what was written; copy it again, or delete {path}")
    return manifest


def damaged_files(path: Path) -> dict[str, str]:
    """What is wrong with each file of a cube that is not as it was written, by its path below the cube.

    Raises:
        DataError: See `read_manifest`; or the cube was made before files had checksums.
    """
    manifest = read_manifest(path)
    if not manifest.checksums:
        raise DataError(f"{path} has no checksums: version {manifest.mlssm}, which wrote it, kept none; delete it")
    return damaged(path, manifest.checksums)


def array_files(path: Path) -> dict[str, tuple[int, int]]:
    """Number and total bytes of the files below each array's folder of a cube."""
    found = {}
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        below = list(files_below(folder))
        found[folder.name] = (len(below), sum(file.stat().st_size for file in below))
    return found


def refuse_incomplete(path: Path, manifest: Manifest) -> None:
    """Refuse a cube that has lost files: zarr would read what is gone as missing values, without a word."""
    there = array_files(path)
    for name, (count, size) in manifest.chunks.items():
        files, bytes_ = there.get(name, (0, 0))
        if (files, bytes_) != (count, size):
            raise DataError(
                f"{path} is not whole: array '{name}' has {files} files of {bytes_} bytes, and was written with "
                f"{count} of {size}; copy it again, or delete it, and it is made anew"
            )
