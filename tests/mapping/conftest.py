"""A folder of small maps, and what the viewer shows of them."""

from pathlib import Path

import numpy as np
import pytest

from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import Band, write_cog
from mlssm.mapping.list import DayMap, list_maps
from mlssm.mapping.viewer.content import Content, Pictures, Rain, Station
from mlssm.mapping.viewer.reading import pictures_of
from mlssm.workers import Workers

GRID = Grid("EPSG:32611", (230000.0, 3820000.0), 30.0, 200, 300)
EXTENTS = (Window(0, 0, 60, 80), Window(120, 200, 50, 70))
DAYS = ("2023-01-01", "2023-01-02", "2023-01-03")


def values(extent: Window, day: int) -> np.ndarray:
    """Wetter eastwards and with the days; the first corner was masked."""
    found = np.linspace(0, 0.5, extent.width)[None] + np.zeros((extent.height, 1)) + 0.2 * day
    found[:10, :10] = np.nan
    return found.astype(np.float32)


@pytest.fixture(scope="session")
def maps(tmp_path_factory: pytest.TempPathFactory) -> list[DayMap]:
    folder = tmp_path_factory.mktemp("maps")
    for number, day in enumerate(DAYS):
        blocks = [(extent, values(extent, number)) for extent in EXTENTS]
        more = [
            Band(name, f"{name} end, {day}", "1", [(w, np.clip(v + shift, 0, 1).astype(np.float32)) for w, v in blocks])
            for name, shift in (("lower", -0.1), ("upper", 0.1), ("labelled", 0.0))
        ]
        write_cog(folder / f"ssm_{day}.tif", blocks, GRID, {"date": day}, f"soil moisture, {day}", more)
    return list_maps(list(folder.glob("*.tif")))


@pytest.fixture(scope="session")
def content(maps: list[DayMap]) -> Content:
    frames, bands = pictures_of(maps, GRID, EXTENTS, Workers(2))
    retrieved = Pictures("retrieved", "Retrieved", (DAYS[1],), tuple(stack[1:2] for stack in bands[0].values))
    south, west, north, east = frames[0].corners
    middle = (south + north) / 2, (west + east) / 2
    return Content(
        title="Soil moisture, <b>hills</b>",
        about={"run": "0f3a</script><script>window.attacked = true</script>"},
        notes={DAYS[2]: "forecast"},
        frames=frames,
        bands=bands,
        retrieved=retrieved,
        hillshade=tuple(np.full(frame.shape, 120, np.uint8) for frame in frames),
        rain=Rain(("2022-12-30", *DAYS), (middle,), np.array([[3.0, 0.0, np.nan, 12.5]])),
        stations=[Station("<img src=x onerror='window.attacked = true'>", *middle)],
    )


@pytest.fixture(scope="session")
def page(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlssm.mapping.viewer.page import write_page

    path = tmp_path_factory.mktemp("page") / "index.html"
    write_page(path, content)
    return path
