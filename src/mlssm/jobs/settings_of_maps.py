"""Which maps are there already: made by the same run, with the same settings, from the same input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from mlssm import __version__
from mlssm.config import PredictConfig
from mlssm.data.dated import latest_before
from mlssm.inference.mapper import window_end
from mlssm.inference.opened import Opened

SETTINGS, INPUT = "settings", "input"  # tags of a map
KEPT = 16  # characters of a digest


def settings_digest(opened: Opened, config: PredictConfig) -> str:
    """Of all that decides about a map's values, whatever its day: the run, what is asked, and the place."""
    model, cube = opened.bundle, opened.cube
    blended = model.model.reach(model.window.steps) is None
    fixed = {name: value for name, value in cube.manifest.checksums.items() if name.startswith("static/")}
    return _digest(
        {
            "software": __version__,
            "run": opened.run_id,
            "labels": model.label_digest,
            "asked": [config.level, config.intervals, config.thresholds, config.products.uint8],
            "state": "carried" if opened.carried else "window",
            "tiles": [config.tile, config.overlap] if blended else None,
            "grid": [cube.grid.crs, cube.grid.origin, cube.grid.pixel, cube.grid.shape, cube.manifest.extents],
            "fixed": fixed,
        }
    )


def input_digest(opened: Opened, day: np.datetime64) -> str:
    """Of what a day's map is made from beyond that: weather until its window ends, and the images that it sees."""
    cube, end = opened.cube, window_end(opened.bundle, day)
    known = cube.weather.days <= end
    weather = np.ascontiguousarray(opened.weather.values[known])  # what closes a gap may lie behind the window
    found = hashlib.sha256(weather.tobytes() + cube.forecast_days[known].tobytes())
    dated = [name for name in ("ndvi", *cube.manifest.dated) if len(cube.dated_days(name))]
    images = {name: int(latest_before(np.array([day], "datetime64[D]"), cube.dated_days(name))[0]) for name in dated}
    nowcast = opened.form is not None and opened.form.nowcast
    seen = cube.times[cube.local_days < day] if nowcast else cube.times[:0]
    return _digest([found.hexdigest(), images, [str(time) for time in seen], bool(day > cube.local_days[-1])])


def tags_of(path: Path) -> dict[str, str] | None:
    """What a file says of itself; None where it is no raster."""
    try:
        with rasterio.open(path) as source:
            return dict(source.tags())
    except RasterioError:
        return None


def _digest(values: object) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:KEPT]


def shown(names: Sequence[str], most: int = 5) -> str:
    """Some names, and that there are more."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
