"""An area of GeoTIFFs that is made up in a temporary folder, and the plain loop that preparing it is compared with."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import zarr
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rasterio.transform import Affine

from mlssm.config import TrainConfig, parse

CONF = Path(__file__).resolve().parents[1] / "conf"
PLAIN = "plain.zarr"
FIRST, REVISIT = dt.date(2019, 1, 1), 6


@dataclass(frozen=True)
class Area:
    """A made-up area.

    Attributes:
        folder: Of all of it.
        images: Its files.
        config: How it is prepared: blocks of 50 m of pixels of 10 m.
    """

    folder: Path
    images: tuple[Path, ...]
    config: TrainConfig


def composed(*overrides: str) -> TrainConfig:
    """The configuration of `train.py` with overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("train", list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return parse(TrainConfig, {str(key): value for key, value in values.items()})


@contextmanager
def made_up(side: int, dates: int) -> Iterator[Area]:
    """An area of speckle, with one station, that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "area"
        for each in ("backscatter", "weather"):
            (root / each).mkdir(parents=True)
        ground = np.random.default_rng(0).gamma(4, 0.02, (side, side)).astype(np.float32)
        images = tuple(_image(root, number, ground) for number in range(dates))
        _weather(root, REVISIT * dates + 60)
        place = f"datamodule.root={root}", f"datamodule.cubes={folder / 'cubes'}"
        told = "datamodule=geotiff", "datamodule.backscatter.units=linear", "retrieval.multilook_m=50"
        yield Area(folder, images, composed(*told, *place))


def _image(root: Path, number: int, ground: npt.NDArray[np.float32]) -> Path:
    day = FIRST + dt.timedelta(REVISIT * number)
    path = root / "backscatter" / f"VV_{day:%Y%m%d}T015902_137.tif"
    place = {"crs": "EPSG:32611", "transform": Affine(10, 0, 240000, 0, -10, 3816000), "nodata": np.nan}
    shape = {"count": 1, "dtype": "float32", "height": ground.shape[0], "width": ground.shape[1]}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", **place, **shape, **tiles) as file:
        file.write(np.roll(ground, 7919 * number) * np.float32(1 + 0.003 * number), 1)
    return path


def _weather(root: Path, days: int) -> None:
    lines = ["STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP,TMAX,TMIN,AWND,RHAV"]
    for day in range(days):
        values = f"{7 * day % 50},{180 + day % 9},{80 + day % 7},{20 + day % 3},60"
        lines.append(f"S0,{FIRST - dt.timedelta(40) + dt.timedelta(day)},34.4,-119.8,10,{values}")
    (root / "weather" / "S0.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def remove_made(area: Area) -> None:
    """Remove what was made of an area before, by either way."""
    for folder in (area.config.datamodule.cubes, area.folder / PLAIN):
        shutil.rmtree(folder, ignore_errors=True)


def plain_loop(area: Area) -> None:
    """What anybody would write: each image read whole, taken to dB, packed, and put into a zarr array."""
    with rasterio.open(area.images[0]) as first:
        shape = (len(area.images), *first.shape)
    path = area.folder / PLAIN
    array = zarr.create_array(path, shape=shape, chunks=(1, 1024, 1024), dtype="int16", fill_value=-32768)
    for number, image in enumerate(area.images):
        with rasterio.open(image) as file:
            power = file.read(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.clip(np.round(1000 * np.log10(power)), -32767, 32767)
        array[number] = np.where(np.isfinite(steps), steps, -32768).astype(np.int16)
