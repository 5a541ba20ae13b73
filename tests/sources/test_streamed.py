"""Large files come to GDAL in order, once, and are hashed on the way."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

from mlssm.errors import ChangedError, DataError
from mlssm.provenance import state_of
from mlssm.sources import streamed
from mlssm.sources.contents import Contents
from mlssm.sources.opening import opened
from mlssm.sources.streamed import Streamed

SIDE, PIECE = 512, 1 << 16
VALUES = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "PIECE", PIECE)
    monkeypatch.setattr(streamed, "AHEAD", 1 << 15)


@pytest.fixture(params=["tiles", "strips", "bands", "cog"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two megabytes of two bands, stored in several orders."""
    shape: dict[str, Any] = {"count": 2, "dtype": "float32", "height": SIDE, "width": SIDE, "compress": "deflate"}
    shape |= {"crs": "EPSG:32611", "transform": Affine(30, 0, 240000, 0, -30, 3816000)}
    kinds: dict[str, dict[str, Any]] = {
        "tiles": {"driver": "GTiff", "tiled": True, "blockxsize": 128, "blockysize": 128, "interleave": "pixel"},
        "strips": {"driver": "GTiff", "interleave": "pixel"},
        "bands": {"driver": "GTiff", "tiled": True, "blockxsize": 128, "blockysize": 128, "interleave": "band"},
        "cog": {"driver": "COG", "blocksize": 128},
    }
    name = tmp_path / "image.tif"
    with rasterio.open(name, "w", **shape, **kinds[request.param]) as file:
        file.write(VALUES)
    return name


class Counted(Streamed):
    """Counts the bytes that come from the disk."""

    read = 0

    def _read(self, start: int, stop: int) -> bytes:
        self.read += stop - start
        return super()._read(start, stop)


def all_windows(path: Path, stream: Streamed, bands: tuple[int, ...] = (1, 2)) -> None:
    """Read all of a file in windows that do not fit its tiles, from left to right and down."""
    for row in range(0, SIDE, 200):
        for col in range(0, SIDE, 200):
            place = slice(row, min(row + 200, SIDE)), slice(col, min(col + 200, SIDE))
            for band in bands:  # two images of one file are open at once
                with opened(path, content=stream) as first, opened(path, content=stream) as second:
                    np.testing.assert_array_equal(
                        first.read(band, window=Window.from_slices(*place)), VALUES[band - 1][place]
                    )
                    second.read_masks(band, window=Window.from_slices(*place))


def test_the_bytes_come_once_in_any_layout(path: Path) -> None:
    stream = Counted(path)
    all_windows(path, stream)
    size = path.stat().st_size
    assert stream.digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert size <= stream.read <= size + (1 << 15)


def test_what_was_dropped_is_read_again_and_the_digest_stays(path: Path) -> None:
    stream = Counted(path, kept=3 * PIECE)
    all_windows(path, stream)
    assert stream.read > 1.2 * path.stat().st_size
    stream.forget()
    all_windows(path, stream, (2,))
    assert stream.digest() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_row_of_tiles_is_all_that_is_kept(tmp_path: Path) -> None:
    """Of a file of one band in tiles, windows of whole rows of tiles need no more than these."""
    name = tmp_path / "image.tif"
    place = {"crs": "EPSG:32611", "transform": Affine(30, 0, 240000, 0, -30, 3816000)}
    shape = {"count": 1, "dtype": "float32", "height": SIDE, "width": SIDE}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    with rasterio.open(name, "w", driver="GTiff", **place, **shape, **tiles) as file:
        file.write(VALUES[0], 1)
    stream = Counted(name, kept=5 * PIECE)  # 128 rows are four pieces, and lie in five
    with opened(name, content=stream) as source:
        for row in range(0, SIDE, 128):
            for col in range(0, SIDE, 128):
                found = source.read(1, window=Window(col, row, 128, 128))
                np.testing.assert_array_equal(found, VALUES[0, row : row + 128, col : col + 128])
    stream.digest()
    assert stream.read <= name.stat().st_size + (1 << 15)


def test_what_lies_beside_is_read_with_it(path: Path) -> None:
    with rasterio.open(path) as plain:
        assert plain.tags().get("SEEN") is None
    path.with_name("image.tif.aux.xml").write_text(
        '<PAMDataset><Metadata><MDI key="SEEN">yes</MDI></Metadata></PAMDataset>'
    )
    contents = Contents({path: state_of(path)})
    with contents.lent(path) as content:
        assert isinstance(content, Streamed)
        with opened(path, content=content) as source:
            assert source.tags()["SEEN"] == "yes"
    contents.check()
    assert contents.digests == {path: hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_file_that_fails_or_changes_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = Contents({path: state_of(path)}, largest=0)
    with contents.lent(path) as content, contents.lent(path) as same:
        assert content is same
        with opened(path, content=content) as source:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            with pytest.raises(DataError, match=r"image\.tif cannot be read"), opened(path, content=content) as other:
                other.read()
            del source
    with pytest.raises(ChangedError, match=r"image\.tif changed while the area was prepared"):
        contents.check()
