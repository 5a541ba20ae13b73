"""The page: one HTML file that holds its libraries and its data, and asks for nothing else."""

from __future__ import annotations

import base64
import gzip
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap

from mlssm.errors import DataError
from mlssm.evaluation.cartography import SSM_COLOURS
from mlssm.files import whole_file
from mlssm.mapping.products.levels import COLOURS, NAMES
from mlssm.mapping.viewer.content import NODATA, STEP, WARNING, Bytes, Content, Pictures, Rain

TEMPLATE = "page.html.j2"
# the libraries and our own parts, by the name that the template knows them by
PARTS = {
    "leaflet_css": "vendor/leaflet.css",
    "uplot_css": "vendor/uplot.css",
    "leaflet_js": "vendor/leaflet.js",
    "uplot_js": "vendor/uplot.js",
    "viewer_css": "viewer.css",
    "viewer_js": "viewer.js",
}
# moisture, and what is between 0 and 1 beside it: both are told apart by the colour-blind, too
SHARES = colormaps["cividis"]
MOISTURE_KEYS = ("ssm", "lower", "upper", "retrieved")
LEVELS = ListedColormap(COLOURS)
# pictures and maps of the sources' own, which a page that asks for nothing cannot have
LINKS = re.compile(r"url\([^)]*\)|//# sourceMappingURL=\S+")


def write_page(path: Path, content: Content) -> int:
    """Write the page; the file appears under its name when it is complete.

    Returns:
        Its bytes.

    Raises:
        DataError: It cannot be written.
    """
    text = render(content)
    try:
        with whole_file(path) as finished:
            finished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}); choose another folder or free some space") from error
    return len(text.encode())


def render(content: Content) -> str:
    """The page's HTML."""
    folder = resources.files("mlssm.mapping.viewer")
    parts = {name: LINKS.sub("", (folder / place).read_text(encoding="utf-8")) for name, place in PARTS.items()}
    # what a browser reads as the end of a script must not stand in data
    data = json.dumps(described(content), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        (folder / TEMPLATE).read_text(encoding="utf-8")
    )
    return template.render(title=content.title, data=data, **parts)


def described(content: Content) -> dict[str, Any]:
    """The content in the words of `viewer.js`."""
    return {
        "title": content.title,
        "about": dict(content.about),
        "notes": dict(content.notes),
        "step": STEP,
        "nodata": NODATA,
        "frames": [
            {"name": frame.name, "shape": frame.shape, "corners": [round(edge, 7) for edge in frame.corners]}
            for frame in content.frames
        ],
        "bands": [_pictures(band) for band in content.bands],
        "retrieved": None if content.retrieved is None else _pictures(content.retrieved),
        "hillshade": None if content.hillshade is None else [compressed(shade) for shade in content.hillshade],
        "rain": None if content.rain is None else _rain(content.rain),
        "stations": [
            {"name": each.name, "place": [round(each.latitude, 5), round(each.longitude, 5)]}
            for each in content.stations
        ],
        "polygons": content.polygons,
    }


def _pictures(pictures: Pictures) -> dict[str, Any]:
    colours, ends = SHARES, ["0", "1"]
    if pictures.key in MOISTURE_KEYS:
        colours, ends = SSM_COLOURS, ["0 driest seen", "1 wettest seen"]
    elif pictures.key == WARNING:
        colours, ends = LEVELS, [f"0 {NAMES[0]}", f"{len(NAMES) - 1} {NAMES[-1]}"]
    return {
        "key": pictures.key,
        "label": pictures.label,
        "days": pictures.days,
        "colours": _colours(colours),
        "ends": ends,
        "pictures": [[compressed(picture) for picture in frame] for frame in pictures.values],
    }


def _colours(colours: Colormap) -> list[list[int]]:
    """Red, green and blue of each byte up to 1."""
    found = colours(np.linspace(0, 1, round(1 / STEP) + 1), bytes=True)
    return [[int(part) for part in colour[:3]] for colour in found]


def _rain(rain: Rain) -> dict[str, Any]:
    mm = [[None if np.isnan(value) else round(float(value), 1) for value in point] for point in rain.mm]
    return {"days": rain.days, "points": [[round(a, 5), round(b, 5)] for a, b in rain.points], "mm": mm}


def compressed(picture: Bytes) -> str:
    """A picture's bytes: each but a row's first less the one before it, gzip, base64."""
    less = np.diff(picture, axis=1, prepend=np.uint8(0))
    # without a time of writing, so that the same maps make the same page
    return base64.b64encode(gzip.compress(less.tobytes(), compresslevel=9, mtime=0)).decode()
