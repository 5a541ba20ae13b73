"""The pixels of an Earth Engine image on the area's grid, by xee, and what a collection holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.contract import Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.earth_engine.session import Session
from mlssm.progress import transfer

TIME = "system:time_start"
INDEX = "system:index"


def read_image(session: Session, image: Any, grid: Grid, bands: Sequence[str], what: str) -> npt.NDArray[np.float32]:
    """The bands of an image on a grid, which is stated, and not taken from the image.

    Args:
        session: What asks.
        image: An `ee.Image`.
        grid: Where to.
        bands: Which, in the order wanted.
        what: For messages.

    Returns:
        float32 [band, row, column]; NaN where the image is masked.

    Raises:
        DataError: Earth Engine refuses, or answers with other bands or another shape.
    """
    import ee
    import xarray as xr

    def answer() -> npt.NDArray[np.float32]:
        dataset = xr.open_dataset(ee.ImageCollection([image.set(TIME, 0)]), engine="ee", **_options(session, grid))
        if missing := [band for band in bands if band not in dataset]:
            raise DataError(f"{what} has no band {missing[0]}; it has {', '.join(map(str, dataset))}")
        return np.stack([dataset[band].isel(time=0).transpose("y", "x").values for band in bands]).astype(np.float32)

    values = session.ask(answer, what)
    if values.shape != (len(bands), *grid.shape):
        raise DataError(f"{what}: Earth Engine answers with {values.shape} values, not {(len(bands), *grid.shape)}")
    return values


def _options(session: Session, grid: Grid) -> dict[str, Any]:
    transform, tile = grid.transform, session.service.tile
    return {
        "crs": grid.crs,
        "crs_transform": (transform.a, transform.b, transform.c, transform.d, transform.e, transform.f),
        "shape_2d": (grid.width, grid.height),
        "io_chunks": {"index": 1, "width": tile, "height": tile},
        "executor_kwargs": {"max_workers": 1},  # files are fetched several at once already
        "getitem_kwargs": {"max_retries": 0},  # xee tries again whatever failed, also what is refused for good
    }


def listed(session: Session, collection: Any, properties: Sequence[str], optional: int, what: str) -> list[list[Any]]:
    """Some properties of each image of a collection, in one request.

    Args:
        session: What asks.
        collection: An `ee.ImageCollection`.
        properties: Their names.
        optional: How many of the last ones an image may lack.
        what: For messages.
    """
    import ee

    reducer = ee.Reducer.toList(len(properties), optional)
    rows = session.ask(lambda: collection.reduceColumns(reducer, list(properties)).get("list").getInfo(), what)
    return [list(row) for row in rows]


def around(collection: Any, request: Request) -> Any:
    """The images of a collection that meet the place on the dates, and a day before and after: days are local."""
    import ee

    first, end = request.first - dt.timedelta(days=1), request.last + dt.timedelta(days=2)
    return collection.filterBounds(ee.Geometry(dict(request.place.geometry))).filterDate(str(first), str(end))


def when(milliseconds: float) -> dt.datetime:
    """The time of an image, UTC."""
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def requests_of(grid: Grid, tile: int, bands: int) -> int:
    """How many requests an image takes: one for what it is, and for each band one a tile."""
    return 1 + bands * -(-grid.width // tile) * -(-grid.height // tile)


def write_missing(
    request: Request, wanted: Sequence[Wanted], downloads: Downloads, write: Callable[[Wanted], None]
) -> None:
    """Write the files that are not there yet, a few at once.

    Raises:
        DataError: One fails for good; what is whole stays.
    """
    missing = [item for item in wanted if not (request.root / item.name).is_file()]
    with transfer(request.folder, len(missing), sum(item.size or 0 for item in missing) or None) as shown:

        def one(item: Wanted) -> None:
            write(item)
            shown.bytes_done(item.size or 0)

        downloads.each(one, missing, shown)
