"""The maps of a folder: their days, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from mlssm.errors import DataError
from mlssm.mapping.geotiff import NAME_TAG, SSM


@dataclass(frozen=True)
class DayMap:
    """One day's file.

    Attributes:
        path: The GeoTIFF.
        day: ISO day.
        tags: What it says of itself.
        bands: Number, name and description of each band; the first is the soil moisture.
    """

    path: Path
    day: str
    tags: dict[str, str]
    bands: tuple[tuple[int, str, str], ...]


def list_maps(paths: Sequence[Path]) -> list[DayMap]:
    """The maps in the order of their days.

    Raises:
        DataError: A file is none of our maps.
    """
    return sorted((_described(path) for path in paths), key=lambda found: found.day)


def _described(path: Path) -> DayMap:
    try:
        with rasterio.open(path) as source:
            tags = source.tags()
            names = {number: source.tags(number).get(NAME_TAG, "") for number in source.indexes}
            bands = [(number, name, source.descriptions[number - 1]) for number, name in names.items()]
    except RasterioError as error:
        raise DataError(f"{path} cannot be read ({error}); make the map again") from error
    if "date" not in tags or bands[0][1] != SSM:
        raise DataError(f"{path} is no map of soil moisture: it lacks the tag 'date' or the band 'ssm'")
    return DayMap(path, tags["date"], tags, tuple(bands))
