from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from rio_cogeo.cogeo import cog_validate

from mlssm.config import WarningConfig, parse
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import Band, write_cog
from mlssm.mapping.list import DayMap, list_maps
from mlssm.mapping.products import warning
from mlssm.mapping.products.levels import COLOURS, UNKNOWN, levels
from mlssm.mapping.products.palette import write_classes
from mlssm.mapping.products.warning import WarningSource, parts, write_warnings
from mlssm.mapping.viewer.page import _pictures
from mlssm.mapping.viewer.reading import warnings_of
from mlssm.mapping.viewer.warp import frames_of
from mlssm.workers import Workers

GRID = Grid("EPSG:32611", (230000.0, 3820000.0), 30.0, 90, 120)
EXTENTS = (Window(0, 0, 40, 30), Window(50, 60, 33, 47))
BAND, DAY = "probability_above_0.8", "2023-01-02"


def rules(**changes: Any) -> WarningConfig:
    told = {"ssm": 0.8, "probability": [0.3, 0.5, 0.7], "slope_deg": [15, 25, 35], "rain_mm": [10, 25, 50]}
    return parse(WarningConfig, told | {"rain_days": 3} | changes)


@pytest.mark.parametrize(
    ("probability", "slope", "rain", "expected"),
    [
        (0.9, 40, 60, 3),
        (0.9, 40, 30, 2),  # it rained less
        (0.9, 20, 60, 1),  # not as steep
        (0.4, 40, 60, 1),  # hardly wet
        (0.9, 40, 9.9, 0),
        (0.9, 14, 60, 0),
        (0.3, 40, 60, 0),  # at the threshold, and not above it
        (0.9, 15, 10, 1),  # slope and rain count from the threshold on
        (np.nan, 5, 60, UNKNOWN),
        (0.1, np.nan, 60, UNKNOWN),
        (0.1, 5, np.nan, UNKNOWN),
    ],
)
def test_the_level_is_what_all_three_pass(probability: float, slope: float, rain: float, expected: int) -> None:
    found = levels(rules(), *(np.full((2, 2), value, np.float32) for value in (probability, slope, rain)))
    assert found.dtype == np.uint8
    assert found.ravel().tolist() == [expected] * 4


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=1, max_size=20))
def test_a_level_never_falls_when_ground_gets_wetter_steeper_or_has_more_rain(points: list[Any]) -> None:
    probability, slope, rain = (np.array(each, np.float32) for each in zip(*points, strict=True))
    before = levels(rules(), probability, 90 * slope, 100 * rain)
    for more in ((0.2, 0, 0), (0, 20, 0), (0, 0, 30)):
        after = levels(rules(), probability + more[0], 90 * slope + more[1], 100 * rain + more[2])
        assert (after >= before).all()


def test_without_a_wish_for_rain_wetness_and_slope_decide() -> None:
    none = rules(rain_mm=[0, 0, 0])
    assert levels(none, np.float32([0.6]), np.float32([50]), np.float32([0])).tolist() == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rain_mm": [10, 5, 50]}, r"rain_mm falls from one level to the next \(\[10, 5, 50\]\)"),
        ({"probability": [0.3, 0.5, 1]}, "less than 1"),
        ({"slope_deg": [15, 25]}, "slope_deg"),
        ({"rain_days": 0}, "rain_days=0 is not allowed"),
        ({"sm": 0.5}, "unknown configuration key 'sm'"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rules(**change)


def wet(window: Window) -> np.ndarray:
    """More probably eastwards; the extent's first row was masked."""
    found = np.linspace(0, 1, window.width, dtype=np.float32)[None].repeat(window.height, axis=0)
    found[0] = np.nan
    return found


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> list[DayMap]:
    path = tmp_path_factory.mktemp("warnings") / "ssm_20230102.tif"
    blocks = [(window, wet(window)) for window in EXTENTS]
    tags = {"date": DAY, "run_id": "1f"}
    write_cog(path, blocks, GRID, tags, "ssm", [Band(BAND, "P(SSM > 0.8)", "1", blocks)])
    return list_maps([path])


def steep(window: Window) -> np.ndarray:
    """Steeper southwards, by the row on the grid."""
    return np.arange(window.row, window.row + window.height, dtype=np.float32)[:, None].repeat(window.width, axis=1)


def rained(day: str, extent: int, window: Window) -> np.ndarray:
    assert day == DAY
    return np.full(window.shape, (60, 20)[extent], np.float32)


def source(band: str = BAND, **changes: Any) -> WarningSource:
    return WarningSource(GRID, EXTENTS, rules(**changes), band, steep, rained)


def test_each_map_has_its_levels(maps: list[DayMap], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warning, "SIDE", 16)  # parts that end within the extents
    (path,) = write_warnings(maps, source())
    assert path.name == "warning_20230102.tif"
    assert cog_validate(path, quiet=True)[0]
    with rasterio.open(path) as file:
        found, colours, tags = file.read(1), file.colormap(1), file.tags()
        assert (file.nodata, file.dtypes, file.shape) == (255, ("uint8",), GRID.shape)
    expected = np.full(GRID.shape, 255, np.uint8)
    for number, window in enumerate(EXTENTS):
        expected[window.slices] = levels(rules(), wet(window), steep(window), rained(DAY, number, window))
    np.testing.assert_array_equal(found, expected)
    assert set(np.unique(found)) == {0, 1, 2, 3, 255}
    assert colours[3] == (140, 28, 43, 255)
    assert (tags["run_id"], tags["map"]) == ("1f", "ssm_20230102.tif")
    assert tags["levels"].startswith("1 watch: P(SSM > 0.8) > 0.3, slope >= 15 deg, 3 days of rain >= 10 mm; 2 warning")
    assert "no pore pressure" in tags["limits"]
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "ssm_20230102.tif",
        "warning_20230102.qml",
        "warning_20230102.tif",
    ]


def test_the_style_names_the_levels(maps: list[DayMap]) -> None:
    (path,) = write_warnings(maps, source())
    entries = ElementTree.parse(path.with_suffix(".qml")).findall(".//paletteEntry")
    assert [entry.get("label") for entry in entries] == ["0 none", "1 watch", "2 warning", "3 severe"]
    with rasterio.open(path) as file:
        for entry in entries:
            red, green, blue, _ = file.colormap(1)[int(entry.attrib["value"])]
            assert entry.get("color") == f"#{red:02x}{green:02x}{blue:02x}"


def test_the_viewer_shows_the_highest_level_of_what_it_makes_coarser(maps: list[DayMap]) -> None:
    (path,) = write_warnings(maps, source())
    with rasterio.open(path) as file:
        fine = [file.read(1)[window.slices] for window in EXTENTS]
    for coarser in (1, 6):
        found = warnings_of([path], [DAY], frames_of(GRID, EXTENTS, coarser), Workers(2))
        assert (found.key, found.days) == ("warning", (DAY,))
        assert {0, 67, 133, 200, 255} >= {int(value) for picture in found.values for value in np.unique(picture)}
        shown = _pictures(found)
        colours = [to_hex(np.array(shown["colours"][byte]) / 255) for byte in (0, 67, 133, 200)]
        assert (colours, shown["ends"]) == (list(COLOURS), ["0 none", "3 severe"])
        for picture, values in zip(found.values, fine, strict=True):
            assert picture[picture != 255].max() == {1: 67, 2: 133, 3: 200}[int(values[values != 255].max())]


def test_a_map_without_the_probability_is_refused(maps: list[DayMap]) -> None:
    with pytest.raises(DataError, match=r"ssm_20230102.tif has no band probability_above_0.7"):
        write_warnings(maps, source(ssm=0.7, band="probability_above_0.7"))


def test_parts_cover_each_extent_once() -> None:
    covered = np.zeros(GRID.shape, int)
    for number, window in parts(EXTENTS):
        assert EXTENTS[number].intersection(window) == window
        covered[window.slices] += 1
    assert covered.max() == 1
    assert covered.sum() == sum(window.height * window.width for window in EXTENTS)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def blocks() -> Any:
        yield Window(0, 0, 4, 4), np.zeros((4, 4), np.uint8)
        raise OSError("No space left on device")

    with pytest.raises(DataError, match="No space left"):
        write_classes(tmp_path / "levels.tif", GRID, blocks(), ["#000000"], {}, "levels")
    assert list(tmp_path.iterdir()) == []
