"""Maps packed into bytes: what reads them has their values back, and their nodata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from pyproj import CRS
from rasterio.env import get_gdal_config
from rio_cogeo.cogeo import cog_validate

from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import Band, MapWriter, opened_map, read_values, write_cog
from mlssm.mapping.products.lhasa import write_lhasa
from mlssm.mapping.viewer.warp import frames_of, read_bands

GRID = Grid("EPSG:32611", (500_000.0, 3_900_000.0), 30.0, 90, 120)
BANDS = (Band("ssm", "soil moisture", "1"), Band("flags", "flags", "1", high=255.0, step=1.0))


def _values() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    ssm = rng.random(GRID.shape, np.float32)
    ssm[:5, :5], ssm[10, :2] = np.nan, (0, 1)
    return ssm, rng.integers(0, 254, GRID.shape).astype(np.float32)


def _write(path: Path, *, packed: bool) -> Path:
    with MapWriter(path, GRID, BANDS, packed=packed) as target:
        for number, values in enumerate(_values(), 1):
            for row in range(0, GRID.height, 50):  # in two pieces
                window = Window(row, 0, min(50, GRID.height - row), GRID.width)
                target.write(number, window, values[window.slices])
        target.tag({"date": "2023-01-01"})
    return path


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same map, whole and packed."""
    folders = (tmp_path_factory.mktemp(name) for name in ("whole", "packed"))
    whole, packed = (_write(folder / "ssm_20230101.tif", packed=number == 1) for number, folder in enumerate(folders))
    return whole, packed


def test_a_packed_map_is_a_cog_of_bytes_with_its_scale(maps: tuple[Path, Path]) -> None:
    assert cog_validate(maps[1], strict=True, quiet=True) == (True, [], [])
    with rasterio.open(maps[1]) as source:
        assert source.dtypes == ("uint8", "uint8")
        assert (source.nodata, source.scales, source.offsets) == (255, (0.005, 1.0), (0.0, 0.0))
        assert source.descriptions == ("soil moisture", "flags")
        assert source.tags()["date"] == "2023-01-01"
        for number, (values, step) in enumerate(zip(_values(), (0.005, 1.0), strict=True), 1):
            np.testing.assert_allclose(read_values(source, number), values, atol=0.501 * step)
            part = read_values(source, number, Window(3, 4, 20, 30))
            np.testing.assert_array_equal(part, read_values(source, number)[3:23, 4:34])
    assert maps[1].stat().st_size < 0.5 * maps[0].stat().st_size


def test_the_viewer_and_lhasa_see_the_same_values(maps: tuple[Path, Path], tmp_path: Path) -> None:
    (frame,) = frames_of(GRID, [GRID.full], 3.0)
    found, cells = [], []
    for path in maps:
        with rasterio.open(path) as source:
            found.extend(read_bands(source, [1], frame))
        with rasterio.open(write_lhasa(tmp_path, path)) as source:
            cells.append(source.read(1))
    np.testing.assert_allclose(found[1], found[0], atol=0.006)
    np.testing.assert_allclose(cells[1], cells[0], atol=0.003)


def test_gdal_keeps_megabytes_of_a_map_and_not_bytes(maps: tuple[Path, Path], tmp_path: Path) -> None:
    """Rasterio takes a whole number for bytes, GDAL a small one for megabytes."""
    before = get_gdal_config("GDAL_CACHEMAX")
    with opened_map(maps[0]):
        assert get_gdal_config("GDAL_CACHEMAX") == 256 * 1024**2
    with MapWriter(tmp_path / "map.tif", GRID, BANDS) as target:
        assert get_gdal_config("GDAL_CACHEMAX") == 64 * 1024**2
        for number, values in enumerate(_values(), 1):
            target.write(number, GRID.full, values)
        target.tag({"date": "2023-01-01"})
    assert get_gdal_config("GDAL_CACHEMAX") == before


@pytest.mark.filterwarnings("ignore:Use .@. matmul:PendingDeprecationWarning")
def test_torchgeo_sees_the_same_values_and_no_mixture(maps: tuple[Path, Path], tmp_path: Path) -> None:
    from mlssm.mapping.dataset import SoilMoistureMaps

    west, _, _, north = GRID.bounds
    day = pd.Timestamp("2023-01-01")
    query = slice(west, west + 900), slice(north - 900, north), slice(day, day + pd.Timedelta(hours=1))
    whole, packed = (SoilMoistureMaps(path.parent)[query]["image"].squeeze().numpy() for path in maps)
    np.testing.assert_allclose(packed, whole, atol=0.00251)
    elsewhere, other = (SoilMoistureMaps(path.parent, crs=CRS.from_epsg(32610), res=30.0) for path in maps[::-1])
    far, near = (each[each.bounds]["image"].squeeze().numpy() for each in (elsewhere, other))
    assert 0.05 < np.isnan(far).mean() < 0.5
    assert not (np.isnan(far) & np.isfinite(near)).any()  # between pixels a NaN spreads, and a missing byte does not
    assert (np.isfinite(far) & np.isnan(near)).mean() < 0.03
    known = np.isfinite(near)
    np.testing.assert_allclose(far[known], near[known], atol=0.006)
    assert np.nanmax(far) <= 1
    for path, name in zip(maps, ("ssm_20230101.tif", "ssm_20230102.tif"), strict=True):
        (tmp_path / name).write_bytes(path.read_bytes())
    with pytest.raises(ConfigError, match="has packed and other maps"):
        SoilMoistureMaps(tmp_path)[query]


def test_what_does_not_fit_into_a_byte_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="flags: 255 in steps of 1 does not fit"),
        MapWriter(tmp_path / "map.tif", GRID, BANDS, packed=True) as target,
    ):
        target.write(2, GRID.full, np.full(GRID.shape, 255, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_piece_that_the_disk_refuses_is_the_users_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cog(tmp_path / "older.tif", [], GRID, {}, "ssm")
    monkeypatch.setattr(MapWriter, "_verify", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(DataError, match=r"map\.tif cannot be written \(No space left on device\)"):
        _write(tmp_path / "map.tif", packed=True)
    assert [path.name for path in tmp_path.iterdir()] == ["older.tif"]
