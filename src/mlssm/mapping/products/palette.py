"""Maps of classes: a band of bytes with its colours, as a Cloud-Optimised GeoTIFF, and the style of it for QGIS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from matplotlib.colors import to_rgba
from rasterio._err import CPLE_BaseError  # what a failed copy raises; rasterio.errors has no name for it
from rasterio.errors import RasterioError

from mlssm.errors import DataError
from mlssm.files import whole_file
from mlssm.grid import Grid, Window
from mlssm.mapping.products.style import write_xml

NODATA = 255
BLOCK = 256
# the commonest class of the pixels that an overview's covers: a mean of classes is none
COG = {"COMPRESS": "DEFLATE", "BLOCKSIZE": str(BLOCK), "OVERVIEW_RESAMPLING": "MODE", "SPARSE_OK": "TRUE"}

Bytes = npt.NDArray[np.uint8]


def write_classes(
    path: Path,
    grid: Grid,
    blocks: Iterable[tuple[Window, Bytes]],
    colours: Sequence[str],
    tags: Mapping[str, str],
    description: str,
) -> dict[int, int]:
    """Write a map of classes; it appears under its name when it is whole.

    Args:
        path: The file; an older one is replaced.
        grid: Of the map.
        blocks: Windows and their classes, 0, 1, ... or `NODATA`; taken one at a time.
        colours: Of the classes in order.
        tags: What the file says of itself.
        description: Of the band.

    Returns:
        Pixels of each class, without `NODATA`.

    Raises:
        DataError: It cannot be written.
    """
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": NODATA, "tiled": True, "SPARSE_OK": True}
    profile |= {"height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform}
    count = dict.fromkeys(range(len(colours)), 0)
    try:
        with whole_file(path) as finished:
            staged = finished.with_name("staged.tif")
            with rasterio.open(staged, "w", **profile, blockxsize=BLOCK, blockysize=BLOCK) as file:
                for window, values in blocks:
                    file.write(
                        values,
                        1,
                        window=rasterio.windows.Window(window.col, window.row, window.width, window.height),
                    )
                    for number in count:
                        count[number] += int((values == number).sum())
                file.write_colormap(1, {number: _bytes(colour) for number, colour in enumerate(colours)})
                file.set_band_description(1, description)
                file.update_tags(**tags)
            rasterio.shutil.copy(staged, finished, driver="COG", **COG)
            _verify(finished, count)
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise DataError(f"{path} cannot be written ({error}); choose another folder or free some space") from error
    return count


def _verify(path: Path, count: Mapping[int, int]) -> None:
    """Count the classes that are in the file: GDAL does not raise when a disk fills up while a file is closed."""
    with rasterio.open(path) as source:
        found = np.zeros(NODATA + 1, np.int64)
        for _, window in source.block_windows(1):
            found += np.bincount(source.read(1, window=window).ravel(), minlength=len(found))
    if any(found[number] != pixels for number, pixels in count.items()):
        raise OSError("classes read back differ from those written")


def write_classes_style(path: Path, colours: Sequence[str], names: Sequence[str]) -> None:
    """Write the style of a map of classes beside it, as QGIS takes it when it opens the map."""
    root = ElementTree.Element("qgis", version="3.28", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    renderer = ElementTree.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for number, (colour, name) in enumerate(zip(colours, names, strict=True)):
        ElementTree.SubElement(
            palette, "paletteEntry", value=f"{number}", label=f"{number} {name}", color=colour, alpha="255"
        )
    write_xml(path.with_suffix(".qml"), root)


def _bytes(colour: str) -> tuple[int, int, int, int]:
    red, green, blue, alpha = (round(255 * part) for part in to_rgba(colour))
    return red, green, blue, alpha
