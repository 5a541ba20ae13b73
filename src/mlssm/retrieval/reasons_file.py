"""Why each pixel and image has no label, kept beside the cube as a bit field that xarray reads, by every training.

A zarr group for each retrieval, as the reasons depend on it: `reasons[time, y, x]` on the working grid, uint16 with
`flag_masks` and `flag_meanings` (CF conventions 1.11, section 3.5), with time, x, y and `spatial_ref`.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from pyproj import CRS

from mlssm.config import DaskConfig
from mlssm.crew import open_crew
from mlssm.cube import Cube
from mlssm.files import whole_or_nothing
from mlssm.retrieval.bands import bands
from mlssm.retrieval.fit import Retrieval
from mlssm.retrieval.reasons import MEANINGS, TITLES, Reason

CHUNK = 1024
ARRAY, GRID_MAPPING = "reasons", "spatial_ref"


def write_reasons(cube: Cube, retrieval: Retrieval, dask: DaskConfig) -> Path:
    """Write the reasons of all images, unless those of the same retrieval are there.

    What no extent covers is not measured.

    Args:
        cube: Beside which they are kept.
        retrieval: Fitted, not restored: a restored one knows no reasons.
        dask: Where images are worked on, unless they are there.

    Returns:
        The zarr group.
    """
    path = cube.path.with_suffix(".reasons") / f"{_key(retrieval)}.zarr"
    if path.is_dir():
        return path
    with whole_or_nothing(path.absolute()) as partial_path, open_crew(dask, cube.path) as crew:
        _create(partial_path, cube, retrieval)
        task = crew.told(partial(_write, partial_path / ARRAY, retrieval))
        crew.workers.run(task, range(len(cube.times)), "reasons of masks")
    return path


def _key(retrieval: Retrieval) -> str:
    """Equal where all reasons are."""
    own = retrieval.digest(), retrieval.masks.digest(), *(extent.edge_below_db for extent in retrieval.extents)
    found = hashlib.sha256(repr(own).encode())
    for extent in retrieval.extents:
        for key, flags in sorted(extent.reasons.items()):
            found.update(f"{key}".encode() + flags.tobytes())
    return found.hexdigest()[:16]


def _create(path: Path, cube: Cube, retrieval: Retrieval) -> None:
    """The group with its coordinates, and the array of reasons, still without values."""
    grid, group = retrieval.stack.working.grid, zarr.create_group(path, zarr_format=3)
    x, y = grid.centres(grid.full)
    seconds = cube.times.astype("datetime64[s]").astype(np.int64)
    place = {"crs_wkt": CRS.from_user_input(grid.crs).to_wkt()}
    place["GeoTransform"] = " ".join(str(value) for value in grid.transform.to_gdal())
    coordinates: dict[str, tuple[Any, tuple[str, ...], dict[str, str]]] = {
        "x": (x, ("x",), {"units": "m", "standard_name": "projection_x_coordinate"}),
        "y": (y, ("y",), {"units": "m", "standard_name": "projection_y_coordinate"}),
        "time": (seconds, ("time",), {"units": "seconds since 1970-01-01", "standard_name": "time"}),
        GRID_MAPPING: (np.array(0, np.int32), (), place),
    }
    for name, (values, dims, attributes) in coordinates.items():
        group.create_array(name, data=values, dimension_names=dims, attributes=dict(attributes))
    group.attrs["Conventions"] = "CF-1.11"
    group.attrs["retrieval_digest"] = retrieval.digest()
    group.create_array(
        ARRAY,
        shape=(len(seconds), *grid.shape),
        chunks=(1, min(CHUNK, grid.height), min(CHUNK, grid.width)),
        dtype="uint16",
        fill_value=int(Reason.NOT_MEASURED),
        dimension_names=("time", "y", "x"),
        attributes={
            "long_name": "why there is no label; 0: there is one",
            "flag_masks": [int(reason) for reason in TITLES],
            "flag_meanings": " ".join(MEANINGS),
            "grid_mapping": GRID_MAPPING,
        },
    )


def _write(path: Path, retrieval: Retrieval, time: int) -> None:
    """One image: its chunks are no other task's."""
    array = zarr.open_array(path, mode="r+")
    for number, window in enumerate(retrieval.stack.working.extents):
        for rows in bands(window.shape):
            flags = retrieval.masked(number, np.array([time]), rows, slice(None))
            top = window.row + rows.start
            array[time, top : top + len(flags[0]), window.col : window.col + window.width] = flags[0]
